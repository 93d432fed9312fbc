"""SGIP PDUs <-> the neutral model. Only this file of the folder imports the model's messages."""

from __future__ import annotations

from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols.sgip import constants, pdus
from smsgw.protocols.sgip.report import error_code_of, state_of, status_of
from smsgw.protocols.sgip.sequence import parse_sequence, sequence_text
from smsgw.protocols.sgip.session import SgipAccount
from smsgw.text.charset import meant_coding
from smsgw.text.numbers import national_number


def to_submit(account: SgipAccount, version: str, segment: Segment) -> pdus.Submit:
    """Return the Submit for one segment, charged as the account says (sgip.md section 5).

    The parts of a long message are told by the header in their content alone; a LinkID goes into
    Reserve (section 9).
    """
    return pdus.Submit(
        sp_number=segment.source,
        charge_number=account.charge_number,
        user_number=[account.number_prefix + segment.to],
        corp_id=account.corp_id,
        service_type=account.service_type,
        fee_type=account.fee_type,
        fee_value=account.fee_value,
        given_value=account.given_value,
        agent_flag=account.agent_flag,
        morelateto_mt_flag=account.morelateto_mt_flag,
        priority=account.priority,
        report_flag=account.report_flag if segment.want_report else constants.REPORT_NEVER,
        tp_udhi=1 if segment.udhi else 0,
        message_coding=segment.coding,
        message_content=segment.content,
        reserve=segment.link_id,
    )


def from_submit(pdu: pdus.Submit) -> list[Segment]:
    """Return what a customer asks for, one segment per recipient.

    No field tells part and total. ReportFlag 0 asks for reports of failures only, which the model
    cannot say: it counts as none.
    """
    wanted = pdu.report_flag in (constants.REPORT_ALWAYS, constants.REPORT_MONTHLY)
    return [
        Segment(
            to=national_number(number),
            source=pdu.sp_number.strip(),
            coding=pdu.message_coding,
            content=pdu.message_content,
            udhi=bool(pdu.tp_udhi & constants.UDHI_MASK),
            want_report=wanted,
            link_id=pdu.reserve,
        )
        for number in pdu.user_number
    ]


def submit_id(pdu: pdus.SgipPdu) -> str:
    """Return the carrier_message_id of a submit: its own sequence (section 7)."""
    return sequence_text((pdu.sequence_node, pdu.sequence_time, pdu.sequence_counter))


def is_report(pdu: pdus.Deliver | pdus.Report) -> bool:
    """Whether an inbound PDU is a status report (section 7)."""
    return isinstance(pdu, pdus.Report)


def from_deliver(pdu: pdus.Deliver) -> MoMessage:
    """Return the MO in a Deliver; its own sequence tells repeats apart."""
    udhi = bool(pdu.tp_udhi & constants.UDHI_MASK)
    return MoMessage(
        sender=national_number(pdu.user_number),
        destination=pdu.sp_number.strip(),
        coding=meant_coding(pdu.message_coding, pdu.message_content, udhi),
        content=pdu.message_content,
        udhi=udhi,
        carrier_message_id=submit_id(pdu),
        link_id=pdu.reserve,
    )


def from_report(pdu: pdus.Report) -> StatusReport:
    """Return the status report in a Report. It has no time in it: its arrival counts."""
    return StatusReport(
        carrier_message_id=sequence_text(
            (pdu.submit_sequence_node, pdu.submit_sequence_time, pdu.submit_sequence_counter)
        ),
        status=status_of(pdu.state),
        stat=str(pdu.state),
        error=str(pdu.error_code) if pdu.error_code else "",
        to=national_number(pdu.user_number),
    )


def to_deliver(account: SgipAccount, version: str, message: MoMessage) -> pdus.Deliver:
    """Return the Deliver that brings an MO to an SP (gateway side)."""
    return pdus.Deliver(
        user_number=account.number_prefix + message.sender,
        sp_number=message.destination,
        tp_udhi=1 if message.udhi else 0,
        message_coding=message.coding,
        message_content=message.content,
        reserve=message.link_id,
    )


def to_report(account: SgipAccount, version: str, report: StatusReport) -> pdus.Report:
    """Return the Report on a submit (gateway side); its status decides State.

    Raises:
        EncodeError: The report names no sequence, or an error that is no code.
    """
    node, time, counter = parse_sequence(report.carrier_message_id)
    state = state_of(report.status)
    return pdus.Report(
        submit_sequence_node=node,
        submit_sequence_time=time,
        submit_sequence_counter=counter,
        report_type=constants.REPORT_ABOUT_SUBMIT,
        user_number=account.number_prefix + report.to,
        state=state,
        error_code=error_code_of(state, report.error),
    )
