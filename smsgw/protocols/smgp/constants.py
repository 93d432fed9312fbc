"""Numbers of SMGP, each with its clause in smgp.md."""

from __future__ import annotations

from typing import Final

HEADER_OCTETS = 12  # section 3
LARGEST_OCTETS = 8192  # section 12, bad input: 100 receivers, their pseudo codes, 255 octets
RESPONSE_BIT = 0x80000000  # section 3

PORT = 8890  # section 1: SP to SMGW

VERSION_OCTETS = {"1.3": 0x13, "2.0": 0x20, "3.0": 0x30}  # section 4
VERSION_BY_MAJOR = {1: "1.3", 2: "2.0", 3: "3.0"}

LOGIN_SEND: Final = 0  # section 4, LoginMode: what the client does on this connection
LOGIN_RECEIVE: Final = 1
LOGIN_TRANSMIT: Final = 2

STATUS_OK = 0  # section 11
STATUS_STRUCTURE = 10
STATUS_WRONG_COMMAND = 11
STATUS_REPEATED = 12
STATUS_AUTHENTICATION = 21
STATUS_VERSION_HIGH = 22
STATUS_MSG_TYPE = 30
STATUS_PRIORITY = 31
STATUS_FEE_TYPE = 32
STATUS_MSG_FORMAT = 34
STATUS_MSG_LENGTH = 36
STATUS_DEST_TERM_ID = 47

MSG_TYPE_MT = 6  # section 5
MSG_TYPES = frozenset({0, MSG_TYPE_MT, 7})
PRIORITY_MAX = 3
FEE_TYPES = frozenset({"00", "01", "02", "03"})
DESTINATIONS_MAX = 100
CONTENT_OCTETS_MAX = 140  # an MT; the field itself holds 255
MSG_FORMATS = frozenset({0, 3, 4, 8, 15, 246})  # section 9

MSG_ID_OCTETS = 10  # section 6
SEQUENCES = 1_000_000
GATEWAYS = 1_000_000

REPORT_RECEIPT = 1  # section 7, IsReport
REPORT_NOTICE = 9  # section 13: a user was cancelled or suspended

REPORT_LABEL = b"id:"  # section 7
REPORT_HEAD_OCTETS = len(REPORT_LABEL) + MSG_ID_OCTETS
