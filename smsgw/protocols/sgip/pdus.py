"""SGIP 1.2 PDUs, declared once: the field tables of sgip.md as classes. 1.3 has the same layouts.

Lengths and counts are derived. A response ends in ``tail``: what peers add to it (section 11).
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from smsgw.protocols.kinds import (
    U8,
    U32,
    Listed,
    Number,
    Record,
    Reserved,
    Rest,
    Secret,
    Sized,
    Text,
)
from smsgw.protocols.layout import Pdu, pdu

Int8 = Annotated[int, U8]
Int32 = Annotated[int, U32]
Number21 = Annotated[str, Text(21)]
Phone21 = Annotated[str, Number(21)]
Users = Annotated[list[str], Listed("user_count", U8, Number(21))]
SmgId = Annotated[str, Text(6)]
CorpId = Annotated[str, Text(5)]
ServiceTag = Annotated[str, Text(10)]
TeleSeg = Annotated[str, Text(7)]
Name = Annotated[str, Text(16)]
Password = Annotated[str, Secret(16)]
Time = Annotated[str, Text(16)]
Reserve = Annotated[str, Reserved(8)]
Content = Annotated[bytes, Sized("message_length", U32)]
Tail = Annotated[bytes, Rest()]


class SgipPdu(Pdu):
    """What every SGIP PDU starts with: the three words of its sequence number (section 3)."""

    sequence_node: Int32 = 0
    sequence_time: Int32 = 0
    sequence_counter: Int32 = 0


class CommonResp(SgipPdu):
    """The body of most responses (section 3)."""

    result: Int8 = 0
    reserve: Reserve = ""
    tail: Tail = b""


@pdu(0x00000001, "SGIP_BIND")
class Bind(SgipPdu):
    """Login, password in clear (section 4)."""

    login_type: Int8 = 1
    login_name: Name = ""
    login_password: Password = ""
    reserve: Reserve = ""


@pdu(0x80000001, "SGIP_BIND_RESP")
class BindResp(CommonResp):
    """Login answer (section 4)."""


@pdu(0x00000002, "SGIP_UNBIND")
class Unbind(SgipPdu):
    """Unbind (section 4)."""


@pdu(0x80000002, "SGIP_UNBIND_RESP")
class UnbindResp(SgipPdu):
    """Unbind answer; some peers give it a body (section 13)."""

    tail: Tail = b""


@pdu(0x00000003, "SGIP_SUBMIT")
class Submit(SgipPdu):
    """MT (section 5)."""

    sp_number: Number21 = ""
    charge_number: Number21 = ""
    user_number: Users = msgspec.field(default_factory=list)
    corp_id: CorpId = ""
    service_type: ServiceTag = ""
    fee_type: Int8 = 0
    fee_value: Annotated[str, Text(6)] = ""
    given_value: Annotated[str, Text(6)] = ""
    agent_flag: Int8 = 0
    morelateto_mt_flag: Int8 = 0
    priority: Int8 = 0
    expire_time: Time = ""
    schedule_time: Time = ""
    report_flag: Int8 = 0
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    message_coding: Int8 = 0
    message_type: Int8 = 0
    message_content: Content = b""
    reserve: Reserve = ""


@pdu(0x80000003, "SGIP_SUBMIT_RESP")
class SubmitResp(CommonResp):
    """MT answer: no message id (section 5)."""


@pdu(0x00000004, "SGIP_DELIVER")
class Deliver(SgipPdu):
    """MO (section 6)."""

    user_number: Phone21 = ""
    sp_number: Number21 = ""
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    message_coding: Int8 = 0
    message_content: Content = b""
    reserve: Reserve = ""


@pdu(0x80000004, "SGIP_DELIVER_RESP")
class DeliverResp(CommonResp):
    """MO answer (section 6)."""


@pdu(0x00000005, "SGIP_REPORT")
class Report(SgipPdu):
    """Status report, a PDU of its own (section 7)."""

    submit_sequence_node: Int32 = 0
    submit_sequence_time: Int32 = 0
    submit_sequence_counter: Int32 = 0
    report_type: Int8 = 0
    user_number: Phone21 = ""
    state: Int8 = 0
    error_code: Int8 = 0
    reserve: Reserve = ""


@pdu(0x80000005, "SGIP_REPORT_RESP")
class ReportResp(CommonResp):
    """Status report answer (section 7)."""


@pdu(0x00000006, "SGIP_ADDSP")
class AddSp(SgipPdu):
    """Routing: an SP is added (section 10)."""

    smg_id: SmgId = ""
    sp_number: Number21 = ""
    service_tag: ServiceTag = ""
    corp_id: CorpId = ""
    reserve: Reserve = ""


@pdu(0x80000006, "SGIP_ADDSP_RESP")
class AddSpResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x00000007, "SGIP_MODIFYSP")
class ModifySp(SgipPdu):
    """Routing: an SP is changed (section 10)."""

    smg_id: SmgId = ""
    old_sp_number: Number21 = ""
    old_service_tag: ServiceTag = ""
    new_sp_number: Number21 = ""
    new_service_tag: ServiceTag = ""
    corp_id: CorpId = ""
    reserve: Reserve = ""


@pdu(0x80000007, "SGIP_MODIFYSP_RESP")
class ModifySpResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x00000008, "SGIP_DELETESP")
class DeleteSp(SgipPdu):
    """Routing: an SP is removed (section 10)."""

    smg_id: SmgId = ""
    sp_number: Number21 = ""
    service_tag: ServiceTag = ""
    reserve: Reserve = ""


@pdu(0x80000008, "SGIP_DELETESP_RESP")
class DeleteSpResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x00000009, "SGIP_QUERYROUTE")
class QueryRoute(SgipPdu):
    """Routing: routes asked for (section 10)."""

    query_type: Int8 = 0
    number: Number21 = ""
    service_tag: ServiceTag = ""
    reserve: Reserve = ""


class Route(msgspec.Struct, gc=False):
    """One route of a QueryRoute_Resp: 87 octets (section 10)."""

    type: Int8 = 0
    number: Number21 = ""
    mark: ServiceTag = ""
    code: CorpId = ""
    smg_id: SmgId = ""
    smg_ip: Int32 = 0
    login_user: Name = ""
    password: Password = ""
    reserve: Reserve = ""


@pdu(0x80000009, "SGIP_QUERYROUTE_RESP")
class QueryRouteResp(SgipPdu):
    """Routing: at most 20 routes in one PDU (section 10)."""

    result: Int8 = 0
    routes: Annotated[list[Route], Listed("count", U32, Record(Route))] = msgspec.field(
        default_factory=list
    )
    tail: Tail = b""


@pdu(0x80000009, "SGIP_QUERYROUTE_RESP")
class QueryRouteRespEnd(SgipPdu):
    """Routing: the empty body that ends a list of several PDUs (section 10)."""


@pdu(0x0000000A, "SGIP_ADDTELESEG")
class AddTeleSeg(SgipPdu):
    """Routing: a number segment is added (section 10)."""

    smg_id: SmgId = ""
    tele_seg: TeleSeg = ""
    tele_type: Int8 = 0
    area_code: Annotated[str, Text(4)] = ""
    reserve: Reserve = ""


@pdu(0x8000000A, "SGIP_ADDTELESEG_RESP")
class AddTeleSegResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x0000000B, "SGIP_MODIFYTELESEG")
class ModifyTeleSeg(SgipPdu):
    """Routing: a number segment is changed (section 10)."""

    smg_id: SmgId = ""
    old_tele_seg: TeleSeg = ""
    new_tele_seg: TeleSeg = ""
    tele_type: Int8 = 0
    area_code: Annotated[str, Text(4)] = ""
    reserve: Reserve = ""


@pdu(0x8000000B, "SGIP_MODIFYTELESEG_RESP")
class ModifyTeleSegResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x0000000C, "SGIP_DELETETELESEG")
class DeleteTeleSeg(SgipPdu):
    """Routing: a number segment is removed (section 10)."""

    smg_id: SmgId = ""
    tele_seg: TeleSeg = ""
    reserve: Reserve = ""


@pdu(0x8000000C, "SGIP_DELETETELESEG_RESP")
class DeleteTeleSegResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x0000000D, "SGIP_ADDSMG")
class AddSmg(SgipPdu):
    """Routing: a gateway is added (section 10)."""

    smg_id: SmgId = ""
    smg_ip: Int32 = 0
    login_name: Name = ""
    login_password: Password = ""
    reserve: Reserve = ""


@pdu(0x8000000D, "SGIP_ADDSMG_RESP")
class AddSmgResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x0000000E, "SGIP_MODIFYSMG")
class ModifySmg(SgipPdu):
    """Routing: a gateway is changed (section 10)."""

    old_smg_id: SmgId = ""
    new_smg_id: SmgId = ""
    smg_ip: Int32 = 0
    login_name: Name = ""
    login_password: Password = ""
    reserve: Reserve = ""


@pdu(0x8000000E, "SGIP_MODIFYSMG_RESP")
class ModifySmgResp(CommonResp):
    """Routing answer; the specification misprints its id as 0x0000000E (section 3)."""


@pdu(0x0000000F, "SGIP_DELETESMG")
class DeleteSmg(SgipPdu):
    """Routing: a gateway is removed (section 10)."""

    smg_id: SmgId = ""
    reserve: Reserve = ""


@pdu(0x8000000F, "SGIP_DELETESMG_RESP")
class DeleteSmgResp(CommonResp):
    """Routing answer (section 10)."""


@pdu(0x00000010, "SGIP_CHECKUSER")
class CheckUser(SgipPdu):
    """Billing: a user's state asked for (section 9)."""

    user_name: Name = ""
    passwd: Password = ""
    user_number: Phone21 = ""
    reserve: Reserve = ""


