"""CMPP 2.0 and 3.0, China Mobile's protocol. Start at :class:`Submit30` and :func:`decode`.

>>> from smsgw.protocols import cmpp
>>> pdu = cmpp.decode(bytes.fromhex("0000000c000000080000012c"))
>>> pdu.command, pdu.sequence_id
('CMPP_ACTIVE_TEST', 300)
"""

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.cmpp import mapping
from smsgw.protocols.cmpp.codec import CODEC, Framer, decode, encode
from smsgw.protocols.cmpp.constants import PORT
from smsgw.protocols.cmpp.pdus import (
    ActiveTest,
    ActiveTestResp,
    Cancel,
    CancelResp20,
    CancelResp30,
    Connect,
    ConnectResp20,
    ConnectResp30,
    Deliver20,
    Deliver30,
    DeliverResp20,
    DeliverResp30,
    Fwd20,
    Fwd30,
    FwdResp20,
    FwdResp30,
    Query,
    QueryResp,
    Submit20,
    Submit30,
    SubmitResp20,
    SubmitResp30,
    Terminate,
    TerminateResp,
)
from smsgw.protocols.cmpp.results import REFUSALS, classify
from smsgw.protocols.cmpp.session import CmppAccount, CmppSession

CARRIER = Carrier(
    name="cmpp",
    title="CMPP (China Mobile)",
    codec=CODEC,
    account=CmppAccount,
    session=CmppSession,
    port=PORT,
    to_submit=mapping.to_submit,
    from_submit=mapping.from_submit,
    is_report=mapping.is_report,
    from_deliver=mapping.from_deliver,
    from_report=mapping.from_report,
    to_deliver=mapping.to_deliver,
    to_report=mapping.to_report,
    classify=classify,
    message_id=mapping.message_id,
    receiver_id=mapping.receiver_id,
    refusals=REFUSALS,
    own_id=mapping.own_id,
)

__all__ = [
    "CARRIER",
    "CODEC",
    "ActiveTest",
    "ActiveTestResp",
    "Cancel",
    "CancelResp20",
    "CancelResp30",
    "CmppAccount",
    "CmppSession",
    "Connect",
    "ConnectResp20",
    "ConnectResp30",
    "Deliver20",
    "Deliver30",
    "DeliverResp20",
    "DeliverResp30",
    "Framer",
    "Fwd20",
    "Fwd30",
    "FwdResp20",
    "FwdResp30",
    "Query",
    "QueryResp",
    "Submit20",
    "Submit30",
    "SubmitResp20",
    "SubmitResp30",
    "Terminate",
    "TerminateResp",
    "decode",
    "encode",
]
