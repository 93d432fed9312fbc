"""The receipt inside a Deliver with IsReport 1 (smgp.md section 7).

The id is ten raw octets at a fixed place; everything after it is found by its label, because
spelling, spaces and lengths differ from gateway to gateway (smgp.md section 13).
"""

from __future__ import annotations

import re

import msgspec

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols.smgp.constants import MSG_ID_OCTETS, REPORT_HEAD_OCTETS, REPORT_LABEL

LABEL = re.compile(
    rb"(?<![^ \0])(sub|dlvrd|submit[ _]date|done[ _]date|stat|err|te?xt):", re.IGNORECASE
)
"""A label stands at the start or after a space, so that a stat such as ``ERR:105`` hides none."""

CANONICAL = (
    (b" sub:", "sub", 3),
    (b" dlvrd:", "dlvrd", 3),
    (b" submit date:", "submit_date", 10),
    (b" done date:", "done_date", 10),
    (b" stat:", "stat", 7),
    (b" err:", "err", 3),
)
TEXT_OCTETS = 20
CONTENT_OFFSET = 81  # of MsgContent in a Deliver

STATUSES = {
    "DELIVRD": MessageStatus.DELIVERED,
    "EXPIRED": MessageStatus.EXPIRED,
    "DELETED": MessageStatus.UNDELIVERED,
    "UNDELIV": MessageStatus.UNDELIVERED,
    "ACCEPTD": MessageStatus.SENT,
    "UNKNOWN": MessageStatus.UNDELIVERED,
    "REJECTD": MessageStatus.REJECTED,
}
"""Section 7: DELIVRD is the only success; ACCEPTD is not final."""


class Report(msgspec.Struct, gc=False):
    """A receipt's fields, names as in the specification; "" where the gateway left one out."""

    msg_id: bytes
    stat: str
    err: str = ""
    sub: str = "001"
    dlvrd: str = "001"
    submit_date: str = ""
    done_date: str = ""
    text: bytes = b""


def parse_report(content: bytes) -> Report:
    """Read MsgContent of a receipt, however its gateway spells it.

    Spec: smgp.md section 7 ("A parser must"). The text is what follows its label, untouched.

    Raises:
        PduError: No id of ten octets, or no stat: nothing can be told from it.
    """
    if content[: len(REPORT_LABEL)].lower() != REPORT_LABEL or len(content) < REPORT_HEAD_OCTETS:
        problem = f"{len(content)} octets, not 'id:' and an id of {MSG_ID_OCTETS} octets"
        raise _no_receipt(0, problem)
    labelled = content[REPORT_HEAD_OCTETS:]
    values: dict[str, str] = {}
    text = b""
    label, begin = "", 0
    for match in LABEL.finditer(labelled):
        if label:
            values.setdefault(label, _value(labelled[begin : match.start()]))
        label = match[1].decode("ascii").lower().replace(" ", "_")
        begin = match.end()
        if label in ("text", "txt"):
            text = labelled[begin:]
            break
    else:
        if label:
            values.setdefault(label, _value(labelled[begin:]))
    if not values.get("stat"):
        raise _no_receipt(REPORT_HEAD_OCTETS, "receipt without a stat")
    return Report(
        content[len(REPORT_LABEL) : REPORT_HEAD_OCTETS],
        values["stat"],
        values.get("err", ""),
        values.get("sub", ""),
        values.get("dlvrd", ""),
        values.get("submit_date", ""),
        values.get("done_date", ""),
        text,
    )


def build_report(report: Report) -> bytes:
    """Return MsgContent of a receipt in its canonical form of 122 octets.

    Spec: smgp.md section 7, table of pieces.

    Raises:
        EncodeError: A field does not fit.
    """
    if len(report.msg_id) != MSG_ID_OCTETS:
        limit = f"exactly {MSG_ID_OCTETS} octets"
        raise EncodeError("report.msg_id", limit, f"{len(report.msg_id)} octets")
    pieces = [REPORT_LABEL, report.msg_id]
    for label, name, octets in CANONICAL:
        value = getattr(report, name)
        if not value.isascii():
            raise EncodeError(f"report.{name}", "ASCII", "other characters")
        if len(value) > octets:
            raise EncodeError(f"report.{name}", f"{octets} octets", f"{len(value)} octets")
        pieces += label, value.encode("ascii").ljust(octets, b"\0")
    if len(report.text) > TEXT_OCTETS:
        raise EncodeError("report.text", f"{TEXT_OCTETS} octets", f"{len(report.text)} octets")
    return b"".join([*pieces, b" text:", report.text.ljust(TEXT_OCTETS, b"\0")])


def status_of(stat: str) -> MessageStatus:
    """What a stat means: an open set, so an unknown word is a failure (sections 7 and 13)."""
    return STATUSES.get(stat, MessageStatus.UNDELIVERED)


def _value(raw: bytes) -> str:
    return raw.strip(b" \0").decode("latin-1")


def _no_receipt(offset: int, problem: str) -> PduError:
    return PduError("SMGP_DELIVER", "msg_content", CONTENT_OFFSET + offset, problem)
