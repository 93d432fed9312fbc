"""SMGP command tables per version, decode and encode (smgp.md sections 3 to 12).

A session knows fewer commands than the codec: to the rest it answers "wrong command".
"""

from __future__ import annotations

from typing import Any

from smsgw.protocols.codec import Codec
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smgp import pdus, tlv
from smsgw.protocols.smgp.constants import HEADER_OCTETS, LARGEST_OCTETS
from smsgw.protocols.smgp.report import parse_report

SESSION: list[type[Pdu]] = [
    pdus.Login,
    pdus.LoginResp,
    pdus.SubmitResp,
    pdus.Deliver,
    pdus.DeliverResp,
    pdus.ActiveTest,
    pdus.ActiveTestResp,
    pdus.Exit,
    pdus.ExitResp,
]

COMMON: list[type[Pdu]] = [
    *SESSION,
    pdus.Forward,
    pdus.ForwardResp,
    pdus.Query,
    pdus.QueryResp,
    pdus.QueryTeRoute,
    pdus.QueryTeRouteResp,
    pdus.QuerySpRoute,
    pdus.QuerySpRouteResp,
    pdus.GetAllTeRoute,
    pdus.GetAllTeRouteResp,
    pdus.GetAllSpRoute,
    pdus.GetAllSpRouteResp,
    pdus.UpdateTeRoute,
    pdus.UpdateTeRouteResp,
    pdus.UpdateSpRoute,
    pdus.UpdateSpRouteResp,
    pdus.PushUpdateTeRoute,
    pdus.PushUpdateTeRouteResp,
    pdus.PushUpdateSpRoute,
    pdus.PushUpdateSpRouteResp,
]

SUBMITS: dict[str, type[Pdu]] = {
    "1.3": pdus.Submit13,
    "2.0": pdus.Submit30,
    "3.0": pdus.Submit30,
}


def _refine(pdu: Pdu, fields: dict[str, Any]) -> None:
    if "tlvs" in fields:
        fields["tlvs"] = [tlv.to_item(one) for one in pdu.tlvs]  # type: ignore[attr-defined]
    if isinstance(pdu, pdus.Deliver) and pdu.is_report == 1:
        report = parse_report(pdu.msg_content)
        fields["report"] = {
            "msg_id_hex": report.msg_id.hex(),
            "sub": report.sub,
            "dlvrd": report.dlvrd,
            "submit_date": report.submit_date,
            "done_date": report.done_date,
            "stat": report.stat,
            "err": report.err,
            "text_hex": report.text.hex(),
        }


def _restore(fields: dict[str, Any]) -> None:
    if isinstance(items := fields.get("tlvs"), list):
        fields["tlvs"] = [tlv.from_item(f"tlvs[{i}]", item) for i, item in enumerate(items)]
    if fields.get("command") == pdus.Deliver.command:
        fields.pop("report", None)  # shown for people; msg_content_hex is what is sent


CODEC = Codec(
    "smgp",
    {version: [*COMMON, submit] for version, submit in SUBMITS.items()},
    "3.0",
    HEADER_OCTETS,
    LARGEST_OCTETS,
    refine=_refine,
    restore=_restore,
)

SESSION_CODEC = Codec(
    "smgp",
    {version: [*SESSION, submit] for version, submit in SUBMITS.items()},
    "3.0",
    HEADER_OCTETS,
    LARGEST_OCTETS,
)

CONTENT_OFFSET = 81  # of MsgContent in a Deliver; MsgLength is the octet before (section 7)
RESERVE_OCTETS = 8
NO_RESERVE = bytes(RESERVE_OCTETS)


def mend_deliver(frame: bytes) -> bytes | None:
    """Return a Deliver with the MsgLength that its body has, or None when that cannot be told.

    Where the content ends is told by Reserve, eight zero octets: the first ones at all when
    MsgLength says more than there is, the first ones behind what it says when it says too little.

    Spec: smgp.md section 13 (MsgLength one off; two octets counted for each character).

    Args:
        frame: One whole PDU, at least up to MsgContent.
    """
    begin = CONTENT_OFFSET + frame[CONTENT_OFFSET - 1]
    too_much = begin + RESERVE_OCTETS > len(frame)
    end = frame.find(NO_RESERVE, CONTENT_OFFSET if too_much else begin)
    if end < 0 and not too_much:
        return None
    if end < 0:
        end = len(frame)
    elif not frame[end:].strip(b"\0"):  # zeros before these eight are content
        end = len(frame) - RESERVE_OCTETS
    content = frame[CONTENT_OFFSET:end]
    if len(content) > 0xFF:
        return None
    behind = frame[end + RESERVE_OCTETS :]
    mended = frame[4 : CONTENT_OFFSET - 1] + bytes((len(content),)) + content + NO_RESERVE + behind
    return (4 + len(mended)).to_bytes(4, "big") + mended


decode = CODEC.decode
encode = CODEC.encode
Framer = CODEC.framer
