"""SMPP 3.4 and 3.3, the protocol of SMSCs everywhere. Start at :class:`SubmitSm`, :func:`decode`.

>>> from smsgw.protocols import smpp
>>> pdu = smpp.decode(bytes.fromhex("0000001000000015000000000000012c"))
>>> pdu.command, pdu.sequence_number
('enquire_link', 300)
"""

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.smpp import mapping
from smsgw.protocols.smpp.codec import CODEC, Framer, decode, encode
from smsgw.protocols.smpp.constants import PORT
from smsgw.protocols.smpp.pdus import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    CancelSm,
    CancelSmResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    DistributionList,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    QuerySmResp,
    ReplaceSm,
    ReplaceSmResp,
    SmeAddress,
    SubmitMulti,
    SubmitMultiResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
    UnsuccessSme,
)
from smsgw.protocols.smpp.results import REFUSED, classify
from smsgw.protocols.smpp.session import SmppAccount, SmppSession

CARRIER = Carrier(
    name="smpp",
    title="SMPP 3.4",
    codec=CODEC,
    account=SmppAccount,
    session=SmppSession,
    port=PORT,
    family="smpp",
    to_submit=mapping.to_submit,
    from_submit=mapping.from_submit,
    is_report=mapping.is_report,
    from_deliver=mapping.from_deliver,
    from_report=mapping.from_report,
    to_deliver=mapping.to_deliver,
    to_report=mapping.to_report,
    classify=classify,
    message_id=mapping.message_id,
    refusals=REFUSED,
)

__all__ = [
    "CARRIER",
    "CODEC",
    "AlertNotification",
    "BindReceiver",
    "BindReceiverResp",
    "BindTransceiver",
    "BindTransceiverResp",
    "BindTransmitter",
    "BindTransmitterResp",
    "CancelSm",
    "CancelSmResp",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "DistributionList",
    "EnquireLink",
    "EnquireLinkResp",
    "Framer",
    "GenericNack",
    "Outbind",
    "QuerySm",
    "QuerySmResp",
    "ReplaceSm",
    "ReplaceSmResp",
    "SmeAddress",
    "SmppAccount",
    "SmppSession",
    "SubmitMulti",
    "SubmitMultiResp",
    "SubmitSm",
    "SubmitSmResp",
    "Unbind",
    "UnbindResp",
    "UnsuccessSme",
    "decode",
    "encode",
]
