"""Status of the answers: code -> text, disposition and kind (smgp.md section 11).

The specification's table comes first. Behind it stand the codes of platforms that number on their
own (section 13, "Statuses"): they do not meet the specification's, but two platforms may mean
different things by one of them, so the number is what counts and the text is a hint.
"""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.events import RefusalKind

ACCEPTED, RETRY, FINAL = Disposition.ACCEPTED, Disposition.RETRY, Disposition.FINAL
AUTH, CONTENT, FORMAT = ResultKind.AUTH, ResultKind.CONTENT, ResultKind.FORMAT
NUMBER, SOURCE, TEMPORARY = ResultKind.NUMBER, ResultKind.SOURCE, ResultKind.TEMPORARY
THROTTLE, QUOTA, VENDOR = ResultKind.THROTTLE, ResultKind.QUOTA, ResultKind.VENDOR

ILLEGAL_FIELDS = {
    30: ("MsgType", FORMAT),
    31: ("Priority", FORMAT),
    32: ("FeeType", FORMAT),
    33: ("FeeCode", FORMAT),
    34: ("MsgFormat", CONTENT),
    36: ("MsgLength", CONTENT),
    38: ("QueryType", FORMAT),
    40: ("FixedFee", FORMAT),
    41: ("UpdateType", FORMAT),
    42: ("RouteID", FORMAT),
    43: ("ServiceID", SOURCE),
    44: ("ValidTime", FORMAT),
    45: ("AtTime", FORMAT),
    46: ("SrcTermID", SOURCE),
    47: ("DestTermID", NUMBER),
    48: ("ChargeTermID", NUMBER),
    49: ("SP service code", SOURCE),
    56: ("SrcGatewayID", FORMAT),
    57: ("QueryTermID", NUMBER),
    59: ("SPType", FORMAT),
    60: ("LastRouteID", FORMAT),
    61: ("RouteType", FORMAT),
    62: ("DestGatewayID", FORMAT),
    63: ("DestGatewayIP", FORMAT),
    64: ("DestGatewayPort", FORMAT),
    65: ("TermRangeID", FORMAT),
    66: ("ProvinceCode", FORMAT),
    67: ("UserType", FORMAT),
    69: ("SP enterprise code", SOURCE),
    70: ("SPAccessType", FORMAT),
    72: ("Time", FORMAT),
    73: ("MServiceID", SOURCE),
}

SPECIFIED = {
    0: Result("success", ACCEPTED, ResultKind.OK),
    1: Result("system busy", RETRY, THROTTLE),
    2: Result("too many connections", RETRY, TEMPORARY),
    10: Result("structure error", FINAL, FORMAT),
    11: Result("wrong command", FINAL, FORMAT),
    12: Result("repeated sequence number", FINAL, ResultKind.REPEATED),
    20: Result("address not allowed", FINAL, AUTH),
    21: Result("authentication failed", FINAL, AUTH),
    22: Result("version too high", FINAL, AUTH),
    35: Result("time format error", FINAL, FORMAT),
    37: Result("validity passed", FINAL, FORMAT),
    39: Result("routing error", RETRY, TEMPORARY),
    58: Result("no matching route", FINAL, NUMBER),
    68: Result("this node cannot update routes", FINAL, FORMAT),
    71: Result("route update failed", FINAL, FORMAT),
    74: Result("SP in a forbidden period", RETRY, ResultKind.HOURS),
    75: Result("SP over its daily volume", RETRY, QUOTA),
    76: Result("SP account expired", FINAL, AUTH),
    **{
        code: Result(f"illegal {name}", FINAL, kind)
        for code, (name, kind) in ILLEGAL_FIELDS.items()
    },
}
"""Section 11."""

PLATFORMS = {
    52: Result("unknown account", FINAL, AUTH),
    101: Result("no such account", FINAL, AUTH),
    102: Result("wrong password", FINAL, AUTH),
    103: Result("submitted too fast", RETRY, THROTTLE),
    104: Result("system busy", RETRY, THROTTLE),
    105: Result("source number not allowed", FINAL, SOURCE),
    106: Result("sensitive word", FINAL, CONTENT),
    107: Result("message length", FINAL, CONTENT),
    108: Result("more than 20 receivers", FINAL, NUMBER),
    109: Result("bad number", FINAL, NUMBER),
    110: Result("address not allowed", FINAL, AUTH),
    114: Result("no permission", FINAL, AUTH),
    115: Result("no balance", RETRY, QUOTA),
    116: Result("number on the blacklist", FINAL, NUMBER),
    117: Result("account or number suspended", FINAL, AUTH),
    119: Result("over the volume for virtual operators", RETRY, QUOTA),
    8200: Result("MsgSrc is not the account's", FINAL, SOURCE),
}
"""Section 13: an aggregator's (101 to 119) and a provincial gateway's (52, 8200)."""

RESULTS = {**SPECIFIED, **PLATFORMS}

REFUSALS = {
    1: RefusalKind.BUSY,
    2: RefusalKind.BUSY,
    3: RefusalKind.SECRET,  # one stack answers so to whatever was wrong (section 13)
    20: RefusalKind.ADDRESS,
    21: RefusalKind.SECRET,
    22: RefusalKind.VERSION,
    52: RefusalKind.SECRET,
    76: RefusalKind.SECRET,
    101: RefusalKind.SECRET,
    102: RefusalKind.SECRET,
    103: RefusalKind.BUSY,
    104: RefusalKind.BUSY,
    110: RefusalKind.ADDRESS,
}
"""What a Login_Resp's Status says about the login."""


def classify(code: int) -> Result:
    """What a Status means. One that no table lists is retried, a bounded number of times."""
    return RESULTS.get(code) or Result(f"status {code}, in no table", RETRY, VENDOR)


def refusal_kind(code: int) -> RefusalKind:
    """What a refused login is about."""
    return REFUSALS.get(code, RefusalKind.OTHER)
