"""Numbers of SMPP, each with its clause of SMPP 3.4."""

from __future__ import annotations

HEADER_OCTETS = 16  # 3.2
LARGEST_OCTETS = 69632  # message_payload has at most 64 KiB (5.3.2.32); the rest stays below 4096
RESPONSE_BIT = 0x80000000  # 5.1.2.1

PORT = 2775  # registered with IANA for SMPP

SEQUENCE_MAX = 0x7FFFFFFF  # 3.2: from 1

VERSION_OCTETS = {"3.3": 0x33, "3.4": 0x34}  # 5.2.4 interface_version
VERSION_TLVS = 0x34  # lower peers must not be sent optional parameters (3.4)

ROK = 0x00000000  # 5.1.3
RINVMSGLEN = 0x00000001
RINVCMDLEN = 0x00000002
RINVCMDID = 0x00000003
RINVBNDSTS = 0x00000004
RALYBND = 0x00000005
RINVDSTADR = 0x0000000B
RINVPASWD = 0x0000000E
RINVSYSID = 0x0000000F
RCANCELFAIL = 0x00000011
RREPLACEFAIL = 0x00000013
RSUBMITFAIL = 0x00000045
RQUERYFAIL = 0x00000067

ESM_RECEIPT = 0x04  # 5.2.12: SMSC delivery receipt
ESM_INTERMEDIATE = 0x20  # 5.2.12: intermediate delivery notification
ESM_UDHI = 0x40  # 5.2.12: the content starts with a user data header
RECEIPT_WANTED = 0x03  # 5.2.17: bits that ask for an SMSC delivery receipt
RECEIPT_OF_FAILURE = 0x02  # 5.2.17: only where the final outcome is failure

MESSAGE_ID_OCTETS_MAX = 64  # 5.2.23, without its 0x00
SHORT_MESSAGE_OCTETS_MAX = 254  # 5.2.21 sm_length

CODING_DEFAULT = 0x00  # 5.2.19
CODING_ASCII = 0x01
CODING_LATIN1 = 0x03

TON_UNKNOWN = 0x00  # 5.2.5
TON_INTERNATIONAL = 0x01
NPI_UNKNOWN = 0x00  # 5.2.6
NPI_ISDN = 0x01

STATE_ENROUTE = 1  # 5.2.28 message_state
STATE_DELIVERED = 2
STATE_EXPIRED = 3
STATE_DELETED = 4
STATE_UNDELIVERABLE = 5
STATE_ACCEPTED = 6
STATE_UNKNOWN = 7
STATE_REJECTED = 8
