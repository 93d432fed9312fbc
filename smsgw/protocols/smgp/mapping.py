"""SMGP PDUs <-> the neutral model. Only this file of the folder imports the model's messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.errors import EncodeError
from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols.kinds import Tlv
from smsgw.protocols.smgp import pdus, tlv
from smsgw.protocols.smgp.auth import make_message_id, receiver_message_id
from smsgw.protocols.smgp.report import Report, build_report, parse_report, status_of
from smsgw.protocols.smgp.session import SmgpAccount, Submit
from smsgw.text.charset import meant_coding
from smsgw.text.numbers import national_number
from smsgw.text.udh import PARTS_MAX, Concatenation, build_concatenation, split_header

COMPLEMENT = str.maketrans("0123456789abcdef", "9876543210fedcba")


def to_submit(account: SmgpAccount, version: str, segment: Segment) -> Submit:
    """Return the Submit for one segment, charged as the account says (smgp.md sections 5 and 9).

    Raises:
        EncodeError: A TLV's value does not fit.
    """
    cls = pdus.Submit13 if version == "1.3" else pdus.Submit30
    submit: Submit = cls(
        need_report=1 if segment.want_report else 0,
        priority=account.priority,
        service_id=account.service_id,
        fee_type=account.fee_type,
        fee_code=account.fee_code,
        msg_format=segment.coding,
        src_term_id=segment.source,
        charge_term_id=account.charge_term_id,
        dest_term_id=[account.number_prefix + segment.to],
        msg_content=segment.content,
        tlvs=_submit_tlvs(account, segment),
    )
    if isinstance(submit, pdus.Submit30):
        submit.fixed_fee = account.fixed_fee
    return submit


def _submit_tlvs(account: SmgpAccount, segment: Segment) -> list[Tlv]:
    """By rising tag; a plain short message has none unless the account says so."""
    tlvs: list[Tlv] = []
    if segment.udhi:
        tlvs += tlv.make(tlv.TP_PID, 0), tlv.make(tlv.TP_UDHI, 1)
    if segment.link_id:
        tlvs.append(tlv.make(tlv.LINK_ID, segment.link_id))
    if segment.total > 1:
        tlvs += tlv.make(tlv.PK_TOTAL, segment.total), tlv.make(tlv.PK_NUMBER, segment.part)
    if account.msg_src:
        tlvs.append(tlv.make(tlv.MSG_SRC, account.msg_src))
    if account.mservice_id:
        tlvs.append(tlv.make(tlv.M_SERVICE_ID, account.mservice_id))
    return tlvs


def from_submit(pdu: Submit) -> list[Segment]:
    """Return what a customer asks for, one segment per recipient."""
    udhi, joined = _header(pdu.tlvs, pdu.msg_content)
    total, part = 1, 1
    if joined is not None:
        total, part = joined.total, joined.sequence
    elif tlv.number(pdu.tlvs, tlv.PK_TOTAL) > 1:
        total = tlv.number(pdu.tlvs, tlv.PK_TOTAL)
        part = max(tlv.number(pdu.tlvs, tlv.PK_NUMBER), 1)  # some count from 0 (section 13)
    return [
        Segment(
            to=national_number(number),
            source=pdu.src_term_id.strip(),
            coding=pdu.msg_format,
            content=pdu.msg_content,
            udhi=udhi,
            part=part,
            total=total,
            want_report=pdu.need_report == 1,
            link_id=tlv.text(pdu.tlvs, tlv.LINK_ID),
        )
        for number in pdu.dest_term_id
    ]


def is_report(pdu: pdus.Deliver) -> bool:
    """Whether a Deliver carries a receipt (section 7)."""
    return pdu.is_report == 1


def from_deliver(pdu: pdus.Deliver) -> MoMessage:
    """Return the MO in a Deliver."""
    udhi, content = _part(pdu.tlvs, pdu.msg_content)
    return MoMessage(
        sender=national_number(pdu.src_term_id),
        destination=pdu.dest_term_id.strip(),
        coding=meant_coding(pdu.msg_format, content, udhi),
        content=content,
        udhi=udhi,
        carrier_message_id=pdu.msg_id.hex(),
        link_id=tlv.text(pdu.tlvs, tlv.LINK_ID),
        received=pdu.recv_time,
    )


def from_report(pdu: pdus.Deliver) -> StatusReport:
    """Return the receipt in a Deliver; its SrcTermID is the receiver (section 7).

    Raises:
        PduError: Its content is no receipt.
    """
    report = parse_report(pdu.msg_content)
    return StatusReport(
        carrier_message_id=report.msg_id.hex(),
        status=status_of(report.stat),
        stat=report.stat,
        error=report.err,
        to=national_number(pdu.src_term_id),
        source=pdu.dest_term_id.strip(),
        submitted=report.submit_date,
        done=report.done_date,
    )


def to_deliver(account: SmgpAccount, version: str, message: MoMessage) -> pdus.Deliver:
    """Return the Deliver that brings an MO to an SP (gateway side).

    Raises:
        EncodeError: The id is not hexadecimal, or a TLV's value does not fit.
    """
    tlvs: list[Tlv] = []
    if message.udhi:
        tlvs += tlv.make(tlv.TP_PID, 0), tlv.make(tlv.TP_UDHI, 1)
    if message.link_id:
        tlvs.append(tlv.make(tlv.LINK_ID, message.link_id))
    return pdus.Deliver(
        msg_id=_id_octets(message.carrier_message_id) or pdus.NO_ID,
        msg_format=message.coding,
        recv_time=message.received,
        src_term_id=account.number_prefix + message.sender,
        dest_term_id=message.destination,
        msg_content=message.content,
        tlvs=tlvs,
    )


def to_report(account: SmgpAccount, version: str, report: StatusReport) -> pdus.Deliver:
    """Return the Deliver that reports on a Submit (gateway side).

    Raises:
        EncodeError: The id is not hexadecimal, or a field of the receipt does not fit.
    """
    body = Report(
        msg_id=_id_octets(report.carrier_message_id),
        stat=report.stat,
        err=report.error or "000",
        submit_date=report.submitted,
        done_date=report.done,
    )
    return pdus.Deliver(
        msg_id=_deliver_id(report.carrier_message_id),
        is_report=1,
        src_term_id=account.number_prefix + report.to,
        dest_term_id=report.source,
        msg_content=build_report(body),
    )


def message_id(gateway: int, when: datetime, count: int) -> str:
    """Return a new MsgID in the model's form: 20 digits (gateway side)."""
    return make_message_id(gateway, when, count).hex()


