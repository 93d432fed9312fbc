"""What a carrier folder exports: one record that the layers above use instead of ``if carrier``."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from smsgw.errors import Disposition
from smsgw.model import MoMessage, Segment, StatusReport
from smsgw.protocols.account import AUTO, Account
from smsgw.protocols.codec import Codec
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side
from smsgw.protocols.traffic import Traffic
from smsgw.text.charset import Family


class ResultKind(enum.StrEnum):
    """What a result is about, the same words for every carrier."""

    OK = "ok"
    THROTTLE = "throttle"
    QUOTA = "quota"
    HOURS = "forbidden hours"
    NUMBER = "bad number"
    SOURCE = "bad source"
    CONTENT = "content"
    AUTH = "auth"
    FORMAT = "format"
    REPEATED = "repeated"
    TEMPORARY = "temporary"
    VENDOR = "vendor"


class Result(NamedTuple):
    """A carrier's result code explained.

    Attributes:
        text: Its meaning, from the carrier's table.
        disposition: What becomes of the message.
        kind: What it is about; VENDOR for a code in no table.
    """

    text: str
    disposition: Disposition
    kind: ResultKind = ResultKind.VENDOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """One protocol, as everything above ``protocols/`` sees it.

    Attributes:
        name: As in the configuration and on the command line.
        title: For people.
        codec: PDUs <-> octets.
        account: The dataclass of one login's settings.
        session: Makes a session (see :class:`smsgw.protocols.session.Session` for the arguments).
        port: The specification's port.
        peer_dials: Inbound comes over connections that the gateway opens to our listener (SGIP).
        number_digits_max: Most digits a sender number may have.
        content_octets_max: Most octets of one submit's content, where the carrier allows fewer
            than the coding would; None = as the coding says.
        family: Who gave the coding octets their meaning.
        to_submit: (account, version, segment) -> the PDU that asks for it.
        from_submit: Submit -> one segment per recipient (gateway side).
        is_report: Whether an inbound PDU is a status report.
        from_deliver: Inbound PDU -> the message.
        from_report: Inbound PDU -> the report; raises PduError when it cannot be read.
        to_deliver: (account, version, message) -> the PDU that delivers it (gateway side).
        to_report: (account, version, report) -> the PDU that reports it (gateway side).
        classify: Result code of a submit -> what it means.
        message_id: (gateway number, time, count) -> a new carrier_message_id (gateway side); None
            where the submit's own sequence is the id (SGIP).
        submit_id: There, the id that a submit itself carries.
        receiver_id: (carrier_message_id of the answer, place in the submit from 0) -> the id that
            the report on this recipient names (gateway side).
        refusals: What a submit that is refused is about -> the result that says so (gateway side);
            empty where customers cannot log in to us.
        own_id: An id of ours -> the carrier_message_id that a customer is given (gateway side).
    """

    name: str
    title: str
    codec: Codec
    account: type[Account]
    session: Callable[..., Session]
    port: int
    peer_dials: bool = False
    number_digits_max: int = 20
    content_octets_max: int | None = None
    family: Family = "chinese"
    to_submit: Callable[[Any, str, Segment], Pdu]
    from_submit: Callable[[Any], list[Segment]]
    is_report: Callable[[Any], bool]
    from_deliver: Callable[[Any], MoMessage]
    from_report: Callable[[Any], StatusReport]
    to_deliver: Callable[[Any, str, MoMessage], Pdu]
    to_report: Callable[[Any, str, StatusReport], Pdu]
    classify: Callable[[int], Result]
    message_id: Callable[[int, datetime, int], str] | None
    submit_id: Callable[[Any], str] = lambda pdu: ""
    receiver_id: Callable[[str, int], str] = lambda message_id, place: message_id
    refusals: Mapping[ResultKind, int] = dataclasses.field(default_factory=dict)
    own_id: Callable[[int], str] = str

    @property
    def versions(self) -> list[str]:
        """What an account's version may be."""
        return [*self.codec.tables, *([AUTO] if self.account.negotiates else [])]

    def sessions(
        self,
        wall: Callable[[], datetime],
        side: Side = Side.SP,
        secrets: Callable[[str], str | None] = lambda name: None,
        traffic: Traffic | None = None,
    ) -> Callable[[Account, Role], Session]:
        """Return what makes the sessions of one account's connections, dialled and accepted.

        Args:
            wall: China Standard Time.
            side: Customer or gateway.
            secrets: Server role: login name -> shared secret.
            traffic: Where all of them count; None: each by itself.
        """

        def make(account: Account, role: Role) -> Session:
            session = self.session(account, role, side, wall, secrets)
            if traffic is not None:
                session.count_in(traffic)
            return session

        return make
