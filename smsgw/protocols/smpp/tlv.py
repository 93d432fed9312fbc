"""SMPP's optional parameters: the tags of SMPP 3.4 5.3.2, read and written.

Reading is tolerant: unknown tags are kept, values of another length are taken, of a repeated tag
the first one counts. Writing follows the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.errors import EncodeError
from smsgw.protocols import tlvs
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.tlvs import Tag, number_octets, text_octets, text_of

RECEIPTED_MESSAGE_ID = 0x001E
SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
SC_INTERFACE_VERSION = 0x0210
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

TAGS = {
    0x0005: Tag("dest_addr_subunit"),
    0x0006: Tag("dest_network_type"),
    0x0007: Tag("dest_bearer_type"),
    0x0008: Tag("dest_telematics_id", octets=2),
    0x000D: Tag("source_addr_subunit"),
    0x000E: Tag("source_network_type"),
    0x000F: Tag("source_bearer_type"),
    0x0010: Tag("source_telematics_id"),
    0x0017: Tag("qos_time_to_live", octets=4),
    0x0019: Tag("payload_type"),
    0x001D: Tag("additional_status_info_text", "text", 256),
    RECEIPTED_MESSAGE_ID: Tag("receipted_message_id", "text", 65),
    0x0030: Tag("ms_msg_wait_facilities"),
    0x0201: Tag("privacy_indicator"),
    0x0202: Tag("source_subaddress", "octets", 23),
    0x0203: Tag("dest_subaddress", "octets", 23),
    0x0204: Tag("user_message_reference", octets=2),
    0x0205: Tag("user_response_code"),
    0x020A: Tag("source_port", octets=2),
    0x020B: Tag("destination_port", octets=2),
    SAR_MSG_REF_NUM: Tag("sar_msg_ref_num", octets=2),
    0x020D: Tag("language_indicator"),
    SAR_TOTAL_SEGMENTS: Tag("sar_total_segments"),
    SAR_SEGMENT_SEQNUM: Tag("sar_segment_seqnum"),
    SC_INTERFACE_VERSION: Tag("sc_interface_version"),
    0x0302: Tag("callback_num_pres_ind"),
    0x0303: Tag("callback_num_atag", "octets", 65),
    0x0304: Tag("number_of_messages"),
    0x0381: Tag("callback_num", "octets", 19),
    0x0420: Tag("dpf_result"),
    0x0421: Tag("set_dpf"),
    0x0422: Tag("ms_availability_status"),
    NETWORK_ERROR_CODE: Tag("network_error_code", "octets", 3),
    MESSAGE_PAYLOAD: Tag("message_payload", "octets", 0xFFFF),
    0x0425: Tag("delivery_failure_reason"),
    0x0426: Tag("more_messages_to_send"),
    MESSAGE_STATE: Tag("message_state"),
    0x0501: Tag("ussd_service_op"),
    0x1201: Tag("display_time"),
    0x1203: Tag("sms_signal", octets=2),
    0x1204: Tag("ms_validity"),
    0x130C: Tag("alert_on_message_delivery", "octets", 0),
    0x1380: Tag("its_reply_type"),
    0x1383: Tag("its_session_info", octets=2),
}


def find(options: Sequence[Tlv], tag: int) -> bytes | None:
    """The octets of the first TLV with this tag, or None."""
    for tlv in options:
        if tlv.tag == tag:
            return tlv.value
    return None


def number(options: Sequence[Tlv], tag: int, default: int = 0) -> int:
    """The value of ``tag`` as an integer, or ``default`` where it is missing or empty."""
    raw = find(options, tag)
    return int.from_bytes(raw, "big") if raw else default


def text(options: Sequence[Tlv], tag: int) -> str:
    """The value of ``tag`` as text up to its 0x00, which some peers leave out, or ""."""
    return text_of(find(options, tag) or b"")


def make(tag: int, value: int | str | bytes) -> Tlv:
    """Return a TLV as the table wants it.

    Args:
        tag: One of ``TAGS``.
        value: An integer, text or octets, as the tag asks.

    Raises:
        EncodeError: The value does not fit.
    """
    row = TAGS[tag]
    if isinstance(value, int):
        return Tlv(tag, number_octets(row, value))
    if isinstance(value, bytes):
        if len(value) > row.octets:
            raise EncodeError(row.name, f"{row.octets} octets", f"{len(value)} octets")
        return Tlv(tag, value)
    return Tlv(tag, text_octets(row, value, row.octets - 1) + b"\0")


def to_item(tlv: Tlv) -> dict[str, Any]:
    """A TLV as one JSON-ready object; see :func:`smsgw.protocols.tlvs.to_item`."""
    return tlvs.to_item(TAGS, tlv)


def from_item(path: str, item: Any) -> Any:
    """Complete such an object; see :func:`smsgw.protocols.tlvs.from_item`."""
    return tlvs.from_item(TAGS, make, path, item)
