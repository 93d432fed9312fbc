"""SMGP 3.0.3 (also 1.3 and 2.0), China Telecom's. Start at :class:`Submit30` and :func:`decode`.

>>> from smsgw.protocols import smgp
>>> pdu = smgp.decode(bytes.fromhex("0000000c000000040000012c"))
>>> pdu.command, pdu.sequence_id
('SMGP_ACTIVE_TEST', 300)
"""

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.smgp import mapping
from smsgw.protocols.smgp.codec import CODEC, Framer, decode, encode
from smsgw.protocols.smgp.constants import CONTENT_OCTETS_MAX, PORT
from smsgw.protocols.smgp.pdus import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Exit,
    ExitResp,
    Forward,
    ForwardResp,
    GetAllSpRoute,
    GetAllSpRouteResp,
    GetAllTeRoute,
    GetAllTeRouteResp,
    Login,
    LoginResp,
    PushUpdateSpRoute,
    PushUpdateSpRouteResp,
    PushUpdateTeRoute,
    PushUpdateTeRouteResp,
    Query,
    QueryResp,
    QuerySpRoute,
    QuerySpRouteResp,
    QueryTeRoute,
    QueryTeRouteResp,
    Submit13,
    Submit30,
    SubmitResp,
    UpdateSpRoute,
    UpdateSpRouteResp,
    UpdateTeRoute,
    UpdateTeRouteResp,
)
from smsgw.protocols.smgp.results import classify
from smsgw.protocols.smgp.session import SmgpAccount, SmgpSession

CARRIER = Carrier(
    name="smgp",
    title="SMGP (China Telecom)",
    codec=CODEC,
    account=SmgpAccount,
    session=SmgpSession,
    content_octets_max=CONTENT_OCTETS_MAX,
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
)

__all__ = [
    "CARRIER",
    "CODEC",
    "ActiveTest",
    "ActiveTestResp",
    "Deliver",
    "DeliverResp",
    "Exit",
    "ExitResp",
    "Forward",
    "ForwardResp",
    "Framer",
    "GetAllSpRoute",
    "GetAllSpRouteResp",
    "GetAllTeRoute",
    "GetAllTeRouteResp",
    "Login",
    "LoginResp",
    "PushUpdateSpRoute",
    "PushUpdateSpRouteResp",
    "PushUpdateTeRoute",
    "PushUpdateTeRouteResp",
    "Query",
    "QueryResp",
    "QuerySpRoute",
    "QuerySpRouteResp",
    "QueryTeRoute",
    "QueryTeRouteResp",
    "SmgpAccount",
    "SmgpSession",
    "Submit13",
    "Submit30",
    "SubmitResp",
    "UpdateSpRoute",
    "UpdateSpRouteResp",
    "UpdateTeRoute",
    "UpdateTeRouteResp",
    "decode",
    "encode",
]
