"""command_status of the answers: code -> text and disposition (SMPP 3.4 5.1.3, table 5-2)."""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.events import RefusalKind

ACCEPTED, RETRY, FINAL = Disposition.ACCEPTED, Disposition.RETRY, Disposition.FINAL

RESULTS = {
    0x00: Result("success", ACCEPTED, ResultKind.OK),
    0x01: Result("invalid message length", FINAL, ResultKind.CONTENT),
    0x02: Result("invalid command length", FINAL, ResultKind.FORMAT),
    0x03: Result("invalid command id", FINAL, ResultKind.FORMAT),
    0x04: Result("command not allowed in this bind state", RETRY, ResultKind.TEMPORARY),
    0x05: Result("already bound", RETRY, ResultKind.TEMPORARY),
    0x06: Result("invalid priority_flag", FINAL, ResultKind.FORMAT),
    0x07: Result("invalid registered_delivery", FINAL, ResultKind.FORMAT),
    0x08: Result("system error", RETRY, ResultKind.TEMPORARY),
    0x0A: Result("invalid source address", FINAL, ResultKind.SOURCE),
    0x0B: Result("invalid destination address", FINAL, ResultKind.NUMBER),
    0x0C: Result("invalid message_id", FINAL, ResultKind.FORMAT),
    0x0D: Result("bind failed", RETRY, ResultKind.AUTH),
    0x0E: Result("invalid password", FINAL, ResultKind.AUTH),
    0x0F: Result("invalid system_id", FINAL, ResultKind.AUTH),
    0x11: Result("cancel_sm failed", FINAL, ResultKind.FORMAT),
    0x13: Result("replace_sm failed", FINAL, ResultKind.FORMAT),
    0x14: Result("message queue full", RETRY, ResultKind.THROTTLE),
    0x15: Result("invalid service_type", FINAL, ResultKind.FORMAT),
    0x33: Result("invalid number of destinations", FINAL, ResultKind.NUMBER),
    0x34: Result("invalid distribution list name", FINAL, ResultKind.NUMBER),
    0x40: Result("invalid destination flag", FINAL, ResultKind.NUMBER),
    0x42: Result("invalid submit with replace", FINAL, ResultKind.FORMAT),
    0x43: Result("invalid esm_class", FINAL, ResultKind.FORMAT),
    0x44: Result("cannot submit to a distribution list", FINAL, ResultKind.NUMBER),
    0x45: Result("submit_sm failed", FINAL, ResultKind.VENDOR),
    0x48: Result("invalid source_addr_ton", FINAL, ResultKind.SOURCE),
    0x49: Result("invalid source_addr_npi", FINAL, ResultKind.SOURCE),
    0x50: Result("invalid dest_addr_ton", FINAL, ResultKind.NUMBER),
    0x51: Result("invalid dest_addr_npi", FINAL, ResultKind.NUMBER),
    0x53: Result("invalid system_type", FINAL, ResultKind.AUTH),
    0x54: Result("invalid replace_if_present_flag", FINAL, ResultKind.FORMAT),
    0x55: Result("invalid number of messages", FINAL, ResultKind.FORMAT),
    0x58: Result("throttled: over the allowed message rate", RETRY, ResultKind.THROTTLE),
    0x61: Result("invalid schedule_delivery_time", FINAL, ResultKind.FORMAT),
    0x62: Result("invalid validity_period", FINAL, ResultKind.FORMAT),
    0x63: Result("predefined message invalid or not found", FINAL, ResultKind.FORMAT),
    0x64: Result("temporary error of the receiving application", RETRY, ResultKind.TEMPORARY),
    0x65: Result("permanent error of the receiving application", FINAL, ResultKind.CONTENT),
    0x66: Result("rejected by the receiving application", FINAL, ResultKind.CONTENT),
    0x67: Result("query_sm failed", FINAL, ResultKind.FORMAT),
    0xC0: Result("error in the optional parameters", FINAL, ResultKind.FORMAT),
    0xC1: Result("optional parameter not allowed", FINAL, ResultKind.FORMAT),
    0xC2: Result("invalid parameter length", FINAL, ResultKind.FORMAT),
    0xC3: Result("expected optional parameter missing", FINAL, ResultKind.FORMAT),
    0xC4: Result("invalid optional parameter value", FINAL, ResultKind.FORMAT),
    0xFE: Result("delivery failed", FINAL, ResultKind.VENDOR),
    0xFF: Result("unknown error", RETRY, ResultKind.TEMPORARY),
}


REFUSALS = {
    0x02: RefusalKind.VERSION,
    0x03: RefusalKind.VERSION,  # a 3.3 SMSC and bind_transceiver
    0x05: RefusalKind.BUSY,
    0x08: RefusalKind.BUSY,
    0x0D: RefusalKind.SECRET,  # many SMSCs say no more than this to a wrong password
    0x0E: RefusalKind.SECRET,
    0x0F: RefusalKind.SECRET,
    0x14: RefusalKind.BUSY,
    0x53: RefusalKind.SECRET,
    0x58: RefusalKind.BUSY,
}
"""What a bind response's command_status says about the login."""

REFUSED = {
    ResultKind.THROTTLE: 0x58,
    ResultKind.QUOTA: 0x14,
    ResultKind.NUMBER: 0x0B,
    ResultKind.SOURCE: 0x0A,
    ResultKind.CONTENT: 0x01,
    ResultKind.FORMAT: 0x45,
    ResultKind.TEMPORARY: 0x08,
}
"""What a customer is told."""


def classify(code: int) -> Result:
    """What a command_status means. One that no table lists is retried, a bounded number of times.

    0x400 to 0x4FF are the SMSC's own (5.1.3): ask its operator.
    """
    return RESULTS.get(code) or Result(f"status {code} (0x{code:08x}), in no table", RETRY)


def refusal_kind(code: int) -> RefusalKind:
    """What a refused login is about."""
    return REFUSALS.get(code, RefusalKind.OTHER)
