"""SGIP's part of a session: Bind, Submit, Deliver, Report, and ending when idle (sgip.md).

On every connection only the side that dialled sends commands (section 1), so role and side make
four kinds of session:

- client, SP: we dial the SMG, LoginType 1, and submit;
- server, SP: the SMG dials our listener, LoginType 2, and delivers and reports;
- server, gateway and client, gateway: the other ends of these two.

There is no heartbeat. The client unbinds when it has had nothing to do for a while, the server
closes a connection that was silent for longer; neither is a failure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.errors import PduError
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.layout import Pdu
from smsgw.protocols.repeats import Repeats
from smsgw.protocols.session import Session
from smsgw.protocols.sgip import auth, constants, pdus
from smsgw.protocols.sgip.codec import CODEC, REQUESTS, ReportAsDeliver, answer_to
from smsgw.protocols.sgip.results import classify, refusal_kind
from smsgw.protocols.sgip.sequence import (
    COUNTER_MASK,
    WORDS,
    Sequence,
    SequenceSource,
    next_second,
    sequence_text,
    time_word,
)
from smsgw.protocols.states import TRANSITIONS, Ending, Input, Role, Side, State

REPORT_OCTETS = 64
"""A whole Report; the shortest Deliver has 77 octets."""

WORDS_KEPT = 3600
"""Most time words that are remembered, to find a request by its counter alone."""


@dataclass(kw_only=True)
class SgipAccount(Account):
    """One SGIP login, and what its contract fixes.

    A customer has two: one for the SMG it dials, one for the listener the SMG dials, whose logins
    are checked against the session's ``secrets``. An SMG that is agreed to log in with nothing, and
    so is known by its address alone, is the name "" with the secret "" (section 13).

    Attributes:
        node: Our node number, 0 to 4294967295; the carrier assigns it (section 3).
        corp_id: 企业代码, at most 5 characters.
        service_type: 业务代码, at most 10 characters.
        charge_number: Who pays; 21 zeros = the SP.
        fee_type: 1 free for the ChargeNumber.
        fee_value: Price in fen, digits.
        given_value: Money given to the user in fen, digits.
        agent_flag: 0 to be collected.
        morelateto_mt_flag: 2 not caused by an MO.
        priority: 0 to 9.
        report_flag: What is asked for with a segment that wants a report: 1 always, 0 failures.
        number_prefix: Written before each phone number.
        idle_timeout: Client: seconds without work after which it unbinds; 0 = hold the connection.
        server_idle_timeout: Server: seconds of silence after which it closes; 0 = never.
        sequences: Not a setting: counts the requests of all sessions of this account object, so
            that no two of its binds use one sequence (:mod:`smsgw.protocols.sgip.sequence`).
    """

    listener_keys = ("response_timeout", "server_idle_timeout")

    version: str = "1.2"
    window: int = 32
    response_timeout: float = 30.0
    heartbeat_interval: float = 0.0
    node: int = 0
    corp_id: str = ""
    service_type: str = ""
    charge_number: str = constants.CHARGE_SP
    fee_type: int = 1
    fee_value: str = "0"
    given_value: str = "0"
    agent_flag: int = 0
    morelateto_mt_flag: int = 2
    priority: int = 0
    report_flag: int = constants.REPORT_ALWAYS
    number_prefix: str = "86"
    idle_timeout: float = 30.0
    server_idle_timeout: float = 60.0

    def __post_init__(self) -> None:
        self.sequences = SequenceSource()

    @property
    def dead_after(self) -> float:
        """Seconds after which a gateway with our timers closes a connection that went silent."""
        return max(self.server_idle_timeout, self.response_timeout)


class SgipSession(Session):
    """An SGIP connection: either role, either side."""

    codec = CODEC
    unbind_pdu = pdus.Unbind
    closes_on_bad_pdu = True

    account: SgipAccount
    _busy_until = 0.0  # when the last request was given up; _silent_since covers the answered ones

    def __init__(
        self,
        account: SgipAccount,
        role: Role,
        side: Side,
        wall: Callable[[], datetime],
        secrets: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        super().__init__(account, role, side, wall, secrets)
        self._repeats = Repeats(account.response_timeout, reusable=False)
        self._earliest: datetime | None = None
        self._word = 0
        seconds = account.response_timeout * account.submit_sends  # how long a request is open
        self._words: deque[int] = deque(maxlen=int(min(seconds, WORDS_KEPT)) + 2)

    def commands(self) -> dict[int, Callable[[Any, float], None]]:
        known: dict[int, Callable[[Any, float], None]] = {
            **{cls.command_id: self._not_served for cls in REQUESTS},
            pdus.Unbind.command_id: self._unbind,
            pdus.UnbindResp.command_id: self._unbind_resp,
        }
        match self.role, self.side:
            case Role.CLIENT, Side.SP:
                known[pdus.BindResp.command_id] = self._bind_resp
                known[pdus.SubmitResp.command_id] = self._submit_resp
            case Role.CLIENT, _:
                known[pdus.BindResp.command_id] = self._bind_resp
                for cls in (pdus.DeliverResp, pdus.ReportResp, pdus.UserRptResp):
                    known[cls.command_id] = self._deliver_resp
            case _, Side.GATEWAY:
                known[pdus.Bind.command_id] = self._bind
                known[pdus.Submit.command_id] = self._submit
            case _:
                known[pdus.Bind.command_id] = self._bind
                known[pdus.Deliver.command_id] = self._deliver
                known[pdus.Report.command_id] = self._report
                known[pdus.UserRpt.command_id] = self._user_rpt
        return known

    # ---- sequences -----------------------------------------------------------------------

    def next_sequence(self, pdu: Pdu) -> Sequence:
        """Give a command its sequence; one that has one is a repeat and keeps it (section 3)."""
        if pdu.sequence_time or pdu.sequence_counter or pdu.sequence_node:  # type: ignore[attr-defined]
            sequence = _sequence(pdu)
            self._words.append(sequence[1])
            return sequence
        if not self._unwritten:  # the first of a batch: the rest of it is as old
            self._look_at_the_clock()
        account = self.account
        pdu.sequence_node = node = account.node  # type: ignore[attr-defined]
        pdu.sequence_time = word = self._word  # type: ignore[attr-defined]
        pdu.sequence_counter = counter = account.sequences.count() & COUNTER_MASK  # type: ignore[attr-defined]
        return node, word, counter

    def _look_at_the_clock(self) -> None:
        when = self.wall()
        if self._earliest is None:
            self._earliest = next_second(when)
        word = time_word(max(when, self._earliest))
        if word != self._word:
            self._word = word
            self._words.append(word)

    def sent_id(self, sequence: Hashable) -> str:
        """The submit's own sequence is its carrier_message_id, answered or not (section 7)."""
        return sequence_text(sequence)  # type: ignore[arg-type]

    def _request_of(self, pdu: pdus.SgipPdu) -> Sequence:
        """The sequence of the open request that ``pdu`` answers with other words.

        All three words were looked for before; some gateways repeat the counter alone
        (section 13).
        """
        node, counter = self.account.node, pdu.sequence_counter
        for word in reversed(self._words):
            if (node, word, counter) in self.window:
                return node, word, counter
        return _sequence(pdu)

    # ---- login ---------------------------------------------------------------------------

    def bind_request(self, now: float) -> pdus.Bind:
        return pdus.Bind(
            login_type=auth.LOGIN_TYPES[self.role, self.side],
            login_name=self.account.name,
            login_password=self.account.secret,
        )

    def _bind_resp(self, pdu: pdus.BindResp, now: float) -> None:
        if not self.login_awaited(pdu):
            return
        if pdu.result == constants.RESULT_OK:
            self.bind_accepted(self.account.version)
        else:
            self.bind_refused(pdu.result, classify(pdu.result).text, refusal_kind(pdu.result))

    def _bind(self, pdu: pdus.Bind, now: float) -> None:
        if (self.state, Input.PEER_BIND) not in TRANSITIONS:
            self._answer(pdu, constants.RESULT_BOUND_ALREADY)
            self._mistake(f"{pdu.command} while {self.state.value}")
            return
        name, result = pdu.login_name.rstrip(" "), constants.RESULT_OK
        if pdu.login_type != auth.LOGIN_TYPES[self.role, self.side]:
            result = constants.RESULT_LOGIN_TYPE
        elif not auth.password_matches(pdu.login_password, self.secrets(name)):
            result = constants.RESULT_LOGIN
        self._answer(pdu, result)
        if result == constants.RESULT_OK:
            self.peer_bound(name, self.account.version)
        else:
            self.bind_refused(result, classify(result).text, refusal_kind(result))

    # ---- client: answers to what we sent -------------------------------------------------

    def _submit_resp(self, pdu: pdus.SubmitResp, now: float) -> None:
        sequence = _sequence(pdu)
        if sequence not in self.window:
            sequence = self._request_of(pdu)
        message_id = sequence_text(sequence) if pdu.result == constants.RESULT_OK else ""
        self.submit_answered(sequence, pdu, pdu.result, message_id)

    def _deliver_resp(self, pdu: pdus.CommonResp, now: float) -> None:
        sequence = _sequence(pdu)
        if sequence not in self.window:
            sequence = self._request_of(pdu)
        pending = self.answered(sequence, pdu)
        if pending is not None:
            self.emit(ev.DeliverAnswered(pending.context, pdu.result))

    # ---- server: what the peer asks ------------------------------------------------------

    def _deliver(self, pdu: pdus.Deliver, now: float) -> None:
        if isinstance(pdu, ReportAsDeliver):
            self._report(pdu, now)
        elif self._may_ask(pdu):
            self.emit(ev.MoReceived(pdu, self.received_octets()))

    def _report(self, pdu: pdus.Report, now: float) -> None:
        if self._may_ask(pdu):
            self.emit(ev.ReportReceived(pdu, self.received_octets()))

    def _user_rpt(self, pdu: pdus.UserRpt, now: float) -> None:
        """Answer and forget a notice about a subscriber's contract.

        It is about subscriptions that the carrier bills (section 9), which we do not keep, and the
        carrier itself stops messages to such a user; nothing would change by storing it.
        """
        if self._may_ask(pdu):
            self.acknowledge(pdu)

    def _submit(self, pdu: pdus.Submit, now: float) -> None:
        if not self._may_ask(pdu):
            return
        octets, sequence = self.received_octets(), _sequence(pdu)
        known = self._repeats.take(sequence, octets, now)
        if known is not None:
            refusal = pdus.SubmitResp(*sequence, constants.RESULT_SEQUENCE)
            self._out.append(known.reply(octets, refusal))
        elif 1 <= len(pdu.user_number) <= constants.USERS_MAX:
            self.emit(ev.SubmitReceived(pdu))
        else:
            self.answer_submit(pdu, constants.RESULT_PARAMETER)

    def acknowledge(self, token: Pdu, result: int = 0) -> None:
        """Answer a Deliver, Report or UserRpt; all three words go back (section 3)."""
        self._answer(token, result)

    def answer_submit(self, token: Pdu, result: int, carrier_message_id: str = "") -> None:
        """Answer a Submit. No id goes back: its reports name its own sequence (section 7)."""
        sequence = _sequence(token)
        octets = pdus.SubmitResp(*sequence, result).encode()
        self._repeats.answered(sequence, octets if result == constants.RESULT_OK else b"")
        self._out.append(octets)

    def _not_served(self, pdu: pdus.SgipPdu, now: float) -> None:
        if self._may_ask(pdu):
            self._answer(pdu, constants.RESULT_COMMAND)
            self._mistake(
                f"{pdu.command} is not for the {self.side.value} side as {self.role.value}"
            )

    def _may_ask(self, pdu: Pdu) -> bool:
        """Whether the peer is logged in; if not, it is told so and the session has failed."""
        if (self.state, Input.PEER_REQUEST) not in TRANSITIONS:
            self._answer(pdu, constants.RESULT_LOGIN)
        return self.peer_request_allowed(pdu)

    def _answer(self, request: Pdu, result: int) -> None:
        self._answer_to(request.command_id, _sequence(request), result)

    def _answer_to(self, command_id: int, sequence: Sequence, result: int) -> None:
        answer = answer_to(command_id, sequence, result)
        if answer is not None:
            self.send(answer)

    def refuse(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Answer 8 to a request that cannot be read, when there is a response with that id."""
        if self.bound:
            sequence = WORDS.unpack_from(buffer, start + 8)
            self._answer_to(error.command_id, sequence, constants.RESULT_LENGTH)

    def read_anyway(self, error: PduError, buffer: bytes, start: int, end: int) -> Pdu | None:
        """Take a command of which enough is good; told of once a connection.

        Spec: sgip.md section 11 (octets after Reserve: ignore and log), section 13 (a Report that
        is sent with Deliver's command id and answered as what it says it is).
        """
        if not error.field and error.command_id:
            self.tell_once(f"{error.command}: octets after Reserve are ignored")
            return self.codec.decode_at(buffer, start, start + error.offset, self.version)
        if error.command_id == pdus.Deliver.command_id and end - start == REPORT_OCTETS:
            self.tell_once(f"{error.command}: a Report under this command id is taken as one")
            return ReportAsDeliver.layout.decode(buffer, start, end)
        return None

    def _bad_pdu(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Break the connection (section 11), but let the peer know why where that is possible."""
        self.refuse(error, buffer, start, end)
        super()._bad_pdu(error, buffer, start, end)

    # ---- the end -------------------------------------------------------------------------

    def unbind(self, now: float) -> None:
        """End the session. Unbind is the client's command, so a server simply closes."""
        if self.role is Role.CLIENT:
            super().unbind(now)
        else:
            self._move(Input.UNBIND)
            self._move(Input.UNBIND_ANSWERED)
            self.ending = Ending.OURS
            self.emit(ev.Unbound(by_peer=False))

    def _unbind(self, pdu: pdus.Unbind, now: float) -> None:
        self.peer_unbinds(pdus.UnbindResp(*_sequence(pdu)))

    def _unbind_resp(self, pdu: pdus.UnbindResp, now: float) -> None:
        """Whatever its sequence and body: gateways write both wrongly (section 13)."""
        if (self.state, Input.UNBIND_ANSWERED) in TRANSITIONS:
            self.unbind_answered(pdu, now)
        else:
            self._mistake(f"{pdu.command} answers nothing we asked")

    def tick(self, now: float) -> None:
        """Do what is due, and end the session when it is idle."""
        if len(self.window):
            self._busy_until = now
        super().tick(now)
        due = self._idle_due()
        if due is not None and due <= now:
            self.unbind(now)

    def next_deadline(self) -> float | None:
        """When :meth:`tick` must be called at the latest; None when nothing is due."""
        due = [super().next_deadline(), self._idle_due()]
        return min((at for at in due if at is not None), default=None)

    def _idle_due(self) -> float | None:
        """When an idle session ends; None while it has work, or when it never ends by itself."""
        account = self.account
        client = self.role is Role.CLIENT
        limit = account.idle_timeout if client else account.server_idle_timeout
        if self.state is not State.BOUND or limit <= 0 or len(self.window):
            return None
        return max(self._silent_since or 0.0, self._busy_until) + limit


def _sequence(pdu: Any) -> Sequence:
    return pdu.sequence_node, pdu.sequence_time, pdu.sequence_counter
