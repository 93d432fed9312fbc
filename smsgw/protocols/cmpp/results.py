"""SUBMIT_RESP results: code -> text and disposition (cmpp.md section 11)."""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result

ACCEPTED, RETRY, FINAL = Disposition.ACCEPTED, Disposition.RETRY, Disposition.FINAL

RESULTS = {
    0: Result("success", ACCEPTED),
    1: Result("malformed PDU", FINAL),
    2: Result("bad command", FINAL),
    3: Result("duplicate sequence number", FINAL),
    4: Result("wrong message length", FINAL),
    5: Result("fee code error", FINAL),
    6: Result("message too long", FINAL),
    7: Result("service code error", FINAL),
    8: Result("flow control", RETRY),
    9: Result("charged number not served here", FINAL),
    10: Result("Src_Id error", FINAL),
    11: Result("Msg_src error", FINAL),
    12: Result("Fee_terminal_Id error", FINAL),
    13: Result("Dest_terminal_Id error", FINAL),
}


def classify(code: int) -> Result:
    """What a result means. One that no table lists is retried, a bounded number of times."""
    return RESULTS.get(code) or Result(f"result {code}, in no table", RETRY)