def receiver_id(message_id: str, place: int) -> str:
    """Return the MsgID of one receiver of a Submit in the model's form (gateway side)."""
    return receiver_message_id(_id_octets(message_id), place).hex()


def _deliver_id(submit_id: str) -> bytes:
    """An id for a receipt's own Deliver, which must differ from the Submit's (section 7).

    The Submit's with its sequence counted from the other end, so that a repeated receipt repeats
    its id.
    """
    return _id_octets(submit_id[:14] + submit_id[14:].translate(COMPLEMENT))


def _id_octets(message_id: str) -> bytes:
    try:
        return bytes.fromhex(message_id)
    except ValueError:
        raise EncodeError("msg_id", "20 hexadecimal digits", "something else") from None


def _part(tlvs: Sequence[Tlv], content: bytes) -> tuple[bool, bytes]:
    """Whether an MO's content starts with a UDH, and the content.

    Where PkTotal and PkNumber alone say which part of a long message it is, the header they stand
    for is put before it. They name no reference: it is 0, so a sender's parts join while it sends
    one long message of that many parts at a time.
    """
    udhi = _header(tlvs, content)[0]
    total, number = tlv.number(tlvs, tlv.PK_TOTAL), tlv.number(tlvs, tlv.PK_NUMBER)
    if udhi or not 1 < total <= PARTS_MAX or not 1 <= number <= total:
        return udhi, content
    return True, build_concatenation(Concatenation(0, 8, total, number)) + content


def _header(tlvs: Sequence[Tlv], content: bytes) -> tuple[bool, Concatenation | None]:
    """Whether content starts with a UDH, and which part of what it says this is.

    Spec: smgp.md section 9: TP_udhi, of which only the lowest bit counts; without it a PkTotal
    above 1 together with a valid concatenation header.
    """
    if not tlvs:
        return False, None
    marked = bool(tlv.number(tlvs, tlv.TP_UDHI) & 1)
    if not marked and tlv.number(tlvs, tlv.PK_TOTAL) <= 1:
        return False, None
    header, _, _ = split_header(content)
    joined = header.concatenation if header is not None else None
    return marked or joined is not None, joined
