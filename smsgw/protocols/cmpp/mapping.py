"""CMPP PDUs <-> the neutral model. Only this file of the folder imports the model's messages."""

from __future__ import annotations

from datetime import datetime

from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols.cmpp import pdus
from smsgw.protocols.cmpp.auth import make_message_id, receiver_message_id
from smsgw.protocols.cmpp.constants import UDHI_MASK
from smsgw.protocols.cmpp.report import Report, build_report, parse_report, status_of
from smsgw.protocols.cmpp.session import CmppAccount
from smsgw.text.charset import meant_coding
from smsgw.text.numbers import national_number

Submit = pdus.Submit20 | pdus.Submit30
Deliver = pdus.Deliver20 | pdus.Deliver30


def to_submit(account: CmppAccount, version: str, segment: Segment) -> Submit:
    """Return the SUBMIT for one segment, charged as the account says (cmpp.md section 8)."""
    cls = pdus.Submit20 if version == "2.0" else pdus.Submit30
    submit: Submit = cls(
        pk_total=segment.total,
        pk_number=segment.part,
        registered_delivery=1 if segment.want_report else 0,
        service_id=account.service_id,
        fee_user_type=account.fee_user_type,
        tp_udhi=account.udhi if segment.udhi else 0,
        msg_fmt=segment.coding,
        msg_src=account.msg_src or account.name,
        fee_type=account.fee_type,
        fee_code=account.fee_code,
        src_id=segment.source,
        dest_terminal_id=[account.number_prefix + segment.to],
        msg_content=segment.content,
    )
    if isinstance(submit, pdus.Submit30):
        submit.link_id = segment.link_id
    return submit


def from_submit(pdu: Submit) -> list[Segment]:
    """Return what a customer asks for, one segment per recipient."""
    return [
        Segment(
            to=national_number(number),
            source=pdu.src_id.strip(),
            coding=pdu.msg_fmt,
            content=pdu.msg_content,
            udhi=bool(pdu.tp_udhi & UDHI_MASK),
            part=pdu.pk_number,
            total=pdu.pk_total,
            want_report=pdu.registered_delivery == 1,
            link_id=pdu.link_id if isinstance(pdu, pdus.Submit30) else "",
            at_time=pdu.at_time,
            valid_time=pdu.valid_time,
        )
        for number in pdu.dest_terminal_id
    ]


def is_report(pdu: Deliver) -> bool:
    """Whether a DELIVER carries a status report (section 7)."""
    return pdu.registered_delivery == 1


def from_deliver(pdu: Deliver) -> MoMessage:
    """Return the MO in a DELIVER."""
    udhi = bool(pdu.tp_udhi & UDHI_MASK)
    return MoMessage(
        sender=national_number(pdu.src_terminal_id),
        destination=pdu.dest_id.strip(),
        coding=meant_coding(pdu.msg_fmt, pdu.msg_content, udhi),
        content=pdu.msg_content,
        udhi=udhi,
        carrier_message_id=f"{pdu.msg_id:016x}",
        link_id=pdu.link_id if isinstance(pdu, pdus.Deliver30) else "",
    )


def from_report(pdu: Deliver) -> StatusReport:
    """Return the status report in a DELIVER.

    Raises:
        PduError: Its content is no report.
    """
    report = parse_report(pdu.msg_content)
    return StatusReport(
        carrier_message_id=f"{report.msg_id:016x}",
        status=status_of(report.stat),
        stat=report.stat,
        to=national_number(report.dest_terminal_id),
        source=pdu.dest_id.strip(),
        submitted=report.submit_time,
        done=report.done_time,
    )


def to_deliver(account: CmppAccount, version: str, message: MoMessage) -> Deliver:
    """Return the DELIVER that brings an MO to an SP (gateway side)."""
    cls = pdus.Deliver20 if version == "2.0" else pdus.Deliver30
    deliver: Deliver = cls(
        msg_id=int(message.carrier_message_id or "0", 16),
        dest_id=message.destination,
        service_id=account.service_id,
        tp_udhi=account.udhi if message.udhi else 0,
        msg_fmt=message.coding,
        src_terminal_id=account.number_prefix + message.sender,
        msg_content=message.content,
    )
    if isinstance(deliver, pdus.Deliver30):
        deliver.link_id = message.link_id
    return deliver


def to_report(account: CmppAccount, version: str, report: StatusReport) -> Deliver:
    """Return the DELIVER that reports on a submit (gateway side)."""
    number = account.number_prefix + report.to
    body = Report(
        msg_id=int(report.carrier_message_id, 16),
        stat=report.stat,
        submit_time=report.submitted,
        done_time=report.done,
        dest_terminal_id=number,
        smsc_sequence=0,
    )
    cls = pdus.Deliver20 if version == "2.0" else pdus.Deliver30
    return cls(
        msg_id=int(report.carrier_message_id, 16),
        dest_id=report.source,
        service_id=account.service_id,
        src_terminal_id=number,
        registered_delivery=1,
        msg_content=build_report(body, version),
    )


def message_id(gateway: int, when: datetime, count: int) -> str:
    """Return a new Msg_Id in the model's form (gateway side)."""
    return f"{make_message_id(gateway, when, count):016x}"


def receiver_id(message_id: str, place: int) -> str:
    """Return the Msg_Id of one recipient of a SUBMIT in the model's form (gateway side)."""
    return f"{receiver_message_id(int(message_id, 16), place):016x}"


def own_id(made: int) -> str:
    """Return the Msg_Id of an id of ours in the model's form (gateway side)."""
    return f"{made:016x}"
