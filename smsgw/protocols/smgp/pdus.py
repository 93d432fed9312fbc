"""SMGP PDUs, declared once: the field tables of smgp.md as classes.

Names are the specification's in snake_case. Only Submit's layout differs by version (``Submit13``
has no FixedFee), so only it carries the version in its name. Lengths and counts are derived, never
attributes.
"""

from __future__ import annotations

from typing import Annotated

from smsgw.protocols.kinds import (
    U8,
    U16,
    U32,
    Listed,
    Octets,
    Reserved,
    Rest,
    Sized,
    Text,
    Tlv,
    Tlvs,
)
from smsgw.protocols.layout import Pdu, pdu

Int8 = Annotated[int, U8]
Int16 = Annotated[int, U16]
Int32 = Annotated[int, U32]
Digest = Annotated[bytes, Octets(16)]
MsgId = Annotated[bytes, Octets(10)]
Number = Annotated[str, Text(21)]
SmgwNo = Annotated[str, Text(6)]
Time14 = Annotated[str, Text(14)]
SmppTime = Annotated[str, Text(17)]
Numbers = Annotated[list[str], Listed("dest_term_id_count", U8, Text(21))]
Content = Annotated[bytes, Sized("msg_length", U8)]
Reserve = Annotated[str, Reserved(8)]
Options = Annotated[list[Tlv], Tlvs()]
Tail = Annotated[bytes, Rest()]

NO_DIGEST = bytes(16)
NO_ID = bytes(10)


class SmgpPdu(Pdu):
    """What every SMGP PDU starts with (smgp.md section 3)."""

    sequence_id: Int32 = 0


@pdu(0x00000001, "SMGP_LOGIN")
class Login(SmgpPdu):
    """Login (smgp.md section 4)."""

    client_id: Annotated[str, Text(8)] = ""
    authenticator_client: Digest = NO_DIGEST
    login_mode: Int8 = 2
    timestamp: Int32 = 0
    client_version: Int8 = 0x30


@pdu(0x80000001, "SMGP_LOGIN_RESP")
class LoginResp(SmgpPdu):
    """Login answer (smgp.md section 4)."""

    status: Int32 = 0
    authenticator_server: Digest = NO_DIGEST
    server_version: Int8 = 0x30


@pdu(0x00000002, "SMGP_SUBMIT")
class Submit13(SmgpPdu):
    """MT, version 1.3 (smgp.md section 12)."""

    msg_type: Int8 = 6
    need_report: Int8 = 0
    priority: Int8 = 1
    service_id: Annotated[str, Text(10)] = ""
    fee_type: Annotated[str, Text(2)] = "00"
    fee_code: Annotated[str, Text(6)] = ""
    msg_format: Int8 = 0
    valid_time: SmppTime = ""
    at_time: SmppTime = ""
    src_term_id: Number = ""
    charge_term_id: Number = ""
    dest_term_id: Numbers = []
    msg_content: Content = b""
    reserve: Reserve = ""
    tlvs: Options = []


@pdu(0x00000002, "SMGP_SUBMIT")
class Submit30(SmgpPdu):
    """MT, versions 2.0 and 3.0 (smgp.md section 5)."""

    msg_type: Int8 = 6
    need_report: Int8 = 0
    priority: Int8 = 1
    service_id: Annotated[str, Text(10)] = ""
    fee_type: Annotated[str, Text(2)] = "00"
    fee_code: Annotated[str, Text(6)] = ""
    fixed_fee: Annotated[str, Text(6)] = ""
    msg_format: Int8 = 0
    valid_time: SmppTime = ""
    at_time: SmppTime = ""
    src_term_id: Number = ""
    charge_term_id: Number = ""
    dest_term_id: Numbers = []
    msg_content: Content = b""
    reserve: Reserve = ""
    tlvs: Options = []


@pdu(0x80000002, "SMGP_SUBMIT_RESP")
class SubmitResp(SmgpPdu):
    """MT answer (smgp.md section 5)."""

    msg_id: MsgId = NO_ID
    status: Int32 = 0


@pdu(0x00000003, "SMGP_DELIVER")
class Deliver(SmgpPdu):
    """MO or receipt (smgp.md section 7)."""

    msg_id: MsgId = NO_ID
    is_report: Int8 = 0
    msg_format: Int8 = 0
    recv_time: Time14 = ""
    src_term_id: Number = ""
    dest_term_id: Number = ""
    msg_content: Content = b""
    reserve: Reserve = ""
    tlvs: Options = []


