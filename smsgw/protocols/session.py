"""One logged-in connection as a table of states, without a socket and without a clock.

Bytes and ``now`` go in; bytes and events come out. After every call the transport does the same
four things: write ``data_to_send()``, re-arm one timer from ``next_deadline()``, hand out
``events()``, close when ``closed``. A carrier's ``session.py`` says what is its own: the login
PDUs, the sequence, what each command means.

Legality is ``TRANSITIONS``: what is not in it is an error, ours (LocalProtocolError) or the peer's
(the session fails and the connection is closed). The peer can never make these methods raise.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any, ClassVar

from smsgw.errors import FrameError, LocalProtocolError, PduError, WindowFull
from smsgw.protocols import events as ev
from smsgw.protocols.account import Account
from smsgw.protocols.codec import Codec, Decoder
from smsgw.protocols.layout import Pdu
from smsgw.protocols.states import TRANSITIONS, Ending, Input, Role, Side, State
from smsgw.protocols.traffic import UNREADABLE, Traffic
from smsgw.protocols.window import Pending, Window

command_of = struct.Struct(">I").unpack_from

MISTAKES_MAX = 20
"""Unreadable or unknown PDUs in a row after which a peer is given up (cmpp.md section 15)."""


class Session:
    """The part that every carrier shares.

    Args:
        account: What was agreed. In the server role its timers and version apply, and the login
            is checked against ``secrets``.
        role: Who dialled.
        side: Customer or gateway.
        wall: The present China Standard Time, for login timestamps and sequences.
        secrets: Server role: login name -> shared secret, or None when there is no such name.

    Attributes:
        admits: Server role: asked with the session and the name of a login that is good, whether
            it may log in now; it may call :meth:`serve`.
        ending: How it ended; LOST until it is known better.
        traffic: What went over it; see :meth:`count_in`.
    """

    codec: ClassVar[Codec]
    unbind_pdu: ClassVar[type[Pdu]]
    heartbeat_pdu: ClassVar[type[Pdu] | None] = None
    closes_on_bad_pdu: ClassVar[bool] = False

    def __init__(
        self,
        account: Account,
        role: Role,
        side: Side,
        wall: Callable[[], datetime],
        secrets: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        self.account = account
        self.role = role
        self.side = side
        self.wall = wall
        self.secrets = secrets
        self.admits: Callable[[Session, str], bool] = lambda session, name: True
        self.state = State.OPEN
        self.ending = Ending.LOST
        self.traffic = Traffic()
        self.version = account.version
        self.peer_name = ""
        self.window = Window(account.window, account.response_timeout, account.submit_sends)
        self._framer = self.codec.framer()
        self._out: list[bytes] = []
        self._unwritten: dict[Hashable, bytes] = {}  # requests in _out, never in data_to_send()
        self._events: list[ev.Event] = []
        self._silent_since: float | None = None
        self._control_deadline: float | None = None  # bind, unbind, or a peer that must bind
        self._heartbeats_unanswered = 0
        self._heartbeat_deadline: float | None = None
        self._useless_at: float | None = None  # set while requests are overdue and none answered
        self._whole_by: float | None = None  # set while a PDU has begun and not ended
        self._mistakes = 0
        self._told: set[str] = set()  # what is wrong with every PDU of this peer
        self._octets = (b"", 0, 0)
        self._on = self.commands()
        self._table = self._commands_of(self.version)

    # ---- what a carrier says -------------------------------------------------------------

    def commands(self) -> dict[int, Callable[[Any, float], None]]:
        """Command id -> what to do with such a PDU from the peer."""
        raise NotImplementedError

    def bind_request(self, now: float) -> Pdu:
        """The login PDU of the client role."""
        raise NotImplementedError

    def next_sequence(self, pdu: Pdu) -> Hashable:
        """Give a request its sequence and return the key its answer will carry."""
        raise NotImplementedError

    def refuse(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        """Answer a PDU that could not be read, as the carrier's sheet asks."""

    def read_anyway(self, error: PduError, buffer: bytes, start: int, end: int) -> Pdu | None:
        """Read a PDU that fits no layout, where the carrier's sheet says what the peer means."""
        return None

    # ---- what the transport calls --------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the connection must be closed once everything is written."""
        return self.state is State.CLOSED

    @property
    def bound(self) -> bool:
        """Whether requests may be sent."""
        return self.state is State.BOUND

    @property
    def patience(self) -> float:
        """How long a peer may show signs of life and be of no use: T x N."""
        return self.account.response_timeout * self.account.heartbeat_tries

    def connected(self, now: float) -> None:
        """The connection is up. A server starts waiting for the login."""
        self._silent_since = now
        if self.role is Role.SERVER:
            self._control_deadline = now + self.account.response_timeout

    def bind(self, now: float) -> None:
        """Send the login (client role)."""
        request = self.bind_request(now)
        self.next_sequence(request)
        octets = request.encode()
        self._move(Input.BIND)
        self._silent_since = now
        self._control_deadline = now + self.account.response_timeout
        self._out.append(octets)

    def unbind(self, now: float) -> None:
        """Ask to end the session; outstanding answers are still taken."""
        self._move(Input.UNBIND)
        self.ending = Ending.OURS
        self._control_deadline = now + self.account.response_timeout
        request = self.unbind_pdu()
        self.next_sequence(request)
        self._out.append(request.encode())

    def submit(self, pdu: Pdu, now: float, context: Any = None) -> Hashable:
        """Send a request and take a window slot for it: a submit, or on the gateway side a deliver.

        Returns:
            The sequence its answer will carry.

        Raises:
            LocalProtocolError: Not bound, or this very PDU is unanswered.
            WindowFull: No slot is free.
            EncodeError: A field does not fit; nothing was sent and no slot taken.
        """
        if self.state is not State.BOUND:
            self._move(Input.REQUEST)
        window = self.window
        if window.free <= 0:
            raise WindowFull(f"{window.limit} requests are unanswered, limit {window.limit}")
        key = self.next_sequence(pdu)
        octets = pdu.encode()
        window.open(key, context, octets, now)
        self._out.append(octets)
        self._unwritten[key] = octets
        return key

    def heartbeat(self, now: float) -> bool:
        """Send a heartbeat now; False while nothing is bound, or where the carrier has none."""
        if self.heartbeat_pdu is None or self.state is not State.BOUND:
            return False
        self._heartbeats_unanswered += 1
        self._heartbeat_deadline = now + self.account.response_timeout
        self._send_heartbeat(self.heartbeat_pdu)
        return True

    def acknowledge(self, token: Pdu, result: int = 0) -> None:
        """Answer a deliver or report that :meth:`events` handed out."""
        raise NotImplementedError

    def answer_submit(self, token: Pdu, result: int, carrier_message_id: str = "") -> None:
        """Answer a submit that :meth:`events` handed out (gateway side)."""
        raise NotImplementedError

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes from the peer: every whole PDU in them is handled in this one call."""
        if self.closed:
            return
        self._silent_since = self.traffic.received_at = now
        self._heartbeats_unanswered = 0
        self._heartbeat_deadline = None
        unanswered = len(self.window)
        buffer, bounds = self._framer.feed(data)
        if self.traffic.tap is not None:
            self.traffic.tap.received(self, buffer, bounds, self._framer.error is None)
        start = 0
        for end in bounds[1:]:
            mistakes = self._mistakes
            try:
                decode, take, sums = self._table[command_of(buffer, start + 4)[0]]
                pdu = decode(buffer, start, end)
            except (KeyError, PduError):
                self._strange_pdu(buffer, start, end, now)
            else:
                sums[0] += 1
                sums[1] += end - start
                self._octets = (buffer, start, end)
                take(pdu, now)
            if mistakes and self._mistakes == mistakes:
                self._mistakes = 0
            if self.state is State.CLOSED:
                return
            start = end
        if len(self.window) < unanswered:
            self._useless_at = None
        if not self._framer.waiting_octets:
            self._whole_by = None
        elif start or self._whole_by is None:  # not the one that was waited for
            self._whole_by = now + self.patience
        if self._framer.error is not None:
            self._frame_error(self._framer.error)

    def connection_lost(self, now: float) -> None:
        """The connection is gone: every open request is resolved as lost."""
        self._move(Input.CONNECTION_LOST)
        # What leads back to us: with it we would outlive our last user.
        self._on, self._table = {}, {}
        self.secrets = lambda name: None
        self._control_deadline = None
        self._heartbeat_deadline = None
        self._useless_at = None
        self._whole_by = None
        self._silent_since = None
        for sequence, context in self.window.drain():
            if sequence in self._unwritten:
                self._events.append(ev.ResponseLost(sequence, context, written=False))
            else:
                self._events.append(ev.ResponseLost(sequence, context, self.sent_id(sequence)))

    def tick(self, now: float) -> None:
        """Do what is due at ``now``: give up, send again, test the peer."""
        if self.closed:
            return
        resend, lost = self.window.expire(now)
        self._out += resend
        for sequence, context in lost:
            self._events.append(ev.ResponseLost(sequence, context, self.sent_id(sequence)))
        if self._control_deadline is not None and self._control_deadline <= now:
            waited = f"no answer while {self.state.value} within {self.window.timeout:g} s"
            self._fail(waited, self.ending if self.state is State.UNBINDING else Ending.SILENT)
        elif self._whole_by is not None and self._whole_by <= now:
            self._fail(f"a PDU began and did not end within {self.patience:g} s")
        elif self.state is State.BOUND:
            self._tick_unanswered(bool(lost or resend), now)
            self._tick_heartbeat(now)

    def count_in(self, traffic: Traffic) -> None:
        """Add what goes over this session to what went over others; before it is connected."""
        self.traffic = traffic
        self._table = self._commands_of(self.version)

    def serve(self, account: Account) -> None:
        """Go by a customer's own settings, since its login is good (server role)."""
        self.account = account
        self.window.limit = account.window
        self.window.timeout = account.response_timeout

    def next_deadline(self) -> float | None:
        """When :meth:`tick` must be called at the latest; None when nothing is due."""
        if self.closed:
            return None
        due = [self.window.deadline, self._control_deadline, self._heartbeat_due(), self._whole_by]
        if self.state is State.BOUND:
            due.append(self._useless_at)
        return min((at for at in due if at is not None), default=None)

    def data_to_send(self) -> bytes:
        """Take the bytes to write; they count as sent from then on.

        A request that was not written when the session ended never is: it can go elsewhere.
        """
        if not self._out:
            return b""
        if self.state is State.CLOSED:
            kept = {id(octets) for octets in self._unwritten.values()}
            self._out = [octets for octets in self._out if id(octets) not in kept]
        else:
            self._unwritten.clear()
        self.traffic.count_sent(self._out)
        if self.traffic.tap is not None:
            self.traffic.tap.sent(self, self._out)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def events(self) -> list[ev.Event]:
        """Take what happened."""
        happened, self._events = self._events, []
        return happened

    def sent_id(self, sequence: Hashable) -> str:
        """The carrier_message_id that is known from the sequence alone, else ""."""
        return ""

    # ---- for the carrier's part ----------------------------------------------------------

    def received_octets(self) -> bytes:
        """The PDU being handled, as it came from the wire."""
        buffer, start, end = self._octets
        return buffer[start:end]

    def send(self, pdu: Pdu) -> None:
        """Write an answer."""
        self._out.append(pdu.encode())

    def emit(self, event: ev.Event) -> None:
        """Tell whoever drives the session."""
        self._events.append(event)

    def tell_once(self, problem: str, about: str = "") -> None:
        """Tell of something the peer does every time, the first time it does it.

        Args:
            problem: What is wrong, and what we make of it.
            about: What counts as the same thing again; "" = the same words.
        """
        if (about or problem) not in self._told:
            self._told.add(about or problem)
            self.emit(ev.PeerMistake(f"{problem}, also from now on"))

    def peer_request_allowed(self, pdu: Pdu) -> bool:
        """Whether the peer may send such a request now; if not, the session has failed."""
        if self.state is State.BOUND or (self.state, Input.PEER_REQUEST) in TRANSITIONS:
            return True  # the first is in the table too, and is asked once a message
        self._fail(f"{pdu.command} while {self.state.value}")
        return False

    def answered(self, key: Hashable, pdu: Pdu) -> Pending | None:
        """Close the request that ``pdu`` answers and return it; None when nothing waits for it."""
        pending = self.window.close(key)
        if pending is None:
            pending = self.window.close_late(key)
            if pending is None:
                self._mistake(f"{pdu.command} answers nothing we asked")
            else:
                self._useless_at = None
        return pending

    def submit_answered(self, key: Hashable, pdu: Pdu, code: int, carrier_message_id: str) -> None:
        """Close the submit that ``pdu`` answers, and tell what the answer says."""
        pending = self.answered(key, pdu)
        if pending is not None:
            sent_at = pending.deadline - self.window.timeout
            self.traffic.answers.add((self._silent_since or sent_at) - sent_at)
            context, late, again = pending.context, pending.late, pending.again
            self._events.append(ev.SubmitAnswered(context, code, carrier_message_id, late, again))

    def login_awaited(self, answer: Pdu) -> bool:
        """Whether our login waits for ``answer``; one that comes again is told once and ignored."""
        if self.state is State.BINDING:
            return True
        self.tell_once(f"{answer.command} answers no login of ours and is ignored")
        return False

    def bind_accepted(self, version: str, warning: str = "") -> None:
        """Our login was accepted."""
        if self._peer_moves(Input.BIND_ACCEPTED):
            self._control_deadline = None
            self.speak(version)
            self.emit(ev.Bound(version, warning))

    def bind_refused(
        self,
        code: int,
        text: str,
        kind: ev.RefusalKind = ev.RefusalKind.OTHER,
        version: str = "",
    ) -> None:
        """Our login, or the peer's, was refused: the session is over."""
        if self._peer_moves(Input.BIND_REFUSED):
            self.emit(ev.BindRefused(code, text, kind, version))

    def turned_away(self, name: str) -> bool:
        """Whether a peer that proved its secret may not log in now all the same (server role)."""
        return self.state is State.OPEN and not self.admits(self, name)

    def peer_bound(self, name: str, version: str) -> None:
        """The peer's login is good (server role)."""
        if self._peer_moves(Input.PEER_BIND):
            self._control_deadline = None
            self.peer_name = name
            self.speak(version)
            self.emit(ev.PeerBound(name, version))

    def peer_unbinds(self, answer: Pdu) -> None:
        """The peer ends the session."""
        if self._peer_moves(Input.PEER_UNBIND):
            self.ending = Ending.PEER
            self.send(answer)
            self.emit(ev.Unbound(by_peer=True))

    def unbind_answered(self, pdu: Pdu, now: float) -> None:
        """Our unbind was answered."""
        if self._peer_moves(Input.UNBIND_ANSWERED):
            self.emit(ev.Unbound(by_peer=False))

    def peer_heartbeat(self, answer: Pdu) -> None:
        """The peer tests the connection."""
        if self._peer_moves(Input.HEARTBEAT):
            self.send(answer)

    def heartbeat_answered(self, pdu: Pdu, now: float) -> None:
        """Any answer to a heartbeat is a sign of life, whatever its sequence."""
        self._useless_at = None

    # ---- inside --------------------------------------------------------------------------

    def speak(self, version: str) -> None:
        """Use this version's layouts from now on; before :meth:`bind`, ask for it."""
        self.version = version
        self._table = self._commands_of(version)

    def _commands_of(
        self, version: str
    ) -> dict[int, tuple[Decoder, Callable[[Any, float], None], list[int]]]:
        """Command id -> how to read it, what to do, what to count: one look-up for a good PDU."""
        decoders, received = self.codec.decoders(version), self.traffic.received
        return {
            command_id: (decoders[command_id], take, received[command_id])
            for command_id, take in self._on.items()
            if command_id in decoders
        }

    def _strange_pdu(self, buffer: bytes, start: int, end: int, now: float) -> None:
        """One that is not for us, or whose body is not its version's."""
        try:
            pdu = self.codec.decode_at(buffer, start, end, self.version)
        except PduError as error:
            meant = self.read_anyway(error, buffer, start, end)
            if meant is None:
                self.traffic.decode_errors += 1
                self.traffic.count_received(UNREADABLE, end - start)
                self._bad_pdu(error, buffer, start, end)
                return
            pdu = meant
        self.traffic.count_received(pdu.command_id, end - start)
        take = self._on.get(pdu.command_id)
        if take is None:
            self._mistake(f"{pdu.command} is not for the {self.side.value} side")
        else:
            self._octets = (buffer, start, end)
            take(pdu, now)

    def _move(self, what: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, what]
        except KeyError:
            raise LocalProtocolError(f"{what.value} while {self.state.value}") from None

    def _peer_moves(self, what: Input) -> bool:
        if (self.state, what) not in TRANSITIONS:
            self._fail(f"{what.value} while {self.state.value}")
            return False
        self._move(what)
        return True

    def _fail(self, reason: str, ending: Ending = Ending.FAULT) -> None:
        self._move(Input.FAIL)
        self.ending = ending
        self.emit(ev.SessionFailed(reason))

    def _mistake(self, problem: str) -> None:
        self.emit(ev.PeerMistake(problem))
        self._mistakes += 1
        if self._mistakes >= MISTAKES_MAX:
            self._fail(f"{self._mistakes} PDUs in a row that cannot be used")

    def _bad_pdu(self, error: PduError, buffer: bytes, start: int, end: int) -> None:
        if self.closes_on_bad_pdu:
            self._fail(str(error))
            return
        self._mistake(str(error))
        if not self.closed:
            self.refuse(error, buffer, start, end)

    def _frame_error(self, error: FrameError) -> None:
        self.traffic.decode_errors += 1
        self._fail(str(error))

    def _heartbeat_due(self) -> float | None:
        if self.heartbeat_pdu is None or self.state is not State.BOUND:
            return None
        if self._heartbeat_deadline is not None:
            return self._heartbeat_deadline
        interval = self.account.heartbeat_interval
        if interval <= 0 or self._silent_since is None:
            return None
        return self._silent_since + interval

    def _tick_unanswered(self, overdue: bool, now: float) -> None:
        """Give up a peer that answers nothing for T x N, whatever else it says meanwhile.

        Silence is not the only sign: a peer that stopped reading may go on sending, and where there
        is no heartbeat nothing else would ever end a connection that swallows every request.
        """
        if self._useless_at is not None and self._useless_at <= now:
            waited = f"no request was answered for {self.patience:g} s"
            self._fail(waited, Ending.SILENT)
        elif overdue:
            if self._useless_at is None:
                rest = self.account.heartbeat_tries - 1
                self._useless_at = now + self.account.response_timeout * rest
            if self.heartbeat_pdu is not None and self._heartbeat_deadline is None:
                self._send_heartbeat(self.heartbeat_pdu)  # one lost answer is no dead peer

    def _send_heartbeat(self, make: type[Pdu]) -> None:
        request = make()
        self.next_sequence(request)
        self.send(request)

    def _tick_heartbeat(self, now: float) -> None:
        due = self._heartbeat_due()
        if due is None or due > now or self.heartbeat_pdu is None:
            return
        if self._heartbeats_unanswered >= self.account.heartbeat_tries:
            self._fail(f"{self._heartbeats_unanswered} heartbeats unanswered", Ending.SILENT)
            return
        self.heartbeat(now)
