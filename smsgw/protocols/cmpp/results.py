"""SUBMIT_RESP results: code -> text, disposition and kind (cmpp.md section 11).

Codes from 51 to 79 are vendors' own: seen in the field, and the same with several of them. Codes
of a version are not kept apart: 9 of 2.0 ("any other error") is FINAL as 9 of 3.0 is.
"""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind

ACCEPTED, RETRY = Disposition.ACCEPTED, Disposition.RETRY
FINAL, UNKNOWN = Disposition.FINAL, Disposition.UNKNOWN
OK, THROTTLE = ResultKind.OK, ResultKind.THROTTLE
NUMBER, SOURCE, CONTENT = ResultKind.NUMBER, ResultKind.SOURCE, ResultKind.CONTENT
AUTH, FORMAT, TEMPORARY = ResultKind.AUTH, ResultKind.FORMAT, ResultKind.TEMPORARY

RESULTS = {
    0: Result("success", ACCEPTED, OK),
    1: Result("malformed PDU", FINAL, FORMAT),
    2: Result("bad command", FINAL, FORMAT),
    3: Result("duplicate sequence number", FINAL, ResultKind.REPEATED),
    4: Result("wrong message length", FINAL, FORMAT),
    5: Result("fee code error", FINAL, FORMAT),
    6: Result("message too long", FINAL, CONTENT),
    7: Result("service code error", FINAL, AUTH),
    8: Result("flow control", RETRY, THROTTLE),
    9: Result("charged number not served here", FINAL, NUMBER),
    10: Result("Src_Id error", FINAL, SOURCE),
    11: Result("Msg_src error", FINAL, SOURCE),
    12: Result("Fee_terminal_Id error", FINAL, NUMBER),
    13: Result("Dest_terminal_Id error", FINAL, NUMBER),
    51: Result("gateway not connected onward (vendor code)", RETRY, TEMPORARY),
    52: Result("gateway not logged in onward (vendor code)", RETRY, TEMPORARY),
    53: Result("sending onward failed (vendor code)", RETRY, TEMPORARY),
    54: Result("no answer from onward in time (vendor code)", UNKNOWN, TEMPORARY),
    55: Result("no report from onward in time (vendor code)", UNKNOWN, TEMPORARY),
    61: Result("validity period over (vendor code)", FINAL, FORMAT),
    62: Result("scheduled time is past (vendor code)", FINAL, FORMAT),
    63: Result("unknown FeeType (vendor code)", FINAL, FORMAT),
    64: Result("source or destination not allowed (vendor code 64)", FINAL, SOURCE),
    65: Result("source or destination not allowed (vendor code 65)", FINAL, SOURCE),
    66: Result("source or destination not allowed (vendor code 66)", FINAL, SOURCE),
    67: Result("source or destination not allowed (vendor code 67)", FINAL, SOURCE),
    68: Result("user check failed (vendor code)", FINAL, AUTH),
    69: Result("user is on a blacklist (vendor code)", FINAL, NUMBER),
    72: Result("no route (vendor code)", FINAL, NUMBER),
    76: Result("refused by content check (vendor code)", FINAL, CONTENT),
    77: Result("too many submits (vendor code)", RETRY, THROTTLE),
    78: Result("empty SP_Id (vendor code)", FINAL, FORMAT),
    79: Result("empty service code (vendor code)", FINAL, FORMAT),
}
"""After 54 and 55 the message may have gone onward all the same, so nobody knows."""

REFUSALS = {
    THROTTLE: 8,
    ResultKind.QUOTA: 8,
    NUMBER: 13,
    SOURCE: 10,
    CONTENT: 6,
    FORMAT: 1,
    TEMPORARY: 8,
}
"""What a customer is told. 2.0 lists results up to 8 and leaves those from 9 on to the gateway."""


def classify(code: int) -> Result:
    """What a result means. One that no table lists is retried, a bounded number of times."""
    return RESULTS.get(code) or Result(f"result {code}, in no table", RETRY)
