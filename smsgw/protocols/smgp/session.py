"""SMGP's part of a session: Login, Active_Test, Submit and Deliver (smgp.md sections 4 to 13)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from smsgw.errors import PduError
from smsgw.protocols import events as ev
from smsgw.protocols.account import AUTO, Account
from smsgw.protocols.layout import Pdu
from smsgw.protocols.repeats import Repeats
from smsgw.protocols.session import Session
from smsgw.protocols.smgp import auth, constants, pdus
from smsgw.protocols.smgp.codec import CONTENT_OFFSET, RESERVE_OCTETS, SESSION_CODEC, mend_deliver
from smsgw.protocols.smgp.results import classify, refusal_kind
from smsgw.protocols.smgp.tlv import TAGS
from smsgw.protocols.states import TRANSITIONS, Input, Role, Side

STATUS_ONLY = struct.Struct(">4I")
"""An answer to a request that is not ours to answer: header and Status (section 12, bad input)."""

Submit = pdus.Submit13 | pdus.Submit30


@dataclass(slots=True, kw_only=True)
class SmgpAccount(Account):
    """One SMGP login (ClientID and shared secret), and what its contract fixes.

    Attributes:
        version: 3.0; 1.3 for gateways whose Submit has no FixedFee; 2.0 has 3.0's layout; auto for
            3.0, or what a gateway that refuses it names.
        login_mode: What this connection carries: 0 we send, 1 we receive, 2 both.
        strict_authenticator: Refuse a gateway whose proof of the secret does not match; several
            gateways send zeros, so the default only warns (section 13).
        priority: 0 low, 1 normal, 2 raised, 3 high.
        service_id: Service code, at most 10 characters.
        fee_type: Two digits: 00 free, 01 per message, 02 monthly, 03 per message up to a cap.
        fee_code: Price of one message in fen, digits.
        fixed_fee: Monthly fee or cap in fen, digits; not in version 1.3.
        charge_term_id: Number to charge; "" = the receiver, which fee_type 00 does not charge.
        msg_src: TLV MsgSrc, the enterprise code; "" = not sent.
        mservice_id: TLV MServiceID, the product id; "" = not sent.
        number_prefix: Written before each recipient: "", "86" or "+86".
        content_octets_max: Gateway side: longest MT content that is taken (section 9).
    """

    direction_key = "login_mode"
    negotiates: ClassVar[bool] = True

    version: str = "3.0"
    login_mode: Literal[0, 1, 2] = constants.LOGIN_TRANSMIT
    strict_authenticator: bool = False
    priority: Literal[0, 1, 2, 3] = 1
    service_id: str = ""
    fee_type: Literal["00", "01", "02", "03"] = "00"
    fee_code: str = "000000"
    fixed_fee: str = "000000"
    charge_term_id: str = ""
    msg_src: str = ""
    mservice_id: str = ""
    number_prefix: str = ""
    content_octets_max: int = constants.CONTENT_OCTETS_MAX

    @property
    def sends(self) -> bool:
        """Whether submits go over this login."""
        return self.login_mode != constants.LOGIN_RECEIVE

    @property
    def receives(self) -> bool:
        """Whether messages and receipts come over this login."""
        return self.login_mode != constants.LOGIN_SEND


class SmgpSession(Session):
    """An SMGP connection, either role.

    A connection that does not carry our requests (LoginMode) has a window of none, so that nothing
    is sent over it.
    """

    codec = SESSION_CODEC
    unbind_pdu = pdus.Exit
    heartbeat_pdu = pdus.ActiveTest

    account: SmgpAccount

    _sequence = 0
    _login_sent = b""
    _peer_mode = constants.LOGIN_TRANSMIT

    def __init__(
        self,
        account: SmgpAccount,
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
            pdus.Exit.command_id: self._exit,
            pdus.ExitResp.command_id: self.unbind_answered,
        }
        if self.role is Role.CLIENT:
            return {
                **shared,
                pdus.Login.command_id: self._wrong_command,
                pdus.LoginResp.command_id: self._login_resp,
                pdus.Submit30.command_id: self._wrong_command,
                pdus.SubmitResp.command_id: self._submit_resp,
                pdus.Deliver.command_id: self._deliver,
            }
        return {
            **shared,
            pdus.Login.command_id: self._login,
            pdus.Submit30.command_id: self._submit,
            pdus.Deliver.command_id: self._wrong_command,
            pdus.DeliverResp.command_id: self._deliver_resp,
        }

    def next_sequence(self, pdu: Pdu) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        pdu.sequence_id = self._sequence  # type: ignore[attr-defined]
        return self._sequence

    # ---- client: we are the SP -----------------------------------------------------------

    def bind_request(self, now: float) -> pdus.Login:
        timestamp, self._login_sent = auth.login_proof(
            self.account.name, self.account.secret, self.wall()
        )
        return pdus.Login(
            client_id=self.account.name,
            authenticator_client=self._login_sent,
            login_mode=self.account.login_mode,
            timestamp=timestamp,
            client_version=constants.VERSION_OCTETS[self._highest()],
        )

    def _highest(self) -> str:
        """The version of our login, or the highest that we serve: the newest unless one was set."""
        return self.version if self.version in constants.VERSION_OCTETS else "3.0"

    def _login_resp(self, pdu: pdus.LoginResp, now: float) -> None:
        if not self.login_awaited(pdu):
            return
        speaks = f"{pdu.server_version >> 4}.{pdu.server_version & 15}"
        version = self._highest()
        highest = constants.VERSION_BY_MAJOR.get(pdu.server_version >> 4, version)
        if pdu.status != constants.STATUS_OK:
            text = classify(pdu.status).text
            if pdu.status == constants.STATUS_VERSION_HIGH:
                text += f": the gateway speaks {speaks} at most; set version of this link to it"
            again = highest if self.account.version == AUTO and highest < version else ""
            self.bind_refused(pdu.status, text, refusal_kind(pdu.status), again)
            return
        warning = ""
        if not auth.server_matches(
            pdu.authenticator_server, pdu.status, self._login_sent, self.account.secret
        ):
            warning = "AuthenticatorServer does not match the shared secret"
            if self.account.strict_authenticator:
                status = constants.STATUS_AUTHENTICATION
                self.bind_refused(status, warning, refusal_kind(status))
                return
        if highest < version:
            lower = f"the gateway speaks {speaks} at most, so {highest} is spoken"
            warning = f"{warning}; {lower}" if warning else lower
            version = highest
        if not self.account.sends:
            self.window.limit = 0
        self.bind_accepted(version, warning)

    def _submit_resp(self, pdu: pdus.SubmitResp, now: float) -> None:
        message_id = pdu.msg_id.hex() if pdu.status == constants.STATUS_OK else ""
        self.submit_answered(pdu.sequence_id, pdu, pdu.status, message_id)

    def _deliver(self, pdu: pdus.Deliver, now: float) -> None:
        if not self.peer_request_allowed(pdu):
            self._answer(pdu.command_id, pdu.sequence_id, constants.STATUS_WRONG_COMMAND)
        elif pdu.is_report == constants.REPORT_NOTICE:
            self.acknowledge(pdu)
            self.emit(ev.PeerMistake("a notice about a user's contract (IsReport 9) is not kept"))
        else:
            if pdu.reserve:
                pdu = self._lengthened(pdu)
            kind = ev.ReportReceived if pdu.is_report == 1 else ev.MoReceived
            self.emit(kind(pdu, self.received_octets()))

    def _lengthened(self, pdu: pdus.Deliver) -> pdus.Deliver:
        """The same with all of its content when MsgLength said too little of it (section 13).

        Content stands where Reserve should be zeros, and what follows is no TLV anybody knows.
        """
        frame = self.received_octets()
        whole = CONTENT_OFFSET + len(pdu.msg_content) + RESERVE_OCTETS
        if len(frame) == whole or any(tlv.tag in TAGS for tlv in pdu.tlvs):
            return pdu
        return self._mended(frame, "MsgLength is too small") or pdu

    def _mended(self, frame: bytes, problem: str) -> pdus.Deliver | None:
        mended = mend_deliver(frame) if len(frame) >= CONTENT_OFFSET else None
        if mended is None:
            return None
        self.tell_once(f"{pdus.Deliver.command}: {problem}; the content's end is taken instead")
        try:
            pdu = self.codec.decode_at(mended, 0, len(mended), self.version)
        except PduError as error:
            pdu = self.codec.decode_at(mended, 0, error.offset, self.version)
        assert isinstance(pdu, pdus.Deliver)
        return pdu

    def acknowledge(self, token: Pdu, result: int = 0) -> None:
        """Answer a Deliver; its own MsgID goes back, never the receipt's (section 7)."""
        self.send(pdus.DeliverResp(token.sequence_id, token.msg_id, result))  # type: ignore[attr-defined]

    # ---- server: we are the SMGW ---------------------------------------------------------

    def _login(self, pdu: pdus.Login, now: float) -> None:
        version = self._spoken(pdu.client_version)
        secret = self.secrets(pdu.client_id)
        status = constants.STATUS_OK
        if version is None:
            status = constants.STATUS_VERSION_HIGH
        elif secret is None or not auth.login_matches(
            pdu.authenticator_client, pdu.client_id, secret, pdu.timestamp
        ):
            status = constants.STATUS_AUTHENTICATION
        elif pdu.login_mode > constants.LOGIN_TRANSMIT:
            status = constants.STATUS_STRUCTURE
        if version is None or secret is None or status != constants.STATUS_OK:
            self._answer_login(pdu.sequence_id, status, pdus.NO_DIGEST)
            self.bind_refused(status, classify(status).text, refusal_kind(status))
            return
        self.peer_bound(pdu.client_id, version)
        if not self.bound:  # it had logged in before
            self._answer(pdu.command_id, pdu.sequence_id, constants.STATUS_WRONG_COMMAND)
            return
        self._peer_mode = pdu.login_mode
        if pdu.login_mode == constants.LOGIN_SEND:
            self.window.limit = 0
        digest = auth.server_digest(status, pdu.authenticator_client, secret)
        self._answer_login(pdu.sequence_id, status, digest)

    def _spoken(self, octet: int) -> str | None:
        """The version for a client's octet: the lower major; None when it is above ours or 0."""
        ours = self._highest()
        if octet >> 4 == int(ours[0]):
            return ours
        version = constants.VERSION_BY_MAJOR.get(octet >> 4)
        return version if version is not None and version < ours else None

    def _answer_login(self, sequence_id: int, status: int, digest: bytes) -> None:
        highest = constants.VERSION_OCTETS[self._highest()]
        self.send(pdus.LoginResp(sequence_id, status, digest, highest))

    def _submit(self, pdu: Submit, now: float) -> None:
        if not self.peer_request_allowed(pdu):
            self._answer(pdu.command_id, pdu.sequence_id, constants.STATUS_WRONG_COMMAND)
            return
        octets = self.received_octets()
        known = self._repeats.take(pdu.sequence_id, octets, now)
        if known is not None:
            refusal = pdus.SubmitResp(pdu.sequence_id, pdus.NO_ID, constants.STATUS_REPEATED)
            self._out.append(known.reply(octets, refusal))
            return
        status = self._fault(pdu)
        if status == constants.STATUS_OK:
            self.emit(ev.SubmitReceived(pdu))
        else:
            self.answer_submit(pdu, status)

    def _fault(self, pdu: Submit) -> int:
        """The Status for what is wrong with a Submit (section 12, bad input), else 0."""
        if self._peer_mode == constants.LOGIN_RECEIVE:
            return constants.STATUS_WRONG_COMMAND
        if not 1 <= len(pdu.dest_term_id) <= constants.DESTINATIONS_MAX:
            return constants.STATUS_DEST_TERM_ID
        if pdu.msg_type not in constants.MSG_TYPES:
            return constants.STATUS_MSG_TYPE
        if pdu.priority > constants.PRIORITY_MAX:
            return constants.STATUS_PRIORITY
        if pdu.fee_type not in constants.FEE_TYPES:
            return constants.STATUS_FEE_TYPE
        if pdu.msg_format not in constants.MSG_FORMATS:
            return constants.STATUS_MSG_FORMAT
        long = len(pdu.msg_content) > self.account.content_octets_max
        if long and pdu.msg_type == constants.MSG_TYPE_MT:
            return constants.STATUS_MSG_LENGTH
        return constants.STATUS_OK

    def answer_submit(self, token: Pdu, result: int, carrier_message_id: str = "") -> None:
        """Answer a Submit with the id that its receipts will name."""
        msg_id = bytes.fromhex(carrier_message_id) if carrier_message_id else pdus.NO_ID
        key: int = token.sequence_id  # type: ignore[attr-defined]
        octets = pdus.SubmitResp(key, msg_id, result).encode()
        self._repeats.answered(key, octets if result == constants.STATUS_OK else b"")
        self._out.append(octets)

    def _deliver_resp(self, pdu: pdus.DeliverResp, now: float) -> None:
        pending = self.answered(pdu.sequence_id, pdu)
        if pending is not None:
            self.emit(ev.DeliverAnswered(pending.context, pdu.status))

    # ---- both ----------------------------------------------------------------------------

    def _active_test(self, pdu: pdus.ActiveTest, now: float) -> None:
        self.peer_heartbeat(pdus.ActiveTestResp(pdu.sequence_id))

    def _exit(self, pdu: pdus.Exit, now: float) -> None:
        self.peer_unbinds(pdus.ExitResp(pdu.sequence_id))

    def _wrong_command(self, pdu: pdus.SmgpPdu, now: float) -> None:
        """A request that only the other side may send."""
        self._answer(pdu.command_id, pdu.sequence_id, constants.STATUS_WRONG_COMMAND)
        if self.peer_request_allowed(pdu):
            self._mistake(f"{pdu.command} is not for the {self.side.value} side")

    def read_anyway(self, error: PduError, buffer: bytes, start: int, end: int) -> Pdu | None:
        """Take a Submit or Deliver of which enough is good; told of once a connection.

        Spec: smgp.md section 12, bad input; section 13 (raw values behind Reserve, a cut TLV,
        MsgLength off). Such a peer does it every time.
        """
        if error.field == "tlvs":
            self.tell_once(f"{error.command}: octets after Reserve that are no TLVs are ignored")
            return self.codec.decode_at(buffer, start, start + error.offset, self.version)
        if error.command_id == pdus.Deliver.command_id and self.role is Role.CLIENT:
            return self._mended(buffer[start:end], "MsgLength is too large")
        return None

    def refuse(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Answer a request that cannot be read: the frame boundary is known, so go on.

        Spec: smgp.md section 12, bad input (Status 10; 11 for an unknown command; a malformed Login
        ends the session), section 4 (so does anything before a Login).
        """
        command_id = error.command_id
        sequence_id = int.from_bytes(buffer[start + 8 : start + 12], "big")
        if command_id & constants.RESPONSE_BIT:
            return
        if error.field == "command_id":
            self._answer(command_id, sequence_id, constants.STATUS_WRONG_COMMAND)
        elif command_id in (
            pdus.Login.command_id,
            pdus.Submit30.command_id,
            pdus.Deliver.command_id,
        ):
            self._answer(command_id, sequence_id, constants.STATUS_STRUCTURE)
        if command_id == pdus.Login.command_id and self.role is Role.SERVER:
            status = constants.STATUS_STRUCTURE
            self.bind_refused(status, classify(status).text, refusal_kind(status))
        elif (self.state, Input.PEER_REQUEST) not in TRANSITIONS:
            self._fail(f"{error.command} while {self.state.value}")

    def _answer(self, command_id: int, sequence_id: int, status: int) -> None:
        """Refuse a request in its own answer, or in one of a Status alone when it is not ours."""
        if command_id == pdus.Login.command_id:
            self._answer_login(sequence_id, status, pdus.NO_DIGEST)
        elif command_id == pdus.Submit30.command_id:
            self.send(pdus.SubmitResp(sequence_id, pdus.NO_ID, status))
        elif command_id == pdus.Deliver.command_id:
            self.send(pdus.DeliverResp(sequence_id, pdus.NO_ID, status))
        else:
            answer_id = command_id | constants.RESPONSE_BIT
            self._out.append(STATUS_ONLY.pack(STATUS_ONLY.size, answer_id, sequence_id, status))
