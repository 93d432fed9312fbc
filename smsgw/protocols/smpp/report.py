"""The delivery receipt inside a deliver_sm or data_sm (SMPP 3.4 appendix B, 5.3.2.12, 5.3.2.35).

The form of the text is the SMSC vendor's own; what is common is labels with a colon. Where the
optional parameters receipted_message_id and message_state are there, they count.
"""

from __future__ import annotations

import re

import msgspec

from smsgw.errors import EncodeError, PduError
from smsgw.model import MessageStatus
from smsgw.protocols.smpp import constants, pdus, tlv

LABEL = re.compile(
    r"(?<![^\s\0])(id|sub|dlvrd|submit[ _]*date|done[ _]*date|stat|err|te?xt):", re.IGNORECASE
)
"""A label stands at the start or after a space, so that a stat such as ``ERR:105`` hides none."""

STATUSES = {
    "ENROUTE": MessageStatus.SENT,
    "SCHEDULED": MessageStatus.SENT,
    "DELIVRD": MessageStatus.DELIVERED,
    "EXPIRED": MessageStatus.EXPIRED,
    "DELETED": MessageStatus.UNDELIVERED,
    "UNDELIV": MessageStatus.UNDELIVERED,
    "ACCEPTD": MessageStatus.SENT,
    "UNKNOWN": MessageStatus.UNDELIVERED,
    "REJECTD": MessageStatus.REJECTED,
    "DELIVERED": MessageStatus.DELIVERED,
    "ACCEPTED": MessageStatus.SENT,
    "REJECTED": MessageStatus.REJECTED,
}
"""Appendix B, table B-2, and words that some SMSCs write out: DELIVRD is the only success; ENROUTE
and ACCEPTD are not final."""

STATE_WORDS = {
    constants.STATE_ENROUTE: "ENROUTE",
    constants.STATE_DELIVERED: "DELIVRD",
    constants.STATE_EXPIRED: "EXPIRED",
    constants.STATE_DELETED: "DELETED",
    constants.STATE_UNDELIVERABLE: "UNDELIV",
    constants.STATE_ACCEPTED: "ACCEPTD",
    constants.STATE_UNKNOWN: "UNKNOWN",
    constants.STATE_REJECTED: "REJECTD",
}
"""message_state (5.2.28) in the words of the text form."""

MESSAGE_STATES = {word: state for state, word in STATE_WORDS.items()}

BLANKS = "\0 \r\n\t,;"
TEXT_CHARACTERS = 20
CONTENT_CHARACTERS_MAX = 254


class Report(msgspec.Struct, gc=False):
    """A receipt's fields, names as in the specification; "" where the SMSC left one out.

    Attributes:
        message_id: As the SMSC wrote it; hexadecimal, decimal or any text.
        stat: The text's own word, else the one that message_state stands for.
        message_state: What counts where it is there (5.2.28); 0 = it is not.
    """

    message_id: str
    stat: str
    err: str = ""
    sub: str = ""
    dlvrd: str = ""
    submit_date: str = ""
    done_date: str = ""
    text: str = ""
    message_state: int = 0

    @property
    def status(self) -> MessageStatus:
        """What it means: an open set of words, so an unknown one is a failure."""
        word = STATE_WORDS.get(self.message_state) or self.stat.upper()
        return STATUSES.get(word, MessageStatus.UNDELIVERED)


def is_report(pdu: pdus.DeliverSm | pdus.DataSm) -> bool:
    """Whether it is a receipt, final or not: by esm_class, or because it names message and state.

    Spec: SMPP 3.4 5.2.12. Some SMSCs leave esm_class 0 and send the optional parameters.
    """
    if pdu.esm_class & (constants.ESM_RECEIPT | constants.ESM_INTERMEDIATE):
        return True
    return (
        bool(pdu.tlvs)
        and tlv.find(pdu.tlvs, tlv.RECEIPTED_MESSAGE_ID) is not None
        and tlv.find(pdu.tlvs, tlv.MESSAGE_STATE) is not None
    )