@pdu(0x80000003, "SMGP_DELIVER_RESP")
class DeliverResp(SmgpPdu):
    """MO or receipt answer (smgp.md section 7)."""

    msg_id: MsgId = NO_ID
    status: Int32 = 0


@pdu(0x00000004, "SMGP_ACTIVE_TEST")
class ActiveTest(SmgpPdu):
    """Heartbeat (smgp.md section 12)."""


@pdu(0x80000004, "SMGP_ACTIVE_TEST_RESP")
class ActiveTestResp(SmgpPdu):
    """Heartbeat answer: 12 octets sent, 12 or more taken (smgp.md section 13)."""

    tail: Tail = b""


@pdu(0x00000005, "SMGP_FORWARD")
class Forward(SmgpPdu):
    """Between gateways (smgp.md section 12)."""

    msg_id: MsgId = NO_ID
    dest_smgw_no: SmgwNo = ""
    src_smgw_no: SmgwNo = ""
    smc_no: SmgwNo = ""
    msg_type: Int8 = 7
    report_flag: Int8 = 2
    priority: Int8 = 1
    service_id: Annotated[str, Text(10)] = ""
    fee_type: Annotated[str, Text(2)] = "00"
    fee_code: Annotated[str, Text(6)] = ""
    fixed_fee: Annotated[str, Text(6)] = ""
    msg_format: Int8 = 0
    valid_time: SmppTime = ""
    at_time: SmppTime = ""
    src_term_id: Number = ""
    dest_term_id: Number = ""
    charge_term_id: Number = ""
    msg_content: Content = b""
    reserve: Reserve = ""
    tlvs: Options = []


@pdu(0x80000005, "SMGP_FORWARD_RESP")
class ForwardResp(SmgpPdu):
    """Between gateways, answer (smgp.md section 12)."""

    msg_id: MsgId = NO_ID
    status: Int32 = 0
    tlvs: Options = []


@pdu(0x00000006, "SMGP_EXIT")
class Exit(SmgpPdu):
    """Unbind (smgp.md section 12)."""


@pdu(0x80000006, "SMGP_EXIT_RESP")
class ExitResp(SmgpPdu):
    """Unbind answer (smgp.md section 12)."""


@pdu(0x00000007, "SMGP_QUERY")
class Query(SmgpPdu):
    """Counters of one day (smgp.md section 12)."""

    query_time: Annotated[str, Text(8)] = ""
    query_type: Int8 = 0
    query_code: Annotated[str, Text(10)] = ""


@pdu(0x80000007, "SMGP_QUERY_RESP")
class QueryResp(Query):
    """Counters of one day, answer: the question again, then the counters (smgp.md section 12)."""

    mt_tlmsg: Int32 = 0
    mt_tlusr: Int32 = 0
    mt_scs: Int32 = 0
    mt_wt: Int32 = 0
    mt_fl: Int32 = 0
    mo_scs: Int32 = 0
    mo_wt: Int32 = 0
    mo_fl: Int32 = 0
    reserve: Reserve = ""


# ---- between a gateway and the routing name server (smgp.md section 12, routing PDUs) ----------


class RouteStatus(SmgpPdu):
    """Answers that name a route: Status and ROUTE."""

    status: Int32 = 0
    route_id: Int32 = 0
    dest_gateway_id: SmgwNo = ""
    dest_gateway_ip: Annotated[str, Text(15)] = ""
    dest_gateway_port: Int16 = 0


class TeRouteStatus(RouteStatus):
    """Status, ROUTE and TE: a range of terminals."""

    term_range_id: Annotated[str, Text(10)] = ""
    province_code: Annotated[str, Text(4)] = ""
    user_type: Int8 = 0


class SpRouteStatus(RouteStatus):
    """Status, ROUTE and SP."""

    sp_id: Annotated[str, Text(8)] = ""
    sp_code: Number = ""
    sp_access_type: Int8 = 0
    sp_type: Int8 = 0


@pdu(0x00000008, "SMGP_QUERY_TE_ROUTE")
class QueryTeRoute(SmgpPdu):
    """Which gateway serves a terminal?"""

    src_gateway_id: SmgwNo = ""
    query_term_id: Number = ""


