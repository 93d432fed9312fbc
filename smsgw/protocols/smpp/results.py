"""command_status of the answers: code -> text and disposition (SMPP 3.4 5.1.3, table 5-2)."""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result

ACCEPTED, RETRY, FINAL = Disposition.ACCEPTED, Disposition.RETRY, Disposition.FINAL

RESULTS = {
    0x00: Result("success", ACCEPTED),
    0x01: Result("invalid message length", FINAL),
    0x02: Result("invalid command length", FINAL),
    0x03: Result("invalid command id", FINAL),
    0x04: Result("command not allowed in this bind state", RETRY),
    0x05: Result("already bound", RETRY),
    0x06: Result("invalid priority_flag", FINAL),
    0x07: Result("invalid registered_delivery", FINAL),
    0x08: Result("system error", RETRY),
    0x0A: Result("invalid source address", FINAL),
    0x0B: Result("invalid destination address", FINAL),
    0x0C: Result("invalid message_id", FINAL),
    0x0D: Result("bind failed", RETRY),
    0x0E: Result("invalid password", FINAL),
    0x0F: Result("invalid system_id", FINAL),
    0x11: Result("cancel_sm failed", FINAL),
    0x13: Result("replace_sm failed", FINAL),
    0x14: Result("message queue full", RETRY),
    0x15: Result("invalid service_type", FINAL),
    0x33: Result("invalid number of destinations", FINAL),
    0x34: Result("invalid distribution list name", FINAL),
    0x40: Result("invalid destination flag", FINAL),
    0x42: Result("invalid submit with replace", FINAL),
    0x43: Result("invalid esm_class", FINAL),
    0x44: Result("cannot submit to a distribution list", FINAL),
    0x45: Result("submit_sm failed", FINAL),
    0x48: Result("invalid source_addr_ton", FINAL),
    0x49: Result("invalid source_addr_npi", FINAL),
    0x50: Result("invalid dest_addr_ton", FINAL),
    0x51: Result("invalid dest_addr_npi", FINAL),
    0x53: Result("invalid system_type", FINAL),
    0x54: Result("invalid replace_if_present_flag", FINAL),
    0x55: Result("invalid number of messages", FINAL),
    0x58: Result("throttled: over the allowed message rate", RETRY),
    0x61: Result("invalid schedule_delivery_time", FINAL),
    0x62: Result("invalid validity_period", FINAL),
    0x63: Result("predefined message invalid or not found", FINAL),
    0x64: Result("temporary error of the receiving application", RETRY),
    0x65: Result("permanent error of the receiving application", FINAL),
    0x66: Result("rejected by the receiving application", FINAL),
    0x67: Result("query_sm failed", FINAL),
    0xC0: Result("error in the optional parameters", FINAL),
    0xC1: Result("optional parameter not allowed", FINAL),
    0xC2: Result("invalid parameter length", FINAL),
    0xC3: Result("expected optional parameter missing", FINAL),
    0xC4: Result("invalid optional parameter value", FINAL),
    0xFE: Result("delivery failed", FINAL),
    0xFF: Result("unknown error", RETRY),
}


def classify(code: int) -> Result:
    """What a command_status means. One that no table lists is retried, a bounded number of times.

    0x400 to 0x4FF are the SMSC's own (5.1.3): ask its operator.
    """
    return RESULTS.get(code) or Result(f"status {code} (0x{code:08x}), in no table", RETRY)
