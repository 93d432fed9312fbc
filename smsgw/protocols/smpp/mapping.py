"""SMPP PDUs <-> the neutral model. Only this file of the folder imports the model's messages."""

from __future__ import annotations

from datetime import datetime

import msgspec

from smsgw.errors import EncodeError
from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smpp import constants, pdus, tlv
from smsgw.protocols.smpp.auth import make_message_id
from smsgw.protocols.smpp.report import (
    MESSAGE_STATES,
    Report,
    build_report,
    is_report,
    read_report,
)
from smsgw.protocols.smpp.session import Deliver, SmppAccount, Submit
from smsgw.text import gsm7
from smsgw.text.numbers import national_number
from smsgw.text.udh import Concatenation, build_concatenation, split_header

__all__ = [
    "from_deliver",
    "from_report",
    "from_submit",
    "is_report",
    "message_id",
    "to_deliver",
    "to_report",
    "to_submit",
]

CODECS = {"ascii": "ascii", "latin1": "latin-1"}

STATES = {
    MessageStatus.SENT: constants.STATE_ACCEPTED,
    MessageStatus.DELIVERED: constants.STATE_DELIVERED,
    MessageStatus.EXPIRED: constants.STATE_EXPIRED,
    MessageStatus.REJECTED: constants.STATE_REJECTED,
}


class _Body(msgspec.Struct):
    """What carries the user data: fields that submit_sm and deliver_sm share."""

    esm_class: int
    data_coding: int
    short_message: bytes
    tlvs: list[Tlv]


def to_submit(account: SmppAccount, version: str, segment: Segment) -> pdus.SubmitSm:
    """Return the submit_sm for one segment, addressed as the account says (4.4.1).

    Raises:
        EncodeError: The content does not fit, or a character is not in the account's alphabet.
    """
    body = _body(account, version, segment.coding, segment.udhi, segment.content)
    return pdus.SubmitSm(
        service_type=account.service_type,
        source_addr_ton=account.source_addr_ton,
        source_addr_npi=account.source_addr_npi,
        source_addr=segment.source,
        dest_addr_ton=account.dest_addr_ton,
        dest_addr_npi=account.dest_addr_npi,
        destination_addr=account.number_prefix + segment.to,
        esm_class=body.esm_class,
        priority_flag=account.priority,
        registered_delivery=account.registered_delivery if segment.want_report else 0,
        data_coding=body.data_coding,
        short_message=body.short_message,
        tlvs=body.tlvs,
    )


def from_submit(pdu: Submit) -> list[Segment]:
    """Return what a customer asks for: one segment, since a submit_sm has one recipient."""
    udhi, content = _content(pdu)
    total, part = 1, 1
    wanted = pdu.registered_delivery & constants.RECEIPT_WANTED
    if udhi:
        header, _, _ = split_header(content)
        if header is not None and header.concatenation is not None:
            total, part = header.concatenation.total, header.concatenation.sequence
    return [
        Segment(
            to=national_number(pdu.destination_addr),
            source=pdu.source_addr.strip(),
            coding=pdu.data_coding,
            content=content,
            udhi=udhi,
            part=part,
            total=total,
            want_report=bool(wanted),
            failures_only=wanted == constants.RECEIPT_OF_FAILURE,
            at_time=getattr(pdu, "schedule_delivery_time", ""),
            valid_time=getattr(pdu, "validity_period", ""),
        )
    ]


def from_deliver(pdu: Deliver) -> MoMessage:
    """Return the MO in a deliver_sm or data_sm; it has no id of its own (4.6.1)."""
    udhi, content = _content(pdu)
    return MoMessage(
        sender=national_number(pdu.source_addr),
        destination=pdu.destination_addr.strip(),
        coding=pdu.data_coding,
        content=content,
        udhi=udhi,
    )


def from_report(pdu: Deliver) -> StatusReport:
    """Return the receipt in a deliver_sm or data_sm; its source is the recipient.

    Raises:
        PduError: It names no message, or no state.
    """
    report = read_report(pdu)
    return StatusReport(
        carrier_message_id=report.message_id,
        status=report.status,
        stat=report.stat,
        error=report.err,
        to=national_number(pdu.source_addr),
        source=pdu.destination_addr.strip(),
        submitted=report.submit_date,
        done=report.done_date,
    )


def to_deliver(account: SmppAccount, version: str, message: MoMessage) -> pdus.DeliverSm:
    """Return the deliver_sm that brings an MO to an ESME (gateway side).

    Raises:
        EncodeError: The content does not fit, or a character is not in the account's alphabet.
    """
    body = _body(account, version, message.coding, message.udhi, message.content)
    deliver = _delivery(account, message.sender, message.destination)
    deliver.esm_class = body.esm_class
    deliver.data_coding = body.data_coding
    deliver.short_message = body.short_message
    deliver.tlvs = body.tlvs
    return deliver


