"""CMPP command tables per version, decode and encode (cmpp.md sections 3 to 14)."""

from __future__ import annotations

from typing import Any

import msgspec

from smsgw.errors import PduError
from smsgw.protocols.cmpp import pdus
from smsgw.protocols.cmpp.constants import HEADER_OCTETS, LARGEST_OCTETS
from smsgw.protocols.cmpp.report import parse_report
from smsgw.protocols.codec import Codec
from smsgw.protocols.layout import Pdu

COMMON: list[type[Pdu]] = [
    pdus.Connect,
    pdus.Terminate,
    pdus.TerminateResp,
    pdus.Query,
    pdus.QueryResp,
    pdus.Cancel,
    pdus.ActiveTest,
    pdus.ActiveTestResp,
]

VERSIONS: dict[str, list[type[Pdu]]] = {
    "2.0": [
        *COMMON,
        pdus.ConnectResp20,
        pdus.Submit20,
        pdus.SubmitResp20,
        pdus.Deliver20,
        pdus.DeliverResp20,
        pdus.CancelResp20,
        pdus.Fwd20,
        pdus.FwdResp20,
    ],
    "3.0": [
        *COMMON,
        pdus.ConnectResp30,
        pdus.Submit30,
        pdus.SubmitResp30,
        pdus.Deliver30,
        pdus.DeliverResp30,
        pdus.CancelResp30,
        pdus.Fwd30,
        pdus.FwdResp30,
    ],
}

LENIENT: list[type[Pdu]] = [
    pdus.ConnectResp20,
    pdus.ConnectResp30,
    pdus.SubmitResp20,
    pdus.SubmitResp30,
    pdus.DeliverResp20,
    pdus.DeliverResp30,
    pdus.CancelResp20,
    pdus.CancelResp30,
    pdus.ActiveTestRespBare,
]
"""Section 16 Q2: answers of the other version's length; section 13: ACTIVE_TEST_RESP of 12."""


def _add_report(pdu: Pdu, fields: dict[str, Any]) -> None:
    if isinstance(pdu, pdus.Deliver20 | pdus.Deliver30) and pdu.registered_delivery == 1:
        try:
            report = parse_report(pdu.msg_content)
        except PduError as error:
            tail = 8 if isinstance(pdu, pdus.Deliver20) else 20  # Reserved, LinkID
            offset = fields["total_length"] - tail - len(pdu.msg_content)
            raise PduError(error.command, error.field, offset, error.problem) from None
        fields["report"] = msgspec.structs.asdict(report)


def _drop_report(fields: dict[str, Any]) -> None:
    if fields.get("command") == "CMPP_DELIVER":
        fields.pop("report", None)  # shown for people; msg_content_hex is what is sent


CODEC = Codec(
    "cmpp",
    VERSIONS,
    "3.0",
    HEADER_OCTETS,
    LARGEST_OCTETS,
    lenient=LENIENT,
    refine=_add_report,
    restore=_drop_report,
)

decode = CODEC.decode
encode = CODEC.encode
Framer = CODEC.framer
