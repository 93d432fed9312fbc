"""Numbers of CMPP, each with its clause in cmpp.md."""

from __future__ import annotations

from smsgw.protocols.events import RefusalKind

HEADER_OCTETS = 12  # section 3
LARGEST_OCTETS = 4096  # section 3: the largest legal SUBMIT has 3490

PORT = 7890  # section 1: long connection, SP to ISMG

VERSION_OCTETS = {"2.0": 0x20, "3.0": 0x30}  # section 4
VERSIONS_OLD = (0x00, 0x01)  # section 16 Q4: clients that mean 2.0

STATUS_OK = 0  # section 4, CONNECT_RESP
STATUS_MALFORMED = 1
STATUS_UNKNOWN_SOURCE = 2
STATUS_AUTHENTICATION = 3
STATUS_VERSION_HIGH = 4
STATUS_OTHER = 5

STATUS_TEXTS = {
    STATUS_MALFORMED: "malformed PDU",
    STATUS_UNKNOWN_SOURCE: "unknown source address",
    STATUS_AUTHENTICATION: "authentication failed",
    STATUS_VERSION_HIGH: "version too high",
    STATUS_OTHER: "other error; some gateways: too many connections",
}

STATUS_KINDS = {
    STATUS_UNKNOWN_SOURCE: RefusalKind.ADDRESS,  # SG: also a client address that is not allowed
    STATUS_AUTHENTICATION: RefusalKind.SECRET,
    STATUS_VERSION_HIGH: RefusalKind.VERSION,
    STATUS_OTHER: RefusalKind.BUSY,
}

RESULT_OK = 0  # section 11
RESULT_MALFORMED = 1
RESULT_SEQUENCE = 3
RESULT_LENGTH = 4
RESULT_TOO_LONG = 6
RESULT_FLOW = 8
RESULT_DESTINATION_30 = 13

DESTINATIONS_MAX = 99  # section 6: at least 1 and below 100
ASCII_OCTETS_MAX = 159  # section 6: Msg_Fmt 0 is below 160
CONTENT_OCTETS_MAX = 140  # section 6: any other Msg_Fmt
RESERVE_OCTETS = 8  # section 6: the last field of a 2.0 SUBMIT, zeros
LINK_ID_OCTETS = 20  # and of a 3.0 SUBMIT

UDHI_MASK = 0x41  # section 16 Q7: 1, or the esm_class bit 0x40 copied by gateways

REPORT_OCTETS_MIN = 60  # section 7: 2.0 layout; 3.0 has 71, section 16 Q1
REPORT_OCTETS = (60, 71)  # section 7: 2.0, 3.0
REPORT_FIXED_OCTETS = 39  # section 16 Q1: everything but the number field
