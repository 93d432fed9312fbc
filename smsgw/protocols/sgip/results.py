"""Error codes: text, disposition and kind in a Submit_Resp, text in a Report (sgip.md section 8).

32 and 33 changed meaning between the versions: in a response they are read as 1.3 has them, in a
Report as 1.2 has them. The codes from 50 on, and 88, are one vendor's; other publications give some
of them another meaning, so the number is what counts and the text is a hint.
"""

from __future__ import annotations

from smsgw.errors import Disposition
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.events import RefusalKind

TEXTS_12 = {
    0: "success",
    1: "illegal login: name or password",
    2: "repeated login on one connection",
    3: "too many connections of one node",
    4: "wrong LoginType",
    5: "parameter format or range",
    6: "illegal mobile number: must begin with 86",
    7: "wrong command id",
    8: "wrong message length",
    9: "illegal sequence number: repeated, malformed, or wrong node number",
    10: "illegal GNS operation",
    11: "node busy",
    21: "destination cannot be reached now",
    22: "routing error",
    23: "no route",
    24: "ChargeNumber invalid",
    25: "user cannot be reached: off or out of area",
    26: "handset memory full",
    27: "handset cannot take messages",
    28: "handset receive error",
    29: "unknown user",
    30: "function not offered",
    31: "illegal equipment",
    32: "system failure",
    33: "SMSC queue full",
}

TEXTS_13 = {
    3: "too many connections of one node: above 60",
    6: "ChargeNumber or UserNumber badly filled",
    13: "service code not assigned",
    14: "fee above the registered one, or a notice not charged to 21 zeros",
    17: "LinkID does not match",
    18: "user has not subscribed",
    19: "UserCount is not 1: no group sending",
    32: "packet format: a number, CorpId, ServiceType or LinkID is missing",
    33: "rate limit of this second reached",
    34: "logins too frequent in this minute",
    38: "too many MTs for one LinkID",
    39: "third-party payment: ChargeNumber is neither UserNumber nor the SP",
    40: "MorelatetoMTFlag must not be 3",
    43: "web order with an unknown command word",
    44: "notice intercepted: the carrier sends it",
    95: "monthly record not allowed now",
}

TEXTS_VENDOR = {
    50: "illegal content",
    51: "not connected",
    52: "not logged in",
    53: "send failed",
    54: "no response in time, often a wrong TP_udhi",
    55: "no report in time",
    56: "user state",
    61: "validity passed, or number not on the white list",
    62: "schedule passed",
    63: "FeeType unknown",
    64: "source or destination authorization",
    65: "source or destination authorization",
    66: "source or destination authorization, or 10 messages wait for this handset",
    67: "source or destination authorization",
    68: "user authorization",
    69: "blacklist",
    70: "link down",
    71: "too many nodes",
    72: "no route",
    73: "response timeout",
    74: "charging platform",
    75: "charging platform",
    76: "content security",
    77: "too many Submits",
    78: "SP id empty",
    79: "service empty",
    80: "CP code",
    81: "interface repeated",
    82: "routing loop",
    83: "message too long",
    84: "subscription platform",
    85: "subscription platform",
    86: "subscription platform",
    87: "subscription platform",
    88: "flow control",
    90: "waiting",
    91: "report id",
    92: "MT id",
    93: "SP node number",
    94: "no account",
    100: "authorized",
    101: "SPNumber does not fit the enterprise",
    102: "SPNumber illegal",
    103: "service code",
    104: "fee type",
    105: "fee",
    106: "not subscribed",
    107: "LinkID",
    108: "user suspended",
    109: "ChargeNumber",
    110: "user not active",
    111: "authorization timeout",
    112: "authorization timeout of a monthly service, or too many MTs",
    113: "packet format, or too many charged MTs",
    114: "UserCount is not 1",
    115: "MorelatetoMTFlag must not be 3",
    116: "notice replaces the flow",
    117: "web command",
    118: "monthly record intercepted",
    119: "monthly record repeated",
    120: "subscribe failed",
    121: "unsubscribe failed",
    123: "already subscribed",
    124: "ordered twice",
    182: "daily limit",
}

SUBMIT_TEXTS = {**TEXTS_VENDOR, **TEXTS_12, **TEXTS_13}
REPORT_TEXTS = {**TEXTS_VENDOR, **TEXTS_13, **TEXTS_12}

RETRY_CODES = frozenset({11, 21, 33, 34, 77, 88, 182})
"""Later, with growing pauses; every other listed code is final (section 8)."""

KINDS = {
    ResultKind.OK: {0},
    ResultKind.THROTTLE: {11, 33, 77, 88},
    ResultKind.QUOTA: {38, 112, 182},
    ResultKind.NUMBER: {6, 18, 19, 23, 25, 26, 27, 28, 29, 30, 31, 56, 61, 66, 69, 72}
    | {106, 108, 110, 114, 123, 124},
    ResultKind.SOURCE: {13, 43, 79, 80, 93, 101, 102, 103, 117},
    ResultKind.CONTENT: {50, 76, 83},
    ResultKind.AUTH: {1, 2, 3, 4, 10, 24, 52, 64, 65, 67, 68, 78, 94, 111},
    ResultKind.REPEATED: {9},
    ResultKind.FORMAT: {5, 7, 8, 14, 17, 32, 39, 40, 62, 63, 81, 91, 92, 104, 105, 107}
    | {109, 113, 115},
    ResultKind.TEMPORARY: {21, 22, 34, 51, 53, 54, 55, 70, 71, 73, 82, 90},
}
"""What the codes are about; those of the carrier's billing, and what is left, are VENDOR."""

REFUSALS = {
    1: RefusalKind.SECRET,
    2: RefusalKind.BUSY,
    3: RefusalKind.BUSY,
    11: RefusalKind.BUSY,
    34: RefusalKind.BUSY,
    71: RefusalKind.BUSY,
    88: RefusalKind.BUSY,
    93: RefusalKind.SECRET,
    94: RefusalKind.SECRET,
}
"""What a Bind_Resp's Result says about the login: there is no code for an address or a version."""


def _disposition(code: int) -> Disposition:
    if code == 0:
        return Disposition.ACCEPTED
    return Disposition.RETRY if code in RETRY_CODES else Disposition.FINAL


def _kind(code: int) -> ResultKind:
    return next((kind for kind, codes in KINDS.items() if code in codes), ResultKind.VENDOR)


RESULTS = {
    code: Result(text, _disposition(code), _kind(code)) for code, text in SUBMIT_TEXTS.items()
}


def classify(code: int) -> Result:
    """What a response's Result means. One in no table is retried, a bounded number of times."""
    unlisted = f"result {code}, in no table"
    return RESULTS.get(code) or Result(unlisted, Disposition.RETRY, ResultKind.VENDOR)


def refusal_kind(code: int) -> RefusalKind:
    """What a refused login is about."""
    return REFUSALS.get(code, RefusalKind.OTHER)


def error_text(code: int) -> str:
    """What a Report's ErrorCode means, for people."""
    return REPORT_TEXTS.get(code) or f"error {code}, in no table"