@pdu(0x80000008, "SMGP_QUERY_TE_ROUTE_RESP")
class QueryTeRouteResp(TeRouteStatus):
    """The gateway that serves a terminal."""

    time: Time14 = ""


@pdu(0x00000009, "SMGP_QUERY_SP_ROUTE")
class QuerySpRoute(QueryTeRoute):
    """Which gateway serves an SP?"""


@pdu(0x80000009, "SMGP_QUERY_SP_ROUTE_RESP")
class QuerySpRouteResp(SpRouteStatus):
    """The gateway that serves an SP."""

    time: Time14 = ""


@pdu(0x0000000D, "SMGP_GET_ALL_TE_ROUTE")
class GetAllTeRoute(SmgpPdu):
    """Ask for every terminal route, one an answer."""

    src_gateway_id: SmgwNo = ""
    route_type: Annotated[str, Text(4)] = "TE"
    last_route_id: Int32 = 0


@pdu(0x8000000D, "SMGP_GET_ALL_TE_ROUTE_RESP")
class GetAllTeRouteResp(TeRouteStatus):
    """One terminal route of all."""

    route_total: Int32 = 0
    route_number: Int32 = 0
    time: Time14 = ""


@pdu(0x0000000E, "SMGP_GET_ALL_SP_ROUTE")
class GetAllSpRoute(SmgpPdu):
    """Ask for every SP route, one an answer."""

    src_gateway_id: SmgwNo = ""
    route_type: Annotated[str, Text(4)] = "SP"
    last_route_id: Int32 = 0


@pdu(0x8000000E, "SMGP_GET_ALL_SP_ROUTE_RESP")
class GetAllSpRouteResp(SpRouteStatus):
    """One SP route of all."""

    route_total: Int32 = 0
    route_number: Int32 = 0
    time: Time14 = ""


class RouteUpdate(SmgpPdu):
    """What changes, and ROUTE."""

    update_type: Int8 = 0
    route_id: Int32 = 0
    dest_gateway_id: SmgwNo = ""
    dest_gateway_ip: Annotated[str, Text(15)] = ""
    dest_gateway_port: Int16 = 0


@pdu(0x0000000F, "SMGP_UPDATE_TE_ROUTE")
class UpdateTeRoute(RouteUpdate):
    """A gateway changes a terminal route."""

    term_range_id: Annotated[str, Text(10)] = ""
    province_code: Annotated[str, Text(4)] = ""
    user_type: Int8 = 0


@pdu(0x8000000F, "SMGP_UPDATE_TE_ROUTE_RESP")
class UpdateTeRouteResp(SmgpPdu):
    """A terminal route was changed, or not."""

    status: Int32 = 0
    route_id: Int32 = 0
    time: Time14 = ""


@pdu(0x00000010, "SMGP_UPDATE_SP_ROUTE")
class UpdateSpRoute(RouteUpdate):
    """A gateway changes an SP route."""

    sp_id: Annotated[str, Text(8)] = ""
    sp_code: Number = ""
    sp_access_type: Int8 = 0
    sp_type: Int8 = 0


@pdu(0x80000010, "SMGP_UPDATE_SP_ROUTE_RESP")
class UpdateSpRouteResp(UpdateTeRouteResp):
    """An SP route was changed, or not."""


@pdu(0x00000011, "SMGP_PUSH_UPDATE_TE_ROUTE")
class PushUpdateTeRoute(UpdateTeRoute):
    """The name server announces a changed terminal route."""

    time: Time14 = ""


@pdu(0x80000011, "SMGP_PUSH_UPDATE_TE_ROUTE_RESP")
class PushUpdateTeRouteResp(SmgpPdu):
    """A changed terminal route was taken, or not."""

    status: Int32 = 0


@pdu(0x00000012, "SMGP_PUSH_UPDATE_SP_ROUTE")
class PushUpdateSpRoute(UpdateSpRoute):
    """The name server announces a changed SP route."""

    time: Time14 = ""


@pdu(0x80000012, "SMGP_PUSH_UPDATE_SP_ROUTE_RESP")
class PushUpdateSpRouteResp(PushUpdateTeRouteResp):
    """A changed SP route was taken, or not."""
