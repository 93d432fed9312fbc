"""Numbers of SGIP, each with its clause in sgip.md."""

from __future__ import annotations

HEADER_OCTETS = 20  # section 3
LARGEST_OCTETS = 4096  # section 11: a full Submit has 2498

PORT = 8801  # section 1: both the SMG and the SP listen

RESPONSE_BIT = 0x80000000  # section 3: a response's command id is its request's with this bit

LOGIN_SP_TO_SMG = 1  # section 4
LOGIN_SMG_TO_SP = 2

RESULT_OK = 0  # section 8
RESULT_LOGIN = 1
RESULT_BOUND_ALREADY = 2
RESULT_LOGIN_TYPE = 4
RESULT_PARAMETER = 5
RESULT_COMMAND = 7
RESULT_LENGTH = 8
RESULT_SEQUENCE = 9
RESULT_SYSTEM = 32

USERS_MAX = 100  # section 5, UserCount

CHARGE_SP = "0" * 21  # section 5, ChargeNumber: the SP pays

REPORT_ALWAYS = 1  # section 5, ReportFlag
REPORT_NEVER = 2
REPORT_MONTHLY = 3

UDHI_MASK = 0x01  # section 5, TP_udhi: only the lowest bit counts

REPORT_ABOUT_SUBMIT = 0  # section 7, ReportType

STATE_DELIVERED = 0  # section 7, State
STATE_WAITING = 1
STATE_FAILED = 2