@pdu(0x80000010, "SGIP_CHECKUSER_RESP")
class CheckUserResp(SgipPdu):
    """Billing: a user's state (section 9)."""

    result: Int8 = 0
    status: Int8 = 0
    reserve: Reserve = ""
    tail: Tail = b""


@pdu(0x00000011, "SGIP_USERRPT")
class UserRpt(SgipPdu):
    """A user was cancelled, suspended or restored (section 9)."""

    sp_number: Number21 = ""
    user_number: Phone21 = ""
    user_condition: Int8 = 0
    reserve: Reserve = ""


@pdu(0x80000011, "SGIP_USERRPT_RESP")
class UserRptResp(CommonResp):
    """User state answer (section 9)."""


@pdu(0x00001000, "SGIP_TRACE")
class Trace(SgipPdu):
    """Test port: where is a submit now (section 9)."""

    submit_sequence_node: Int32 = 0
    submit_sequence_time: Int32 = 0
    submit_sequence_counter: Int32 = 0
    user_number: Phone21 = ""
    reserve: Reserve = ""


class TraceNode(msgspec.Struct, gc=False):
    """One node that a submit passed: 47 octets (section 9)."""

    result: Int8 = 0
    node_id: SmgId = ""
    receive_time: Time = ""
    send_time: Time = ""
    reserve: Reserve = ""


@pdu(0x80001000, "SGIP_TRACE_RESP")
class TraceResp(SgipPdu):
    """Test port: the nodes a submit passed (section 9)."""

    nodes: Annotated[list[TraceNode], Listed("count", U8, Record(TraceNode))] = msgspec.field(
        default_factory=list
    )
    tail: Tail = b""
