"""CMPP's part of a session: CONNECT, ACTIVE_TEST, SUBMIT and DELIVER (cmpp.md sections 4 to 15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from smsgw.errors import PduError
from smsgw.protocols import events as ev
from smsgw.protocols.account import AUTO, Account
from smsgw.protocols.cmpp import auth, constants, pdus
from smsgw.protocols.cmpp.codec import CODEC
from smsgw.protocols.cmpp.lenient import read_deliver
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.layout import Pdu
from smsgw.protocols.repeats import Repeats
from smsgw.protocols.session import Session
from smsgw.protocols.states import Role, Side, State

ConnectResp = pdus.ConnectResp20 | pdus.ConnectResp30


@dataclass(slots=True, kw_only=True)
class CmppAccount(Account):
    """One CMPP login (SP_Id and secret), and what its contract fixes.

    Attributes:
        version_octet: Version in CONNECT where it is not what ``version`` says, such as 0x21 or
            0x7F (section 16 Q4); 0 = as ``version`` says.
        strict_authenticator: Refuse a gateway whose own proof of the secret is wrong (section 16
            Q5), rather than warn.
        service_id: 业务代码, at most 10 characters.
        msg_src: 企业代码 in each SUBMIT; "" = the login name.
        fee_user_type: Who pays: 2 the SP.
        fee_type: Two digits: 01 free.
        fee_code: Price in fen, digits.
        udhi: TP_udhi of long messages: 1, or 0x40 where a gateway wants it (section 16 Q7).
        number_prefix: Written before each recipient: "", "86" or "+86".
    """

    negotiates: ClassVar[bool] = True
    customer_keys: ClassVar[tuple[str, ...]] = (
        *Account.customer_keys,
        "service_id",
        "udhi",
        "number_prefix",
    )

    version: str = "3.0"
    version_octet: int = 0
    strict_authenticator: bool = False
    service_id: str = ""
    msg_src: str = ""
    fee_user_type: int = 2
    fee_type: str = "01"
    fee_code: str = "000000"
    udhi: int = 1
    number_prefix: str = ""


class CmppSession(Session):
    """A CMPP connection, either role."""

    account: CmppAccount
    codec = CODEC
    unbind_pdu = pdus.Terminate
    heartbeat_pdu = pdus.ActiveTest

    _sequence = 0
    _login = b""

    def __init__(
        self,
        account: CmppAccount,
        role: Role,
        side: Side,
        wall: Callable[[], datetime],
        secrets: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        super().__init__(account, role, side, wall, secrets)
        self._repeats = Repeats(account.response_timeout)

    def commands(self) -> dict[int, Callable[[Any, float], None]]:
        shared: dict[int, Callable[[Any, float], None]] = {
            pdus.ActiveTest.command_id: self._active_test,
            pdus.ActiveTestResp.command_id: self.heartbeat_answered,
            pdus.Terminate.command_id: self._terminate,
            pdus.TerminateResp.command_id: self.unbind_answered,
        }
        if self.role is Role.CLIENT:
            return {
                **shared,
                pdus.ConnectResp30.command_id: self._connect_resp,
                pdus.SubmitResp30.command_id: self._submit_resp,
                pdus.Deliver30.command_id: self._deliver,
            }
        return {
            **shared,
            pdus.Connect.command_id: self._connect,
            pdus.Submit30.command_id: self._submit,
            pdus.DeliverResp30.command_id: self._deliver_resp,
        }

    def next_sequence(self, pdu: Pdu) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        pdu.sequence_id = self._sequence  # type: ignore[attr-defined]
        return self._sequence

    # ---- client: we are the SP -----------------------------------------------------------

    def bind_request(self, now: float) -> pdus.Connect:
        timestamp = auth.login_timestamp(self.wall())
        self._login = auth.login_digest(self.account.name, self.account.secret, timestamp)
        own = self.account.version_octet if self.version == self.account.version else 0
        return pdus.Connect(
            source_addr=self.account.name,
            authenticator_source=self._login,
            version=own or constants.VERSION_OCTETS[self._asked()],
            timestamp=timestamp,
        )

    def _asked(self) -> str:
        """The version of our login: the newest unless one was set."""
        return self.version if self.version in constants.VERSION_OCTETS else "3.0"

    def _connect_resp(self, pdu: ConnectResp, now: float) -> None:
        if not self.login_awaited(pdu):
            return
        if pdu.status != constants.STATUS_OK:
            self._refused(pdu)
            return
        asked = self._asked()
        old = asked == "3.0" and self._speaks_old(pdu)
        if old and self.account.version != AUTO:
            self.bind_refused(
                constants.STATUS_VERSION_HIGH,
                f"the gateway speaks version {pdu.version >> 4}.{pdu.version & 15} at most;"
                f" set version of this link to 2.0 or {AUTO}",
                RefusalKind.VERSION,
            )
            return
        warning = ""
        if not auth.server_matches(
            pdu.authenticator_ismg, pdu.status, self._login, self.account.secret
        ):
            warning = "AuthenticatorISMG does not match the shared secret"
        if warning and self.account.strict_authenticator:
            self.bind_refused(constants.STATUS_AUTHENTICATION, warning, RefusalKind.SECRET)
        else:
            self.bind_accepted("2.0" if old else asked, warning)

    def _speaks_old(self, pdu: ConnectResp) -> bool:
        """Whether the gateway names 2.x as its highest; if it names nothing, by its layout."""
        if pdu.version >= constants.VERSION_OCTETS["2.0"]:
            return pdu.version < constants.VERSION_OCTETS["3.0"]
        return self.account.version == AUTO and isinstance(pdu, pdus.ConnectResp20)

    def _refused(self, pdu: ConnectResp) -> None:
        text = constants.STATUS_TEXTS.get(pdu.status, "other error")
        kind = constants.STATUS_KINDS.get(pdu.status, RefusalKind.OTHER)
        version = ""
        if kind is RefusalKind.VERSION and self.account.version == AUTO:
            asked = self._asked()
            version = next(name for name in constants.VERSION_OCTETS if name != asked)
        self.bind_refused(pdu.status, text, kind, version)

    def _submit_resp(self, pdu: pdus.SubmitResp30, now: float) -> None:
        message_id = f"{pdu.msg_id:016x}" if pdu.result == 0 else ""
        self.submit_answered(pdu.sequence_id, pdu, pdu.result, message_id)

    def _deliver(self, pdu: pdus.Deliver30, now: float) -> None:
        if not self.peer_request_allowed(pdu):
            return
        if pdu.registered_delivery == 1:
            self.emit(ev.ReportReceived(pdu, self.received_octets()))
        else:
            self.emit(ev.MoReceived(pdu, self.received_octets()))

    def acknowledge(self, token: Pdu, result: int = 0) -> None:
        """Answer a DELIVER in its own layout; its own Msg_Id goes back, never the report's."""
        cls = pdus.DeliverResp20 if isinstance(token, pdus.Deliver20) else pdus.DeliverResp30
        self.send(cls(token.sequence_id, token.msg_id, result))  # type: ignore[attr-defined]

    def read_anyway(self, error: PduError, buffer: bytes, start: int, end: int) -> Pdu | None:
        """Read a PDU that does not fit its layout; told once for each connection.

        Spec: cmpp.md section 15 (extra octets; a CONNECT is malformed), section 16 Q2 and Q3.
        """
        if error.command_id != pdus.Deliver30.command_id or self.role is not Role.CLIENT:
            return self._without_tail(error, buffer, start)
        read = read_deliver(buffer[start:end], self.version)
        if read is None:
            return None
        pdu, oddity = read
        self.emit(ev.PeerMistake(oddity))
        sums = self.traffic.received[pdu.command_id]
        self._table[pdu.command_id] = (self._read_deliver, self._deliver, sums)
        return pdu

    def _without_tail(self, error: PduError, buffer: bytes, start: int) -> Pdu | None:
        """A PDU that is good but for the octets after its last field, or None.

        In a SUBMIT they may come from a Msg_Length that says too little, and its last field then
        holds the content's end: it is taken only where that field is empty.
        """
        if error.field or error.command_id in (0, pdus.Connect.command_id):
            return None
        end = start + error.offset
        tail = constants.RESERVE_OCTETS if self.version == "2.0" else constants.LINK_ID_OCTETS
        if error.command_id == pdus.Submit30.command_id and any(buffer[end - tail : end]):
            return None
        self.tell_once(f"{error.command}: octets after its last field are ignored")
        return self.codec.decode_at(buffer, start, end, self.version)

    def _read_deliver(self, buffer: bytes, start: int, end: int) -> Pdu:
        """How DELIVERs are read once one was odd: slower, and with no word about it."""
        read = read_deliver(buffer[start:end], self.version)
        if read is None:
            raise PduError("CMPP_DELIVER", "", 0, "fits no layout", pdus.Deliver30.command_id)
        return read[0]

    # ---- server: we are the ISMG ---------------------------------------------------------

    def _connect(self, pdu: pdus.Connect, now: float) -> None:
        version, status = self._spoken(pdu.version), constants.STATUS_OK
        secret = self.secrets(pdu.source_addr)
        if version is None:
            status = constants.STATUS_VERSION_HIGH
        elif secret is None:
            status = constants.STATUS_UNKNOWN_SOURCE
        elif not auth.login_matches(
            pdu.authenticator_source, pdu.source_addr, secret, pdu.timestamp
        ):
            status = constants.STATUS_AUTHENTICATION
        elif self.turned_away(pdu.source_addr):
            status = constants.STATUS_OTHER
        self._answer_connect(pdu, version or self._asked(), status, secret or "")
        if status == constants.STATUS_OK and version is not None:
            self.peer_bound(pdu.source_addr, version)
        else:
            kind = constants.STATUS_KINDS[status]
            self.bind_refused(status, constants.STATUS_TEXTS[status], kind)

    def _spoken(self, octet: int) -> str | None:
        """The version for a client's octet; None when it is too high (section 16 Q4)."""
        highest = self._asked()
        if octet == self.account.version_octet != 0:
            return highest
        if octet in constants.VERSIONS_OLD or octet >> 4 == 2:
            return "2.0"
        return "3.0" if octet == constants.VERSION_OCTETS["3.0"] and highest == "3.0" else None

    def _answer_connect(
        self, request: pdus.Connect, version: str, status: int, secret: str
    ) -> None:
        highest = self.account.version_octet or constants.VERSION_OCTETS[self._asked()]
        digest = pdus.NO_DIGEST
        if status == constants.STATUS_OK:
            octets = 1 if version == "2.0" else 4
            digest = auth.server_digest(status, octets, request.authenticator_source, secret)
        cls = pdus.ConnectResp20 if version == "2.0" else pdus.ConnectResp30
        self.send(cls(request.sequence_id, status, digest, highest))

    def _submit(self, pdu: pdus.Submit30, now: float) -> None:
        if not self.peer_request_allowed(pdu):
            return
        octets = self.received_octets()
        known = self._repeats.take(pdu.sequence_id, octets, now)
        if known is not None:
            refusal = self._submit_answer(pdu.sequence_id, 0, constants.RESULT_SEQUENCE)
            self._out.append(known.reply(octets, refusal))
            return
        ascii_text = pdu.msg_fmt == 0
        limit = constants.ASCII_OCTETS_MAX if ascii_text else constants.CONTENT_OCTETS_MAX
        if not 1 <= len(pdu.dest_terminal_id) <= constants.DESTINATIONS_MAX:
            old = self.version == "2.0"
            bad = constants.RESULT_MALFORMED if old else constants.RESULT_DESTINATION_30
            self.answer_submit(pdu, bad)
        elif len(pdu.msg_content) > limit:
            self.answer_submit(pdu, constants.RESULT_TOO_LONG)
        else:
            self.emit(ev.SubmitReceived(pdu))

    def answer_submit(self, token: Pdu, result: int, carrier_message_id: str = "") -> None:
        """Answer a SUBMIT with the id that its reports will name."""
        msg_id = int(carrier_message_id, 16) if carrier_message_id else 0
        key: int = token.sequence_id  # type: ignore[attr-defined]
        octets = self._submit_answer(key, msg_id, result).encode()
        self._repeats.answered(key, octets if result == constants.RESULT_OK else b"")
        self._out.append(octets)

    def _submit_answer(
        self, sequence_id: int, msg_id: int, result: int
    ) -> pdus.SubmitResp20 | pdus.SubmitResp30:
        cls = pdus.SubmitResp20 if self.version == "2.0" else pdus.SubmitResp30
        return cls(sequence_id, msg_id, result)

    def _deliver_resp(self, pdu: pdus.DeliverResp30, now: float) -> None:
        pending = self.answered(pdu.sequence_id, pdu)
        if pending is not None:
            self.emit(ev.DeliverAnswered(pending.context, pdu.result))

    # ---- both ----------------------------------------------------------------------------

    def _active_test(self, pdu: pdus.ActiveTest, now: float) -> None:
        self.peer_heartbeat(pdus.ActiveTestResp(pdu.sequence_id))

    def _terminate(self, pdu: pdus.Terminate, now: float) -> None:
        self.peer_unbinds(pdus.TerminateResp(pdu.sequence_id))

    def refuse(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Answer a request that cannot be read: the frame boundary is known, so go on.

        Spec: cmpp.md section 15 (Result 4, Msg_Id 0); section 4 (malformed CONNECT: Status 1,
        then close).
        """
        sequence_id = int.from_bytes(buffer[start + 8 : start + 12], "big")
        command_id = error.command_id
        bound = self.state is State.BOUND
        if command_id == pdus.Submit30.command_id and self.role is Role.SERVER and bound:
            self.answer_submit(pdus.Submit30(sequence_id), constants.RESULT_LENGTH)
        elif command_id == pdus.Deliver30.command_id and self.role is Role.CLIENT and bound:
            cls = pdus.Deliver20 if self.version == "2.0" else pdus.Deliver30
            self.acknowledge(cls(sequence_id), constants.RESULT_LENGTH)
        elif command_id == pdus.Connect.command_id and self.role is Role.SERVER:
            status = constants.STATUS_MALFORMED
            self._answer_connect(pdus.Connect(sequence_id), self._asked(), status, "")
            self.bind_refused(status, constants.STATUS_TEXTS[status])
