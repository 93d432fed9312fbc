"""CMPP 2.0 and 3.0 PDUs, declared once: the field tables of cmpp.md as classes.

Names are the specification's in snake_case; a class whose layout differs by version carries the
version in its name (``Submit20``, ``Submit30``). Lengths and counts are derived, never attributes.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from smsgw.protocols.kinds import U8, U16, U32, U64, Listed, Number, Octets, Reserved, Sized, Text
from smsgw.protocols.layout import Pdu, pdu

Int8 = Annotated[int, U8]
Int16 = Annotated[int, U16]
Int32 = Annotated[int, U32]
Int64 = Annotated[int, U64]
Number21 = Annotated[str, Text(21)]
Number32 = Annotated[str, Text(32)]
Content = Annotated[bytes, Sized("msg_length", U8)]
Digest = Annotated[bytes, Octets(16)]

NO_DIGEST = bytes(16)


class CmppPdu(Pdu):
    """What every CMPP PDU starts with (cmpp.md section 3)."""

    sequence_id: Int32 = 0


@pdu(0x00000001, "CMPP_CONNECT")
class Connect(CmppPdu):
    """Login, the same in both versions (cmpp.md section 4)."""

    source_addr: Annotated[str, Text(6)] = ""
    authenticator_source: Digest = NO_DIGEST
    version: Int8 = 0x30
    timestamp: Int32 = 0


@pdu(0x80000001, "CMPP_CONNECT_RESP")
class ConnectResp20(CmppPdu):
    """Login answer with a one-octet status (cmpp.md section 4)."""

    status: Int8 = 0
    authenticator_ismg: Digest = NO_DIGEST
    version: Int8 = 0x20


@pdu(0x80000001, "CMPP_CONNECT_RESP")
class ConnectResp30(CmppPdu):
    """Login answer with a four-octet status (cmpp.md section 4)."""

    status: Int32 = 0
    authenticator_ismg: Digest = NO_DIGEST
    version: Int8 = 0x30


@pdu(0x00000002, "CMPP_TERMINATE")
class Terminate(CmppPdu):
    """Unbind (cmpp.md section 12)."""


@pdu(0x80000002, "CMPP_TERMINATE_RESP")
class TerminateResp(CmppPdu):
    """Unbind answer (cmpp.md section 12)."""


@pdu(0x00000004, "CMPP_SUBMIT")
class Submit20(CmppPdu):
    """MT, version 2.0 (cmpp.md section 6)."""

    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    registered_delivery: Int8 = 0
    msg_level: Int8 = 0
    service_id: Annotated[str, Text(10)] = ""
    fee_user_type: Int8 = 0
    fee_terminal_id: Number21 = ""
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    msg_src: Annotated[str, Text(6)] = ""
    fee_type: Annotated[str, Text(2)] = ""
    fee_code: Annotated[str, Text(6)] = ""
    valid_time: Annotated[str, Text(17)] = ""
    at_time: Annotated[str, Text(17)] = ""
    src_id: Number21 = ""
    dest_terminal_id: Annotated[list[str], Listed("dest_usr_tl", U8, Text(21))] = msgspec.field(
        default_factory=list
    )
    msg_content: Content = b""
    reserve: Annotated[str, Reserved(8)] = ""


@pdu(0x00000004, "CMPP_SUBMIT")
class Submit30(CmppPdu):
    """MT, version 3.0 (cmpp.md section 6)."""

    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    registered_delivery: Int8 = 0
    msg_level: Int8 = 0
    service_id: Annotated[str, Text(10)] = ""
    fee_user_type: Int8 = 0
    fee_terminal_id: Number32 = ""
    fee_terminal_type: Int8 = 0
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    msg_src: Annotated[str, Text(6)] = ""
    fee_type: Annotated[str, Text(2)] = ""
    fee_code: Annotated[str, Text(6)] = ""
    valid_time: Annotated[str, Text(17)] = ""
    at_time: Annotated[str, Text(17)] = ""
    src_id: Number21 = ""
    dest_terminal_id: Annotated[list[str], Listed("dest_usr_tl", U8, Text(32))] = msgspec.field(
        default_factory=list
    )
    dest_terminal_type: Int8 = 0
    msg_content: Content = b""
    link_id: Annotated[str, Text(20)] = ""


@pdu(0x80000004, "CMPP_SUBMIT_RESP")
class SubmitResp20(CmppPdu):
    """MT answer with a one-octet result (cmpp.md section 6)."""

    msg_id: Int64 = 0
    result: Int8 = 0


@pdu(0x80000004, "CMPP_SUBMIT_RESP")
class SubmitResp30(CmppPdu):
    """MT answer with a four-octet result (cmpp.md section 6)."""

    msg_id: Int64 = 0
    result: Int32 = 0


@pdu(0x00000005, "CMPP_DELIVER")
class Deliver20(CmppPdu):
    """MO or report, version 2.0 (cmpp.md section 7)."""

    msg_id: Int64 = 0
    dest_id: Number21 = ""
    service_id: Annotated[str, Text(10)] = ""
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    src_terminal_id: Annotated[str, Number(21)] = ""
    registered_delivery: Int8 = 0
    msg_content: Content = b""
    reserved: Annotated[str, Reserved(8)] = ""


@pdu(0x00000005, "CMPP_DELIVER")
class Deliver30(CmppPdu):
    """MO or report, version 3.0 (cmpp.md section 7)."""

    msg_id: Int64 = 0
    dest_id: Number21 = ""
    service_id: Annotated[str, Text(10)] = ""
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    src_terminal_id: Annotated[str, Number(32)] = ""
    src_terminal_type: Int8 = 0
    registered_delivery: Int8 = 0
    msg_content: Content = b""
    link_id: Annotated[str, Text(20)] = ""


@pdu(0x80000005, "CMPP_DELIVER_RESP")
class DeliverResp20(CmppPdu):
    """MO or report answer with a one-octet result (cmpp.md section 7)."""

    msg_id: Int64 = 0
    result: Int8 = 0


@pdu(0x80000005, "CMPP_DELIVER_RESP")
class DeliverResp30(CmppPdu):
    """MO or report answer with a four-octet result (cmpp.md section 7)."""

    msg_id: Int64 = 0
    result: Int32 = 0


@pdu(0x00000006, "CMPP_QUERY")
class Query(CmppPdu):
    """Day's totals asked for (cmpp.md section 13)."""

    time: Annotated[str, Text(8)] = ""
    query_type: Int8 = 0
    query_code: Annotated[str, Text(10)] = ""
    reserve: Annotated[str, Reserved(8)] = ""


