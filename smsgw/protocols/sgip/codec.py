"""SGIP's command table, decode and encode (sgip.md sections 3 to 10)."""

from __future__ import annotations

from smsgw.protocols.codec import Codec
from smsgw.protocols.layout import Pdu, pdu
from smsgw.protocols.sgip import pdus
from smsgw.protocols.sgip.constants import HEADER_OCTETS, LARGEST_OCTETS, RESPONSE_BIT
from smsgw.protocols.sgip.sequence import Sequence

REQUESTS: list[type[Pdu]] = [
    pdus.Bind,
    pdus.Unbind,
    pdus.Submit,
    pdus.Deliver,
    pdus.Report,
    pdus.AddSp,
    pdus.ModifySp,
    pdus.DeleteSp,
    pdus.QueryRoute,
    pdus.AddTeleSeg,
    pdus.ModifyTeleSeg,
    pdus.DeleteTeleSeg,
    pdus.AddSmg,
    pdus.ModifySmg,
    pdus.DeleteSmg,
    pdus.CheckUser,
    pdus.UserRpt,
    pdus.Trace,
]

RESULT_RESPONSES: list[type[Pdu]] = [
    pdus.BindResp,
    pdus.SubmitResp,
    pdus.DeliverResp,
    pdus.ReportResp,
    pdus.AddSpResp,
    pdus.ModifySpResp,
    pdus.DeleteSpResp,
    pdus.QueryRouteResp,
    pdus.AddTeleSegResp,
    pdus.ModifyTeleSegResp,
    pdus.DeleteTeleSegResp,
    pdus.AddSmgResp,
    pdus.ModifySmgResp,
    pdus.DeleteSmgResp,
    pdus.CheckUserResp,
    pdus.UserRptResp,
]
"""Responses whose body starts with Result; the other two are Unbind_Resp and Trace_Resp."""

PDUS: list[type[Pdu]] = [*REQUESTS, *RESULT_RESPONSES, pdus.UnbindResp, pdus.TraceResp]

CODEC = Codec(
    "sgip",
    {"1.2": PDUS, "1.3": PDUS},  # section 12: 1.3 changes only error codes
    "1.2",
    HEADER_OCTETS,
    LARGEST_OCTETS,
    lenient=[pdus.QueryRouteRespEnd],
)


@pdu(pdus.Deliver.command_id, pdus.Deliver.command)
class ReportAsDeliver(pdus.Report):
    """A Report under Deliver's command id, as one implementation writes it (section 13).

    Only a session looks for it: by its command id it is answered as the Deliver it says it is.
    """


decode = CODEC.decode
encode = CODEC.encode
Framer = CODEC.framer

_ANSWERS = {cls.command_id & ~RESPONSE_BIT: cls for cls in RESULT_RESPONSES}


def answer_to(command_id: int, sequence: Sequence, result: int) -> Pdu | None:
    """Return the response that gives ``result`` to a request, or None when there is no such PDU.

    A response repeats all three words of its request's sequence (section 3). Unbind_Resp has no
    place for a result; a Trace_Resp carries it in a single record.
    """
    if command_id == pdus.Trace.command_id:
        return pdus.TraceResp(*sequence, nodes=[pdus.TraceNode(result)])
    cls = _ANSWERS.get(command_id)
    return None if cls is None else cls(*sequence, result)
