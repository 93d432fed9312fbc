"""SMPP command tables, decode and encode (SMPP 3.4 sections 3 to 5).

3.3 has the same layouts; its peers send no optional parameters and take none.
"""

from __future__ import annotations

from typing import Any

import msgspec

from smsgw.protocols.codec import Codec
from smsgw.protocols.layout import Pdu
from smsgw.protocols.smpp import pdus, tlv
from smsgw.protocols.smpp.constants import ESM_RECEIPT, HEADER_OCTETS, LARGEST_OCTETS
from smsgw.protocols.smpp.report import read_report

COMMANDS: list[type[Pdu]] = [
    pdus.GenericNack,
    pdus.BindReceiver,
    pdus.BindReceiverResp,
    pdus.BindTransmitter,
    pdus.BindTransmitterResp,
    pdus.BindTransceiver,
    pdus.BindTransceiverResp,
    pdus.Outbind,
    pdus.Unbind,
    pdus.UnbindResp,
    pdus.EnquireLink,
    pdus.EnquireLinkResp,
    pdus.SubmitSm,
    pdus.SubmitSmResp,
    pdus.SubmitMulti,
    pdus.SubmitMultiResp,
    pdus.DeliverSm,
    pdus.DeliverSmResp,
    pdus.DataSm,
    pdus.DataSmResp,
    pdus.QuerySm,
    pdus.QuerySmResp,
    pdus.CancelSm,
    pdus.CancelSmResp,
    pdus.ReplaceSm,
    pdus.ReplaceSmResp,
    pdus.AlertNotification,
]

LENIENT: list[type[Pdu]] = [
    pdus.BindReceiverRespBare,
    pdus.BindTransmitterRespBare,
    pdus.BindTransceiverRespBare,
    pdus.SubmitSmRespBare,
    pdus.SubmitMultiRespBare,
    pdus.DeliverSmRespBare,
    pdus.DataSmRespBare,
    pdus.QuerySmRespBare,
]
"""Answers without a body."""


def _refine(pdu: Pdu, fields: dict[str, Any]) -> None:
    if "tlvs" in fields:
        fields["tlvs"] = [tlv.to_item(one) for one in pdu.tlvs]  # type: ignore[attr-defined]
    if isinstance(pdu, pdus.DeliverSm) and pdu.esm_class & ESM_RECEIPT:
        fields["report"] = msgspec.structs.asdict(read_report(pdu))


def _restore(fields: dict[str, Any]) -> None:
    if isinstance(items := fields.get("tlvs"), list):
        fields["tlvs"] = [tlv.from_item(f"tlvs[{i}]", item) for i, item in enumerate(items)]
    if fields.get("command") == pdus.DeliverSm.command:
        fields.pop("report", None)  # shown for people; short_message_hex is what is sent


CODEC = Codec(
    "smpp",
    {"3.3": COMMANDS, "3.4": COMMANDS},
    "3.4",
    HEADER_OCTETS,
    LARGEST_OCTETS,
    lenient=LENIENT,
    refine=_refine,
    restore=_restore,
)

decode = CODEC.decode
encode = CODEC.encode
Framer = CODEC.framer
