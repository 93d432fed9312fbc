"""The first minutes with a carrier account: login, heartbeat, one message, what comes back.

It has a link of its own, so it is for an account that no gateway uses at the same time. What the
carrier brings meanwhile that is not the test's is never acknowledged: the carrier brings it again,
to the gateway.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from smsgw.errors import Disposition, LinkDown, ValidationError
from smsgw.model import MessageStatus, MoMessage, Segment, StatusReport, SubmitResult
from smsgw.routing.numbers import normalise
from smsgw.services.submission import LinkInfo
from smsgw.text import segmentation
from smsgw.text.charset import decode
from smsgw.transport.link import Inbound, Link
from smsgw.transport.observer import LinkObserver, Silent

PASSED, FAILED, SKIPPED = "pass", "fail", "skipped"

LOOK_SECONDS = 0.02
TEXT = "smsgw selftest 验收测试"
LONG_TEXT = "长短信测试，请忽略。" * 12
"""More than one message can hold, in any coding."""

HEARTBEAT_ANSWER = 0x80000000


class Step(msgspec.Struct):
    """One thing that was tried.

    Attributes:
        name: ``listen``, ``login``, ``heartbeat``, ``submit``, ``report``, ``long``, ``callback``,
            ``reply`` or ``logout``.
        outcome: :data:`PASSED`, :data:`FAILED` or :data:`SKIPPED`.
        said: What was seen, or what to do.
        seconds: How long it took; None where nothing was waited for.
        details: What the carrier's engineer wants to see, such as ``carrier_message_id``.
    """

    name: str
    outcome: str
    said: str
    seconds: float | None = None
    details: dict[str, Any] = {}


class Order(msgspec.Struct, kw_only=True):
    """What is to be tried.

    Attributes:
        phone: Where the message goes; "" to send none.
        reply: Wait for an answer of the phone's owner too.
        long: Send one of several parts too.
        wait: Seconds for each report, call-back and reply.
    """

    phone: str = ""
    reply: bool = False
    long: bool = False
    wait: float = 60.0


class SelfTest:
    """Tries a link.

    Args:
        make_link: Makes it, not started, with the observer that it is to have.
        info: What composing a message for it needs.
        order: What to try.
        clock: For time limits.
        told: Called with each step as it is done, and with what people are asked to do.
    """

    def __init__(
        self,
        make_link: Callable[[LinkObserver], Link],
        info: LinkInfo,
        order: Order,
        clock: IReactorTime,
        told: Callable[[Step | str], None] = lambda step: None,
    ) -> None:
        watch = _Watch(self._has_bound)
        self._link = make_link(watch)
        self._link.on_inbound = self._take
        self._info = info
        self._order = order
        self._clock = clock
        self._told = told
        self._called_back = False
        self._reports: list[StatusReport] = []
        self._replies: list[MoMessage] = []
        self._sent_to_phone = False
        self.steps: list[Step] = []
        self.left = 0

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return all(step.outcome != FAILED for step in self.steps)

    async def run(self) -> list[Step]:
        """Try everything that was ordered and can be tried, then log out."""
        try:
            if await self._listen() and await self._login():
                await self._heartbeat()
                await self._messages()
        finally:
            began = self._clock.seconds()
            await self._link.stop()
            if self._has("login"):
                self._note("logout", PASSED, "unbound and closed", began)
        if self.left:
            self._told(
                f"{self.left} messages or reports came that are not the test's; they were not"
                " acknowledged, so the carrier brings them again"
            )
        return self.steps

    # ---- steps ---------------------------------------------------------------------------

    async def _listen(self) -> bool:
        if not self._link.carrier.peer_dials:
            return True
        try:
            await self._link.listen()
        except CannotListenError as error:
            self._note("listen", FAILED, f"cannot listen: {error.socketError}")
            return False
        port = self._link.listener_port
        if port is None:
            why = "the link has no listener, so no report and no reply can come"
            self._note("listen", SKIPPED, why)
        else:
            self._note("listen", PASSED, f"listening on port {port} for the carrier to dial")
        return True

    async def _login(self) -> bool:
        began, limit = self._clock.seconds(), self._link.account.response_timeout + 1
        self._link.start()
        ended = await self._until(self._login_ended, limit)
        binds = self._link.state()["binds"]
        bad = [bind for bind in binds if bind["phase"] not in ("bound", "idle")]
        if not ended or bad:
            why = "; ".join(dict.fromkeys(one["reason"] for one in bad if one["reason"]))
            refused = bad[0]["refused"] if bad else ""
            if not refused and not why.startswith("cannot connect"):
                why = f"the login was not answered: {why or f'nothing came within {limit:g} s'}"
            self._note("login", FAILED, why, began, refused=refused)
            return False
        versions = " and ".join(dict.fromkeys(bind["version"] for bind in binds if bind["version"]))
        notes = "; ".join(bind["note"] for bind in binds if bind["note"])
        told = f"logged in, version {versions}" + (f"; {notes}" if notes else "")
        self._note("login", PASSED, told, began, version=versions)
        return True

    def _login_ended(self) -> bool:
        phases = [bind["phase"] for bind in self._link.state()["binds"]]
        return "down" in phases[:1] or not {"down", "dialling", "binding"} & set(phases)

    async def _heartbeat(self) -> None:
        heartbeat = getattr(self._link.carrier.session, "heartbeat_pdu", None)
        if heartbeat is None:
            self._note("heartbeat", SKIPPED, f"{self._link.carrier.title} has none")
            return
        began, limit = self._clock.seconds(), self._link.account.response_timeout
        answers = self._link.traffic.received[heartbeat.command_id | HEARTBEAT_ANSWER]
        before = answers[0]
        self._link.heartbeat()
        if await self._until(lambda: answers[0] > before, limit):
            self._note("heartbeat", PASSED, "answered", began)
        else:
            self._note("heartbeat", FAILED, f"no answer within {limit:g} s", began)

    async def _messages(self) -> None:
        order = self._order
        if not order.phone:
            for name in ("submit", "report", "reply"):
                self._note(name, SKIPPED, "no phone to send to; give --phone")
            return
        ids = await self._submit("submit", TEXT)
        if ids:
            await self._report("report", ids)
        if order.long:
            ids = await self._submit("long", LONG_TEXT)
            if ids:
                await self._report("long report", ids)
        if self._link.listener_port is not None:
            await self._callback()
        if order.reply:
            await self._reply()
        else:
            self._note("reply", SKIPPED, "not asked for; give --reply")

    async def _submit(self, name: str, text: str) -> list[str]:
        """Send a text; return the carrier's ids of its parts, none when one was not taken."""
        began, ids = self._clock.seconds(), []
        self._sent_to_phone = True  # from now on: a report may overtake the answer
        for segment in self._segments(text):
            result = await self._answer(segment)
            if result is None or result.disposition is not Disposition.ACCEPTED:
                code, why = (-1, "no answer came") if result is None else (result.code, result.text)
                result_of = f" (result {code})" if code >= 0 else ""
                told = f"part {segment.part} of {segment.total}: {why}{result_of}"
                self._note(name, FAILED, told, began, result=code)
                return []
            ids.append(result.carrier_message_id)
        told = f"taken, id {', '.join(ids)}"
        self._note(name, PASSED, told, began, carrier_message_id=ids)
        return ids

    async def _answer(self, segment: Segment) -> SubmitResult | None:
        answer: Deferred[SubmitResult] = self._link.submit(segment)
        answer.addTimeout(self._link.account.response_timeout + 5, self._clock)
        try:
            return await answer
        except (TimedOut, CancelledError, LinkDown):
            return None

    def _segments(self, text: str) -> Sequence[Segment]:
        info, phone = self._info, self._order.phone
        split = segmentation.plan_text(
            text,
            info.codings,
            reference_width=info.reference_width,
            family=info.family,
            octets_max=info.content_octets_max,
        )
        parts = segmentation.segments(split, 1)
        several = len(parts) > 1
        return [
            Segment(phone, info.access_number, int(split.coding), part, several, n, len(parts))
            for n, part in enumerate(parts, start=1)
        ]

    async def _report(self, name: str, ids: Sequence[str]) -> None:
        if not self._link.account.receives:
            self._note(name, SKIPPED, "this login only sends; another one brings the reports")
            return
        began = self._clock.seconds()
        came = await self._until(lambda: len(self._own_reports(ids)) >= len(ids), self._order.wait)
        found = self._own_reports(ids)
        stats = ", ".join(dict.fromkeys(report.stat for report in found))
        if not came:
            told = f"{len(found)} of {len(ids)} within {self._order.wait:g} s"
            self._note(name, FAILED, told, began)
            return
        good = all(report.status is MessageStatus.DELIVERED for report in found)
        strange = [one.carrier_message_id for one in found if one.carrier_message_id not in ids]
        note = f"; it names the id {strange[0]}, the answer did not" if strange else ""
        told = f"{stats}{note}"
        self._note(name, PASSED if good else FAILED, told, began, stat=stats)

    def _own_reports(self, ids: Sequence[str]) -> list[StatusReport]:
        """Final reports of these ids, or else, as gateways spell ids differently, of the phone."""
        final = [one for one in self._reports if one.status is not MessageStatus.SENT]
        named = [one for one in final if one.carrier_message_id in ids]
        return named or [one for one in final if one.to == self._order.phone][-len(ids) :]

    async def _callback(self) -> None:
        began = self._clock.seconds()
        if await self._until(lambda: self._called_back, self._order.wait):
            self._note("callback", PASSED, "the carrier dialled our listener and logged in", began)
            return
        told = (
            f"the carrier did not log in to our port {self._link.listener_port} within "
            f"{self._order.wait:g} s; see that it has our address, and that allow, login and "
            "secret of the listener are its own"
        )
        self._note("callback", FAILED, told, began)

    async def _reply(self) -> None:
        began, order = self._clock.seconds(), self._order
        number = self._info.access_number
        self._told(please_write(order, number))
        if await self._until(lambda: bool(self._replies), order.wait):
            first = self._replies[0]
            told = f"came from {first.sender} to {first.destination}"
            self._note("reply", PASSED, told, began, text=_text(first, self._info))
        else:
            self._note("reply", FAILED, f"none within {order.wait:g} s", began)

    # ---- what the link tells -------------------------------------------------------------

    def _has_bound(self) -> None:
        self._called_back = self._called_back or self._link.state()["accepted_binds"] > 0

    def _take(self, batch: list[Inbound]) -> None:
        """Keep and acknowledge what is the test's; leave the rest to the gateway."""
        for item in batch:
            if self._is_ours(item):
                item.acknowledge(0)
            else:
                self.left += 1

    def _is_ours(self, item: Inbound) -> bool:
        if item.report is not None:
            if self._sent_to_phone and item.report.to in (self._order.phone, ""):
                self._reports.append(item.report)
                return True
            return False
        message = item.message
        if message is None or not self._order.reply:
            return False
        if normalised(message.sender) != self._order.phone:
            return False
        self._replies.append(message)
        return True

    # ---- inside --------------------------------------------------------------------------

    async def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        end = self._clock.seconds() + seconds
        while not holds():
            if self._clock.seconds() >= end:
                return False
            await deferLater(self._clock, LOOK_SECONDS)
        return True

    def _has(self, name: str) -> bool:
        return any(step.name == name and step.outcome == PASSED for step in self.steps)

    def _note(
        self, name: str, outcome: str, said: str, began: float | None = None, **details: Any
    ) -> None:
        seconds = None if began is None else round(self._clock.seconds() - began, 3)
        step = Step(name, outcome, said, seconds, details)
        self.steps.append(step)
        self._told(step)


class _Watch(Silent):
    """Tells of logins, the carrier's to us among them."""

    def __init__(self, has_bound: Callable[[], None]) -> None:
        self._has_bound = has_bound

    def bound(self, link: str) -> None:
        self._has_bound()


def please_write(order: Order, number: str) -> str:
    """Return what the phone's owner is asked to do.

    The words are new ones each time: a gateway takes the same words from the same phone, sent again
    within minutes, for a repeat.
    """
    words = 1000 + secrets.randbelow(9000)
    return f"now write {words} from {order.phone} to {number}; waiting {order.wait:g} s"


def normalised(number: str) -> str:
    """Return a phone's number as we write it; what is none as it is."""
    try:
        return normalise(number)
    except ValidationError:
        return number


def _text(message: MoMessage, info: LinkInfo) -> str:
    if message.udhi:
        return f"{len(message.content)} octets, a part of a long message"
    return decode(message.content, message.coding, info.family)
