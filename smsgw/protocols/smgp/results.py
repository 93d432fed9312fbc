"""Status of the answers: code -> text and disposition (smgp.md section 11)."""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result

ACCEPTED, RETRY, FINAL = Disposition.ACCEPTED, Disposition.RETRY, Disposition.FINAL

ILLEGAL_FIELDS = {
    30: "MsgType",
    31: "Priority",
    32: "FeeType",
    33: "FeeCode",
    34: "MsgFormat",
    36: "MsgLength",
    38: "QueryType",
    40: "FixedFee",
    41: "UpdateType",
    42: "RouteID",
    43: "ServiceID",
    44: "ValidTime",
    45: "AtTime",
    46: "SrcTermID",
    47: "DestTermID",
    48: "ChargeTermID",
    49: "SP service code",
    56: "SrcGatewayID",
    57: "QueryTermID",
    59: "SPType",
    60: "LastRouteID",
    61: "RouteType",
    62: "DestGatewayID",
    63: "DestGatewayIP",
    64: "DestGatewayPort",
    65: "TermRangeID",
    66: "ProvinceCode",
    67: "UserType",
    69: "SP enterprise code",
    70: "SPAccessType",
    72: "Time",
    73: "MServiceID",
}

RESULTS = {
    0: Result("success", ACCEPTED),
    1: Result("system busy", RETRY),
    2: Result("too many connections", RETRY),
    10: Result("structure error", FINAL),
    11: Result("wrong command", FINAL),
    12: Result("repeated sequence number", FINAL),
    20: Result("address not allowed", FINAL),
    21: Result("authentication failed", FINAL),
    22: Result("version too high", FINAL),
    35: Result("time format error", FINAL),
    37: Result("validity passed", FINAL),
    39: Result("routing error", RETRY),
    58: Result("no matching route", FINAL),
    68: Result("this node cannot update routes", FINAL),
    71: Result("route update failed", FINAL),
    74: Result("SP in a forbidden period", RETRY),
    75: Result("SP over its daily volume", RETRY),
    76: Result("SP account expired", FINAL),
    **{code: Result(f"illegal {field}", FINAL) for code, field in ILLEGAL_FIELDS.items()},
}


def classify(code: int) -> Result:
    """What a Status means. One that no table lists is retried, a bounded number of times."""
    return RESULTS.get(code) or Result(f"status {code}, in no table", RETRY)