def to_report(account: SmppAccount, version: str, report: StatusReport) -> pdus.DeliverSm:
    """Return the deliver_sm that reports on a submit_sm (gateway side).

    Raises:
        EncodeError: A field of the receipt does not fit.
    """
    deliver = _delivery(account, report.to, report.source)
    deliver.esm_class = constants.ESM_RECEIPT
    deliver.short_message = build_report(
        Report(
            message_id=report.carrier_message_id,
            stat=report.stat,
            err=report.error,
            submit_date=report.submitted,
            done_date=report.done,
        )
    )
    if version != "3.3":
        state = MESSAGE_STATES.get(report.stat.upper()) or STATES.get(
            report.status, constants.STATE_UNDELIVERABLE
        )
        deliver.tlvs = [
            tlv.make(tlv.RECEIPTED_MESSAGE_ID, report.carrier_message_id),
            tlv.make(tlv.MESSAGE_STATE, state),
        ]
    return deliver


def message_id(gateway: int, when: datetime, count: int) -> str:
    """Return a new message_id (gateway side)."""
    return make_message_id(gateway, when, count)


def _delivery(account: SmppAccount, phone: str, access_number: str) -> pdus.DeliverSm:
    """A deliver_sm from a phone: the account's addressing the other way round."""
    return pdus.DeliverSm(
        service_type=account.service_type,
        source_addr_ton=account.dest_addr_ton,
        source_addr_npi=account.dest_addr_npi,
        source_addr=account.number_prefix + phone,
        dest_addr_ton=account.source_addr_ton,
        dest_addr_npi=account.source_addr_npi,
        destination_addr=access_number,
    )


def _body(account: SmppAccount, version: str, coding: int, udhi: bool, content: bytes) -> _Body:
    """Put user data where the account wants it.

    Spec: text-and-long-messages.md section 3: never a header and the sar parameters together.
    """
    if coding == constants.CODING_DEFAULT:
        content = _in_alphabet(account, udhi, content)
        coding = account.data_coding
    body = _Body(constants.ESM_UDHI if udhi else 0, coding, content, [])
    long = udhi or len(content) > constants.SHORT_MESSAGE_OCTETS_MAX
    if long and version != "3.3":  # which has no optional parameters
        if account.long_form == "payload":
            body.short_message = b""
            body.tlvs = [tlv.make(tlv.MESSAGE_PAYLOAD, content)]
        elif account.long_form == "sar" and udhi:
            _replace_header(body)
    if len(body.short_message) > constants.SHORT_MESSAGE_OCTETS_MAX:
        limit = f"{constants.SHORT_MESSAGE_OCTETS_MAX} octets"
        raise EncodeError("short_message", limit, f"{len(body.short_message)} octets")
    return body


def _replace_header(body: _Body) -> None:
    """Say in sar parameters what the header says, if it says no more than that."""
    header, text, _ = split_header(body.short_message)
    if header is None or header.concatenation is None or header.others:
        return
    joined = header.concatenation
    body.esm_class = 0
    body.short_message = text
    body.tlvs = [
        tlv.make(tlv.SAR_MSG_REF_NUM, joined.reference),
        tlv.make(tlv.SAR_TOTAL_SEGMENTS, joined.total),
        tlv.make(tlv.SAR_SEGMENT_SEQNUM, joined.sequence),
    ]


def _in_alphabet(account: SmppAccount, udhi: bool, content: bytes) -> bytes:
    """Turn GSM 7-bit, which coding 0 means to us, into what it means to this SMSC."""
    codec = CODECS.get(account.default_alphabet)
    if codec is None:
        return content
    _, text, _ = split_header(content) if udhi else (None, content, "")
    header = content[: len(content) - len(text)]
    try:
        return header + gsm7.decode(text).encode(codec)
    except UnicodeEncodeError as error:
        odd = error.object[error.start]
        raise EncodeError("short_message", account.default_alphabet, f"character {odd!r}") from None


def _content(pdu: Submit | Deliver) -> tuple[bool, bytes]:
    """Whether user data starts with a header, and the user data.

    Spec: text-and-long-messages.md section 3. What sar parameters say becomes a header, unless
    there is one already; its form keeps the reference.
    """
    content = pdu.short_message or tlv.find(pdu.tlvs, tlv.MESSAGE_PAYLOAD) or b""
    if pdu.esm_class & constants.ESM_UDHI:
        return True, content
    total = tlv.number(pdu.tlvs, tlv.SAR_TOTAL_SEGMENTS)
    sequence = tlv.number(pdu.tlvs, tlv.SAR_SEGMENT_SEQNUM)
    if not (1 <= sequence <= total <= 255) or total == 1:
        return False, content
    reference = tlv.number(pdu.tlvs, tlv.SAR_MSG_REF_NUM) & 0xFFFF
    width = 8 if reference <= 0xFF else 16
    return True, build_concatenation(Concatenation(reference, width, total, sequence)) + content
