"""SMPP's part of a session: bind, enquire_link, submit_sm, deliver_sm, data_sm, generic_nack.

Spec: SMPP 3.4 sections 2 (states), 3 (header, errors), 4 (commands).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from smsgw.errors import FrameError, LocalProtocolError, PduError
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.layout import Pdu
from smsgw.protocols.session import Session
from smsgw.protocols.smpp import auth, constants, pdus, tlv
from smsgw.protocols.smpp.codec import CODEC
from smsgw.protocols.smpp.report import is_report
from smsgw.protocols.smpp.results import classify, refusal_kind
from smsgw.protocols.states import TRANSITIONS, Input, Role, State

HEADER_ONLY = struct.Struct(">4I")
"""A refusing answer, which has no body (4.4.2 and alike)."""

BindType = Literal["transceiver", "transmitter", "receiver", "transmitter+receiver"]
Submit = pdus.SubmitSm | pdus.DataSm
Deliver = pdus.DeliverSm | pdus.DataSm
MessageResp = pdus.SubmitSmResp | pdus.DeliverSmResp | pdus.DataSmResp
BindResp = pdus.BindTransmitterResp | pdus.BindReceiverResp | pdus.BindTransceiverResp

BINDS: dict[str, type[pdus.Bind]] = {
    "transceiver": pdus.BindTransceiver,
    "transmitter": pdus.BindTransmitter,
    "receiver": pdus.BindReceiver,
}
BIND_TYPES = {cls.command_id: name for name, cls in BINDS.items()}
BIND_RESPS: dict[int, type[pdus.BindResp]] = {
    pdus.BindTransmitter.command_id: pdus.BindTransmitterResp,
    pdus.BindReceiver.command_id: pdus.BindReceiverResp,
    pdus.BindTransceiver.command_id: pdus.BindTransceiverResp,
}

UNSUPPORTED = {
    pdus.SubmitMulti.command_id: constants.RSUBMITFAIL,
    pdus.QuerySm.command_id: constants.RQUERYFAIL,
    pdus.CancelSm.command_id: constants.RCANCELFAIL,
    pdus.ReplaceSm.command_id: constants.RREPLACEFAIL,
}
"""Requests that a gateway made of this session does not serve, with what it answers."""

CODINGS = {
    "gsm7": constants.CODING_DEFAULT,
    "ascii": constants.CODING_ASCII,
    "latin1": constants.CODING_LATIN1,
}


@dataclass(slots=True, kw_only=True)
class SmppAccount(Account):
    """One SMPP login (system_id and password), and what its contract fixes.

    Attributes:
        version: 3.4, or 3.3 for peers that take no optional parameters.
        heartbeat_interval: Seconds of silence after which an enquire_link is sent; 0 = never.
        bind_type: What a connection carries: both, only what we send, only what we receive; or
            pairs of the latter two, for an SMSC without transceivers (see ``logins``).
        system_type: Category of the login, at most 12 characters; mostly empty.
        addr_ton: Type of number of address_range.
        addr_npi: Numbering plan of address_range.
        address_range: Numbers a receiver wants to get, a pattern of the SMSC's; mostly empty.
        service_type: Service, at most 5 characters; empty = the SMSC's default.
        source_addr_ton: Type of number of the access number: 0 unknown, 3 network specific.
        source_addr_npi: Its numbering plan: 0 unknown, 1 ISDN.
        dest_addr_ton: Type of number of the recipient: 1 international, with country code.
        dest_addr_npi: Its numbering plan: 1 ISDN.
        number_prefix: Written before each recipient: "86" with type 1; "" or "+86" where wanted.
        priority: priority_flag, 0 to 3.
        registered_delivery: Written where a report is wanted: 1 success and failure, 2 failure.
        default_alphabet: What text is that carries data_coding 0 (5.2.19 leaves it to the SMSC).
        data_coding: Written for text of that alphabet: 0; 1 or 3 where the SMSC wants a name.
        long_form: How parts of a long message are marked: "udh" a header in the content, "sar" the
            optional parameters sar_*, "payload" a header, the content in message_payload.
    """

    direction_key = "bind_type"
    customer_keys: ClassVar[tuple[str, ...]] = (
        *Account.customer_keys,
        "service_type",
        "source_addr_ton",
        "source_addr_npi",
        "dest_addr_ton",
        "dest_addr_npi",
        "number_prefix",
        "default_alphabet",
        "data_coding",
        "long_form",
    )

    version: str = "3.4"
    heartbeat_interval: float = 60.0
    bind_type: BindType = "transceiver"
    system_type: str = ""
    addr_ton: int = constants.TON_UNKNOWN
    addr_npi: int = constants.NPI_UNKNOWN
    address_range: str = ""
    service_type: str = ""
    source_addr_ton: int = constants.TON_UNKNOWN
    source_addr_npi: int = constants.NPI_UNKNOWN
    dest_addr_ton: int = constants.TON_INTERNATIONAL
    dest_addr_npi: int = constants.NPI_ISDN
    number_prefix: str = "86"
    priority: Literal[0, 1, 2, 3] = 0
    registered_delivery: int = 1
    default_alphabet: Literal["gsm7", "ascii", "latin1"] = "gsm7"
    data_coding: int = constants.CODING_DEFAULT
    long_form: Literal["udh", "sar", "payload"] = "udh"

    @property
    def logins(self) -> tuple[Account, ...]:
        if self.bind_type != "transmitter+receiver":
            return (self,)
        return (replace(self, bind_type="transmitter"), replace(self, bind_type="receiver"))

    @property
    def sends(self) -> bool:
        return self.bind_type != "receiver"

    @property
    def receives(self) -> bool:
        return self.bind_type != "transmitter"


class SmppSession(Session):
    """An SMPP connection, either role.

    A connection that does not carry our requests (its bind type) has a window of none, so that
    nothing is sent over it.
    """

    codec = CODEC
    unbind_pdu = pdus.Unbind
    heartbeat_pdu = pdus.EnquireLink

    account: SmppAccount

    _sequence = 0
    _heartbeat_sequence = 0
    _peer_type = "transceiver"

    def commands(self) -> dict[int, Callable[[Any, float], None]]:
        shared: dict[int, Callable[[Any, float], None]] = {
            pdus.GenericNack.command_id: self._generic_nack,
            pdus.EnquireLink.command_id: self._enquire_link,
            pdus.EnquireLinkResp.command_id: self.heartbeat_answered,
            pdus.Unbind.command_id: self._unbind,
            pdus.UnbindResp.command_id: self.unbind_answered,
        }
        if self.role is Role.CLIENT:
            return {
                **shared,
                **{cls.command_id: self._bind_resp for cls in BIND_RESPS.values()},
                **{cls.command_id: self._wrong_command for cls in BINDS.values()},
                pdus.SubmitSm.command_id: self._wrong_command,
                pdus.SubmitSmResp.command_id: self._submit_resp,
                pdus.DataSmResp.command_id: self._submit_resp,
                pdus.DeliverSm.command_id: self._deliver,
                pdus.DataSm.command_id: self._deliver,
                pdus.AlertNotification.command_id: self._alert,
                **dict.fromkeys(UNSUPPORTED, self._wrong_command),
            }
        return {
            **shared,
            **{cls.command_id: self._bind for cls in BINDS.values()},
            pdus.SubmitSm.command_id: self._submit,
            pdus.DataSm.command_id: self._submit,
            pdus.DeliverSm.command_id: self._wrong_command,
            pdus.DeliverSmResp.command_id: self._deliver_resp,
            pdus.DataSmResp.command_id: self._deliver_resp,
            **dict.fromkeys(UNSUPPORTED, self._unsupported),
        }

    def next_sequence(self, pdu: Pdu) -> int:
        self._sequence = self._sequence + 1 if self._sequence < constants.SEQUENCE_MAX else 1
        pdu.sequence_number = self._sequence  # type: ignore[attr-defined]
        if pdu.command_id == pdus.EnquireLink.command_id:
            self._heartbeat_sequence = self._sequence
        return self._sequence

    # ---- client: we are the ESME ---------------------------------------------------------

    def bind_request(self, now: float) -> pdus.Bind:
        account = self.account
        if account.bind_type not in BINDS:
            raise LocalProtocolError("a connection is one of the pair: use account.logins")
        return BINDS[account.bind_type](
            system_id=account.name,
            password=account.secret,
            system_type=account.system_type,
            interface_version=constants.VERSION_OCTETS[account.version],
            addr_ton=account.addr_ton,
            addr_npi=account.addr_npi,
            address_range=account.address_range,
        )

    def _bind_resp(self, pdu: BindResp, now: float) -> None:
        if not self.login_awaited(pdu):
            return
        if pdu.command_status != constants.ROK:
            self._refused(pdu.command_status)
            return
        version = self.account.version
        spoken = tlv.number(pdu.tlvs, tlv.SC_INTERFACE_VERSION, constants.VERSION_TLVS)
        warning = ""
        if version == "3.4" and spoken < constants.VERSION_TLVS:
            version = "3.3"
            warning = f"the SMSC speaks {spoken >> 4}.{spoken & 15} at most, so 3.3 is spoken"
        if not self.account.sends:
            self.window.limit = 0
        self.bind_accepted(version, warning)

    def _refused(self, status: int) -> None:
        text = classify(status).text
        kind = self.account.bind_type
        if status == constants.RINVCMDID and kind == "transceiver":
            text += '; the SMSC knows no bind_transceiver: set bind_type = "transmitter+receiver"'
        self.bind_refused(status, text, refusal_kind(status))

    def _submit_resp(self, pdu: MessageResp, now: float) -> None:
        status = pdu.command_status
        message_id = pdu.message_id if status == constants.ROK else ""
        self.submit_answered(pdu.sequence_number, pdu, status, message_id)

    def _deliver(self, pdu: Deliver, now: float) -> None:
        if not self.peer_request_allowed(pdu):
            self._answer(pdu.command_id, pdu.sequence_number, constants.RINVBNDSTS)
        elif is_report(pdu):
            self.emit(ev.ReportReceived(pdu, self.received_octets()))
        else:
            self._name_alphabet(pdu)
            self.emit(ev.MoReceived(pdu, self.received_octets()))

    def acknowledge(self, token: Pdu, result: int = 0) -> None:
        """Answer a deliver_sm or data_sm; message_id is unused (4.6.2)."""
        self._answer_message(token, result, "")

    def _alert(self, pdu: pdus.AlertNotification, now: float) -> None:
        """A phone can be reached again: nothing to answer (4.12), and nobody here asked."""
        self.peer_request_allowed(pdu)

    # ---- server: we are the SMSC ---------------------------------------------------------

    def _bind(self, pdu: pdus.Bind, now: float) -> None:
        secret = self.secrets(pdu.system_id)
        status = constants.ROK
        if secret is None:
            status = constants.RINVSYSID
        elif not auth.password_matches(pdu.password, secret):
            status = constants.RINVPASWD
        elif self.turned_away(pdu.system_id):
            status = constants.RALYBND
        if status != constants.ROK:
            self._answer(pdu.command_id, pdu.sequence_number, status)
            self.bind_refused(status, classify(status).text, refusal_kind(status))
            return
        ours = self.account.version
        version = ours if pdu.interface_version >= constants.VERSION_TLVS else "3.3"
        self.peer_bound(pdu.system_id, version)
        if not self.bound:  # it had logged in before
            self._answer(pdu.command_id, pdu.sequence_number, constants.RALYBND)
            return
        self._peer_type = BIND_TYPES[pdu.command_id]
        if self._peer_type == "transmitter":
            self.window.limit = 0
        answer = BIND_RESPS[pdu.command_id](
            sequence_number=pdu.sequence_number, system_id=self.account.name
        )
        if pdu.interface_version >= constants.VERSION_TLVS:
            octet = constants.VERSION_OCTETS[ours]
            answer.tlvs = [tlv.make(tlv.SC_INTERFACE_VERSION, octet)]
        self.send(answer)

    def _submit(self, pdu: Submit, now: float) -> None:
        status = constants.RINVBNDSTS
        if self.peer_request_allowed(pdu):
            status = self._fault(pdu)
        if status == constants.ROK:
            self._name_alphabet(pdu)
            self.emit(ev.SubmitReceived(pdu))
        else:
            self._answer(pdu.command_id, pdu.sequence_number, status)

    def _fault(self, pdu: Submit) -> int:
        """The command_status for what is wrong with a submit, else 0."""
        if self._peer_type == "receiver":
            return constants.RINVBNDSTS
        if not pdu.destination_addr:
            return constants.RINVDSTADR
        if len(pdu.short_message) > constants.SHORT_MESSAGE_OCTETS_MAX:
            return constants.RINVMSGLEN
        return constants.ROK

    def answer_submit(self, token: Pdu, result: int, carrier_message_id: str = "") -> None:
        """Answer a submit_sm or data_sm with the id that its receipts will name."""
        self._answer_message(token, result, carrier_message_id)

    def _deliver_resp(self, pdu: MessageResp, now: float) -> None:
        pending = self.answered(pdu.sequence_number, pdu)
        if pending is not None:
            self.emit(ev.DeliverAnswered(pending.context, pdu.command_status))

    def _unsupported(self, pdu: pdus.SmppPdu, now: float) -> None:
        allowed = self.peer_request_allowed(pdu) and self._peer_type != "receiver"
        status = UNSUPPORTED[pdu.command_id] if allowed else constants.RINVBNDSTS
        self._answer(pdu.command_id, pdu.sequence_number, status)

    # ---- both ----------------------------------------------------------------------------

    def _enquire_link(self, pdu: pdus.EnquireLink, now: float) -> None:
        self.peer_heartbeat(pdus.EnquireLinkResp(sequence_number=pdu.sequence_number))

    def _unbind(self, pdu: pdus.Unbind, now: float) -> None:
        self.peer_unbinds(pdus.UnbindResp(sequence_number=pdu.sequence_number))

    def _generic_nack(self, pdu: pdus.GenericNack, now: float) -> None:
        """The peer could not read a request: that is its answer (4.3.1)."""
        status = pdu.command_status or constants.RINVCMDID
        if self.state is State.BINDING:
            self._refused(status)
        elif self.state is State.UNBINDING and pdu.sequence_number == self._sequence:
            self.unbind_answered(pdu, now)
        elif pdu.sequence_number == 0 or pdu.sequence_number != self._heartbeat_sequence:
            if self.role is Role.CLIENT:
                self.submit_answered(pdu.sequence_number, pdu, status, "")
                return
            pending = self.answered(pdu.sequence_number, pdu)
            if pending is not None:
                self.emit(ev.DeliverAnswered(pending.context, status))

    def _wrong_command(self, pdu: pdus.SmppPdu, now: float) -> None:
        """A request that only the other side may send."""
        self._answer(pdu.command_id, pdu.sequence_number, constants.RINVBNDSTS)
        if self.peer_request_allowed(pdu):
            self._mistake(f"{pdu.command} is not for the {self.side.value} side")

    def _name_alphabet(self, pdu: Submit | Deliver) -> None:
        """Put the account's meaning in the place of data_coding 0, which is the SMSC's own."""
        if pdu.data_coding == constants.CODING_DEFAULT:
            pdu.data_coding = CODINGS[self.account.default_alphabet]

    def read_anyway(self, error: PduError, buffer: bytes, start: int, end: int) -> Pdu | None:
        """Take a PDU whose fixed part and first TLVs are good; told of once a connection."""
        if error.field != "tlvs":
            return None
        self.tell_once(f"{error}; ignored", about="tlvs")
        return self.codec.decode_at(buffer, start, start + error.offset, self.version)

    def refuse(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Answer a request that cannot be read; the frame boundary is known, so go on (4.3.1)."""
        command_id = error.command_id
        if command_id & constants.RESPONSE_BIT:
            return
        unknown = error.field == "command_id"
        status = constants.RINVCMDID if unknown else constants.RINVCMDLEN
        sequence_number = int.from_bytes(buffer[start + 12 : start + 16], "big")
        self.send(pdus.GenericNack(status, sequence_number))
        if command_id in BIND_TYPES and self.role is Role.SERVER:
            self.bind_refused(status, classify(status).text, refusal_kind(status))
        elif (self.state, Input.PEER_REQUEST) not in TRANSITIONS:
            self._fail(f"{error.command} while {self.state.value}")

    def _frame_error(self, error: FrameError) -> None:
        """A length that cannot be (4.3.1): nobody knows where the next PDU starts, so close.

        Whoever has not logged in is a stranger and told nothing.
        """
        if self.bound:
            self.send(pdus.GenericNack(constants.RINVCMDLEN, 0))
        super()._frame_error(error)

    def _answer(self, command_id: int, sequence_number: int, status: int) -> None:
        """Refuse a request in its own answer, which has no body then."""
        answer_id = command_id | constants.RESPONSE_BIT
        self._out.append(HEADER_ONLY.pack(HEADER_ONLY.size, answer_id, status, sequence_number))

    def _answer_message(self, token: Any, status: int, message_id: str) -> None:
        if status != constants.ROK:
            self._answer(token.command_id, token.sequence_number, status)
        else:
            cls = MESSAGE_RESPS[token.command_id]
            self.send(cls(sequence_number=token.sequence_number, message_id=message_id))


MESSAGE_RESPS: dict[int, type[MessageResp]] = {
    pdus.SubmitSm.command_id: pdus.SubmitSmResp,
    pdus.DeliverSm.command_id: pdus.DeliverSmResp,
    pdus.DataSm.command_id: pdus.DataSmResp,
}