def read_report(pdu: pdus.DeliverSm | pdus.DataSm) -> Report:
    """Read a receipt, however its SMSC spells it.

    Raises:
        PduError: It names no message that there can be, or no state: nothing can be told from it.
    """
    content = pdu.short_message or tlv.find(pdu.tlvs, tlv.MESSAGE_PAYLOAD) or b""
    values = _labelled(_readable(content))
    message_id = tlv.text(pdu.tlvs, tlv.RECEIPTED_MESSAGE_ID) or values.get("id", "")
    state = tlv.number(pdu.tlvs, tlv.MESSAGE_STATE)
    stat = values.get("stat") or STATE_WORDS.get(state, "")
    problem = ""
    if not message_id or not stat:
        missing = "stat" if message_id else "id"
        problem = f"receipt without {missing}: {len(content)} octets, {len(pdu.tlvs)} TLVs"
    elif len(message_id) > constants.MESSAGE_ID_OCTETS_MAX:
        limit = constants.MESSAGE_ID_OCTETS_MAX
        problem = f"receipt with an id of {len(message_id)} octets, limit {limit}"
    if problem:
        offset = _content_offset(pdu)
        raise PduError(pdu.command, "short_message", offset, problem, pdu.command_id)
    return Report(
        message_id,
        stat,
        values.get("err") or _network_error(pdu),
        values.get("sub", ""),
        values.get("dlvrd", ""),
        values.get("submitdate", ""),
        values.get("donedate", ""),
        values.get("text", ""),
        state,
    )


def build_report(report: Report) -> bytes:
    """Return the text of a receipt in the form of appendix B.

    Raises:
        EncodeError: It does not fit a short_message, or is not ASCII.
    """
    content = (
        f"id:{report.message_id} sub:{report.sub or '001'} dlvrd:{report.dlvrd or '001'}"
        f" submit date:{report.submit_date} done date:{report.done_date}"
        f" stat:{report.stat} err:{report.err or '000'} text:{report.text[:TEXT_CHARACTERS]}"
    )
    if not content.isascii():
        raise EncodeError("report", "ASCII", "other characters")
    if len(content) > CONTENT_CHARACTERS_MAX:
        limit = f"{CONTENT_CHARACTERS_MAX} octets"
        raise EncodeError("report", limit, f"{len(content)} octets")
    return content.encode("ascii")


def _labelled(text: str) -> dict[str, str]:
    """Label -> value; of a repeated label the first counts; the text runs to the end.

    But for dates and the text a value is one word: what follows are labels of the SMSC's own.
    """
    values: dict[str, str] = {}
    matches = list(LABEL.finditer(text))
    for index, match in enumerate(matches):
        label = match[1].lower().replace(" ", "").replace("_", "").replace("txt", "text")
        if label == "text":
            values["text"] = text[match.end() :].strip("\0 ")
            break
        end = matches[index + 1].start() if index + 1 < len(matches) else len(text)
        value = text[match.end() : end].strip(BLANKS)
        if "date" not in label:
            value = "".join(value.split(maxsplit=1)[:1]).rstrip(BLANKS)
        values.setdefault(label, value)
    return values


def _readable(content: bytes) -> str:
    """Receipts are ASCII whatever data_coding says, but for SMSCs that write them in UCS-2."""
    if content[:1] == content[2:3] == b"\0":
        return content[: len(content) & ~1].decode("utf-16-be", "replace")
    return content.decode("latin-1")


def _network_error(pdu: pdus.DeliverSm | pdus.DataSm) -> str:
    """The error of network_error_code (5.3.2.31): the octet before it names the network."""
    raw = tlv.find(pdu.tlvs, tlv.NETWORK_ERROR_CODE)
    return f"{int.from_bytes(raw[1:3], 'big'):03d}" if raw is not None and len(raw) == 3 else ""


def _content_offset(pdu: pdus.DeliverSm | pdus.DataSm) -> int:
    options = sum(4 + len(one.value) for one in pdu.tlvs)
    return len(pdu.encode()) - options - len(pdu.short_message)