@pdu(0x80000006, "CMPP_QUERY_RESP")
class QueryResp(CmppPdu):
    """Day's totals (cmpp.md section 13)."""

    time: Annotated[str, Text(8)] = ""
    query_type: Int8 = 0
    query_code: Annotated[str, Text(10)] = ""
    mt_tl_msg: Int32 = 0
    mt_tl_usr: Int32 = 0
    mt_scs: Int32 = 0
    mt_wt: Int32 = 0
    mt_fl: Int32 = 0
    mo_scs: Int32 = 0
    mo_wt: Int32 = 0
    mo_fl: Int32 = 0


@pdu(0x00000007, "CMPP_CANCEL")
class Cancel(CmppPdu):
    """Delete a scheduled message (cmpp.md section 13)."""

    msg_id: Int64 = 0


@pdu(0x80000007, "CMPP_CANCEL_RESP")
class CancelResp20(CmppPdu):
    """Cancel answer with one octet (cmpp.md section 13)."""

    success_id: Int8 = 0


@pdu(0x80000007, "CMPP_CANCEL_RESP")
class CancelResp30(CmppPdu):
    """Cancel answer with four octets (cmpp.md section 13)."""

    success_id: Int32 = 0


@pdu(0x00000008, "CMPP_ACTIVE_TEST")
class ActiveTest(CmppPdu):
    """Heartbeat (cmpp.md section 12)."""


@pdu(0x80000008, "CMPP_ACTIVE_TEST_RESP")
class ActiveTestResp(CmppPdu):
    """Heartbeat answer (cmpp.md section 13)."""

    reserved: Int8 = 0


@pdu(0x80000008, "CMPP_ACTIVE_TEST_RESP")
class ActiveTestRespBare(CmppPdu):
    """Heartbeat answer without its reserved octet, as some peers send it (cmpp.md section 13)."""


@pdu(0x00000009, "CMPP_FWD")
class Fwd20(CmppPdu):
    """Between gateways, version 2.0 (cmpp.md section 14)."""

    source_id: Annotated[str, Text(6)] = ""
    destination_id: Annotated[str, Text(6)] = ""
    nodes_count: Int8 = 0
    msg_fwd_type: Int8 = 0
    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    registered_delivery: Int8 = 0
    msg_level: Int8 = 0
    service_id: Annotated[str, Text(10)] = ""
    fee_user_type: Int8 = 0
    fee_terminal_id: Number21 = ""
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    msg_src: Annotated[str, Text(6)] = ""
    fee_type: Annotated[str, Text(2)] = ""
    fee_code: Annotated[str, Text(6)] = ""
    valid_time: Annotated[str, Text(17)] = ""
    at_time: Annotated[str, Text(17)] = ""
    src_id: Number21 = ""
    dest_id: Annotated[list[str], Listed("dest_usr_tl", U8, Text(21))] = msgspec.field(
        default_factory=list
    )
    msg_content: Content = b""
    reserve: Annotated[str, Reserved(8)] = ""


@pdu(0x00000009, "CMPP_FWD")
class Fwd30(CmppPdu):
    """Between gateways, version 3.0 (cmpp.md section 14)."""

    source_id: Annotated[str, Text(6)] = ""
    destination_id: Annotated[str, Text(6)] = ""
    nodes_count: Int8 = 0
    msg_fwd_type: Int8 = 0
    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    registered_delivery: Int8 = 0
    msg_level: Int8 = 0
    service_id: Annotated[str, Text(10)] = ""
    fee_user_type: Int8 = 0
    fee_terminal_id: Number21 = ""
    fee_terminal_pseudo: Number32 = ""
    fee_terminal_user_type: Int8 = 0
    tp_pid: Int8 = 0
    tp_udhi: Int8 = 0
    msg_fmt: Int8 = 0
    msg_src: Annotated[str, Text(6)] = ""
    fee_type: Annotated[str, Text(2)] = ""
    fee_code: Annotated[str, Text(6)] = ""
    valid_time: Annotated[str, Text(17)] = ""
    at_time: Annotated[str, Text(17)] = ""
    src_id: Number21 = ""
    src_pseudo: Number32 = ""
    src_user_type: Int8 = 0
    src_type: Int8 = 0
    dest_id: Annotated[list[str], Listed("dest_usr_tl", U8, Text(21))] = msgspec.field(
        default_factory=list
    )
    dest_pseudo: Number32 = ""
    dest_user_type: Int8 = 0
    msg_content: Content = b""
    link_id: Annotated[str, Text(20)] = ""


@pdu(0x80000009, "CMPP_FWD_RESP")
class FwdResp20(CmppPdu):
    """Between gateways, answer with a one-octet result (cmpp.md section 14)."""

    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    result: Int8 = 0


@pdu(0x80000009, "CMPP_FWD_RESP")
class FwdResp30(CmppPdu):
    """Between gateways, answer with a four-octet result (cmpp.md section 14)."""

    msg_id: Int64 = 0
    pk_total: Int8 = 1
    pk_number: Int8 = 1
    result: Int32 = 0
