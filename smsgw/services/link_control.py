"""A gateway's links: which there are, which of them people stopped, and what a change does.

A link that is stopped, changed or removed submits nothing more; what is in flight is answered, then
it unbinds. What waits for it takes the other links of its route as far as it may. A stop is kept in
the store: it holds over restarts, and in every process on the database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, DeferredList, DeferredLock, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.delivery.dispatcher import Dispatcher
from smsgw.delivery.throttle import Limits
from smsgw.errors import ConfigError, Conflict, NotFound, StoreError
from smsgw.model import Operator
from smsgw.services.queries import iso
from smsgw.services.submission import LinkInfo
from smsgw.store import audit, stopped_links
from smsgw.store.audit import Entry
from smsgw.store.database import Database
from smsgw.store.idempotency import Once, remember
from smsgw.store.stopped_links import StoppedLinkRow
from smsgw.text.charset import Family
from smsgw.transport.link import Inbound, Link

Json = dict[str, Any]

ANSWERS_WITHIN = 25.0
"""Seconds a stop waits for the carriers' answers to what is in flight; then it is unknown."""

LOOK_SECONDS = 2.0
"""Between two looks at which links were stopped, where another process may have done so."""

SETTLED_WITHIN = 5.0
"""Seconds that recording what became of the last submits may take."""


class LinksObserver(Protocol):
    """What is counted of links; metrics implement it."""

    def expect(self, links: Sequence[str]) -> None:
        """Show the series of these links before they move."""

    def link_stopped(self, link: str, stopped: bool) -> None:
        """People stopped it, or started it again."""

    def forget_link(self, link: str) -> None:
        """Show nothing of a link's present state any more: there is no such link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEntry:
    """A link and what the gateway must know of it.

    Attributes:
        link: Not started.
        info: What composing a message for it needs.
        rate: PDUs a second over all binds; 0 = no limit.
        listens: Where its gateway dials us; "" where it does not, or where the system chooses.
    """

    link: Link
    info: LinkInfo
    rate: float = 0.0
    listens: str = ""


class LinkControl:
    """Starts, stops and changes links.

    Args:
        entries: All of them, in order of preference; each one's ``on_inbound`` is set here.
        database: Not open yet.
        reactor: Its clock and timers.
        observer: Told what is counted.
        take: Given what a link brings.

    Attributes:
        entries: The links by name. This and the next four are changed in place.
        infos: What composing a message for each needs.
        operators: Whose subscribers each reaches.
        families: Who gives each one's coding octets their meaning.
        text_ids: Those whose carriers' ids are text.
        serves: Whether each is for this process to send over.
        dispatcher: Sends over them; set once, before anything else is called.
        forget: Called with the name of a link that is no more.
        renewed: Called with the name of a link that is there anew.
    """

    log = Logger()

    def __init__(
        self,
        entries: Sequence[LinkEntry],
        database: Database,
        reactor: IReactorTime,
        observer: LinksObserver,
        take: Callable[[str, list[Inbound]], None],
    ) -> None:
        self.entries: dict[str, LinkEntry] = {}
        self.infos: dict[str, LinkInfo] = {}
        self.operators: dict[str, Operator] = {}
        self.families: dict[str, Family] = {}
        self.text_ids: set[str] = set()
        self.serves: dict[str, Callable[[], bool]] = {}
        self.dispatcher: Dispatcher
        self.forget: Callable[[str], None] = lambda link: None
        self.renewed: Callable[[str], None] = lambda link: None
        self._database = database
        self._clock = reactor
        self._observer = observer
        self._take = take
        self._stopped: dict[str, StoppedLinkRow] = {}
        self._turns: dict[str, DeferredLock] = {}
        self._busy: set[str] = set()  # being stopped, or restarted
        self._work: set[Deferred[None]] = set()
        self._closed = False
        self._changes = 0  # what was read before the last one says nothing of it
        self._timer = LoopingCall(self._follow)
        self._timer.clock = reactor
        for entry in entries:
            self._put(entry)

    def _put(self, entry: LinkEntry) -> None:
        name = entry.link.name
        self.entries[name] = entry
        self.infos[name] = entry.info
        self.operators[name] = entry.info.operator
        self.families[name] = entry.info.family
        (self.text_ids.add if entry.info.family == "smpp" else self.text_ids.discard)(name)
        self.serves[name] = partial(self._serves, name)
        entry.link.on_inbound = partial(self._take, name)
        self.renewed(name)
        self._observer.link_stopped(name, name in self._stopped)

    def _serves(self, name: str) -> bool:
        """Whether this process looks after a link: with one that is stopped they all do."""
        return name in self._stopped or self.entries[name].link.permitted

    def up(self, name: str) -> bool:
        """Whether a link can send now, here or where another process has its connections."""
        entry = self.entries.get(name)
        return entry is not None and (entry.link.up or name in self.dispatcher.elsewhere)

    def is_stopped(self, name: str) -> bool:
        """Whether people stopped a link, and nobody started it since."""
        return name in self._stopped

    def state(self, name: str) -> Json:
        """Return a link's state, JSON-ready, without what waits for it."""
        link, row = self.entries[name].link, self._stopped.get(name)
        if row is not None:
            state = "stopping" if name in self._busy else "stopped"
        else:
            state = "up" if link.up else "down"
        stopped = None if row is None else _shown(row)
        return {**link.state(), "up": link.up, "state": state, "stopped": stopped}

    # ---- the gateway's life --------------------------------------------------------------

    async def listen(self) -> None:
        """Read which links are stopped, and open the ports of the others.

        Raises:
            CannotListenError: An address is taken or not ours.
        """
        rows = await self._database.read(stopped_links.stopped)
        for name, entry in self.entries.items():
            row = rows.get(name)
            if row is None:
                await entry.link.listen()
            else:
                self._stopped[name] = row
                entry.link.hold(_by(row))
                self._observer.link_stopped(name, True)
                told = "link {link}: stays stopped, by {who}; smsgw links start starts it"
                self.log.warn(told, event="link.stays_stopped", link=name, who=row.actor)

    def start_all(self) -> None:
        """Dial."""
        for name, entry in self.entries.items():
            if name not in self._stopped:
                entry.link.start()
            else:
                self._run(self.dispatcher.vacate(name))
        if self._database.presence is not None:
            self._timer.start(LOOK_SECONDS, now=False)

    async def stop_all(self) -> None:
        """Unbind and close everything; what is unanswered then is unknown."""
        self._closed = True
        if self._timer.running:
            self._timer.stop()
        ends = [entry.link.stop() for entry in self.entries.values()]
        await DeferredList([*ends, *self._work], consumeErrors=True)

    # ---- people --------------------------------------------------------------------------

    async def stop(self, name: str, actor: str, once: Once[Json] | None = None) -> Json:
        """Stop a link until :meth:`start`; returns its state once that is recorded.

        It is ``stopping`` until what was in flight is answered; then ``stopped``. What ``once``
        makes of the state that it then has is recorded in the same commit.

        Raises:
            NotFound: There is no such link.
        """
        before = self.state(self._known(name))
        row = StoppedLinkRow(name, actor, self._now())

        def work(connection: Connection) -> dict[str, StoppedLinkRow]:
            if stopped_links.stop(connection, row):
                audit.append(connection, row.at, [Entry(actor, "link.stopped", "", 0, _of(name))])
            rows = stopped_links.stopped(connection)
            after = "stopping" if before["stopped"] is None else before["state"]
            stopped = {"up": False, "state": after, "stopped": _shown(rows[name])}
            remember(connection, once, {**before, **stopped})
            return rows

        self._obey(await self._database.writer.run(work))
        return self.state(self._known(name))

    async def start(self, name: str, actor: str, once: Once[Json] | None = None) -> Json:
        """Start a link that was stopped; returns its state. One that runs goes on.

        What ``once`` makes of the state that it then has is recorded in the commit that starts it.

        Raises:
            NotFound: There is no such link.
            Conflict: The port that its gateway dials cannot be opened.
        """
        self._known(name)
        turn = await self._turn(name).acquire()
        try:
            if name in self._stopped and name in self.entries:
                await self._open(name)
                after = {**self.state(name), "state": "down", "stopped": None}
                now = self._now()

                def work(connection: Connection) -> None:
                    if stopped_links.start(connection, name):
                        entry = Entry(actor, "link.started", "", 0, _of(name))
                        audit.append(connection, now, [entry])
                    remember(connection, once, after)

                try:
                    await self._database.writer.run(work)
                except (StoreError, Conflict):
                    await self.entries[name].link.stop()  # the port too
                    raise
                self._go(name)
        finally:
            turn.release()
        return self.state(self._known(name))

    def _known(self, name: str) -> str:
        if name not in self.entries:
            known = ", ".join(self.entries) or "none"
            raise NotFound(f"link {name[:64]}: not known; links are: {known}")
        return name

    def _turn(self, name: str) -> DeferredLock:
        """Only one thing at a time is done to a link."""
        return self._turns.setdefault(name, DeferredLock())

    async def _open(self, name: str) -> None:
        try:
            await self.entries[name].link.listen()
        except CannotListenError as error:
            raise Conflict(f"link {name}: its port cannot be opened: {error}") from None

    def _go(self, name: str) -> None:
        row = self._stopped.pop(name)
        self._changes += 1
        told = "link {link}: started again; {who} had stopped it"
        self.log.info(told, event="link.started", link=name, who=row.actor)
        self._observer.link_stopped(name, False)
        self.entries[name].link.start()

    async def _follow(self) -> None:
        """See what other processes stopped or started."""
        changes = self._changes
        try:
            rows = await self._database.read(stopped_links.stopped)
            if changes == self._changes:
                self._obey(rows)
        except StoreError as error:
            told = "which links are stopped could not be read: {why}"
            self.log.warn(told, event="link.stops_not_read", why=str(error))

    def _obey(self, rows: Mapping[str, StoppedLinkRow]) -> None:
        for name in self.entries:
            row = rows.get(name)
            if row is not None and name not in self._stopped:
                self._stopped[name] = row
                self._busy.add(name)
                self._changes += 1
                self.entries[name].link.hold(_by(row))
                self._observer.link_stopped(name, True)
                told = "link {link}: stopped by {who}"
                self.log.warn(told, event="link.stopped", link=name, who=row.actor)
                self._run(self._rest(name))
            elif row is None and name in self._stopped and name not in self._busy:
                self._run(self._resume(name))

    async def _rest(self, name: str) -> None:
        """Finish what is in flight, and unbind."""
        turn = await self._turn(name).acquire()
        try:
            if name in self.entries and name in self._stopped:
                self.entries[name].link.hold(_by(self._stopped[name]))  # it may be another by now
                await self._leave(name)
        finally:
            self._busy.discard(name)
            turn.release()

    async def _resume(self, name: str) -> None:
        """Start a link that another process was told to start."""
        turn = await self._turn(name).acquire()
        try:
            if name in self._stopped and name in self.entries:
                await self._open(name)
                self._go(name)
        except Conflict as error:
            self.log.error("{why}", event="link.not_started", link=name, why=str(error))
        finally:
            turn.release()

    async def _leave(self, name: str) -> None:
        """Give what waits for a link that is held to others, finish its windows, and unbind."""
        link = self.entries[name].link
        waiting = self._watched(self.dispatcher.vacate(name))
        await link.drain(ANSWERS_WITHIN)
        await link.stop()
        await waiting
        await self.dispatcher.vacate(name, SETTLED_WITHIN)

    # ---- the configuration ---------------------------------------------------------------

    async def prepare(self, entries: Sequence[LinkEntry]) -> None:
        """Open the ports of links that are new or changed, those we do not hold already.

        Raises:
            ConfigError: One cannot be opened; then all that were are closed again.
            StoreError: Which links are stopped could not be read.
            Conflict: The gateway is being stopped.
        """
        if self._closed:
            raise Conflict("the gateway is being stopped; nothing was changed")
        opened: list[Link] = []
        rows = await self._database.read(stopped_links.stopped)
        for entry in entries:
            name, link = entry.link.name, entry.link
            if name in rows or self._holds_port_of(entry):
                continue
            opened.append(link)
            try:
                await link.listen()
            except CannotListenError as error:
                await DeferredList([one.stop() for one in opened], consumeErrors=True)
                raise ConfigError(f"links.{name}.listener.listen", str(error)) from None
        new = {entry.link.name for entry in entries}.difference(self.entries)
        self._stopped.update((name, row) for name, row in rows.items() if name in new)

    def _holds_port_of(self, entry: LinkEntry) -> bool:
        before = self.entries.get(entry.link.name)
        return before is not None and bool(entry.listens) and before.listens == entry.listens

    async def add(self, entry: LinkEntry) -> None:
        """Have one more link; it is prepared, and dials with :meth:`start_added`."""
        self._observer.expect([entry.link.name])
        self._put(entry)
        try:
            await self.dispatcher.add(entry.link, Limits(entry.rate))
        except StoreError as error:  # it is tried again, like any other reading
            told = "link {link}: waiting messages could not be read: {why}"
            name = entry.link.name
            self.log.error(told, event="queue.not_read", link=name, why=str(error))

    def start_added(self, name: str) -> None:
        """Have a link dial that was added, unless one of that name is stopped."""
        self._start_or_hold(name)

    def _start_or_hold(self, name: str) -> None:
        link, row = self.entries[name].link, self._stopped.get(name)
        if row is not None:
            link.hold(_by(row))
        elif not self._closed:
            link.start()

    def agree(self, name: str, rate: float) -> None:
        """Go by another rate of a link; its connections stay."""
        self.entries[name] = dataclasses.replace(self.entries[name], rate=rate)
        self.dispatcher.agree(name, Limits(rate))

    async def change(self, changed: Sequence[LinkEntry], removed: Sequence[str]) -> list[str]:
        """Have links by other settings, and some no more, all at the same time.

        Of a link that is changed the old one finishes and unbinds, the new one dials; what waits
        for it waits for the new one. Returns a line for each one that cannot do all it should now.
        """
        problems: list[str] = []
        work = [self._watched(self._replace(entry, problems)) for entry in changed]
        work += [self._watched(self._remove(name)) for name in removed]
        await DeferredList(work)
        return problems

    async def _replace(self, entry: LinkEntry, problems: list[str]) -> None:
        name = entry.link.name
        turn = await self._turn(name).acquire()
        self._busy.add(name)
        try:
            before, row = self.entries[name], self._stopped.get(name)
            if row is None:
                before.link.hold("its settings change")
                await before.link.drain(ANSWERS_WITHIN)
                await before.link.stop()
                problems += await self._take_over_port(entry)
            self._put(entry)
            self.dispatcher.carry_on(entry.link)
            self.dispatcher.agree(name, Limits(entry.rate))
            self._start_or_hold(name)
        finally:
            self._busy.discard(name)
            turn.release()

    async def _take_over_port(self, entry: LinkEntry) -> list[str]:
        try:
            if entry.link.listener_port is None and not self._closed:  # the old one had it
                await entry.link.listen()
        except CannotListenError as error:  # somebody was faster; the rest of the link works
            told = "link {link}: its port is lost, stop and start it: {why}"
            name = entry.link.name
            self.log.critical(told, event="link.port_lost", link=name, why=str(error))
            return [told.format(link=name, why=error)]
        return []

    async def _remove(self, name: str) -> None:
        """Have a link no more; no route leads to it. What still waits for it stays in the store.

        What the store fails at is told, and holds up nothing: the file is in force already.
        """
        writer = self._database.writer
        await self._watched(writer.run(_nothing))  # what began with the old routes has its links
        turn = await self._turn(name).acquire()
        try:
            if name not in self._stopped:
                self.entries[name].link.hold("it is not configured any more")
            self.infos.pop(name)
            await self._watched(self._leave(name))
            await self._watched(writer.run(partial(stopped_links.start, link=name)))
            await self.dispatcher.remove(name)
        finally:
            self._forget(name)
            turn.release()

    def _forget(self, name: str) -> None:
        for known in (self.entries, self.infos, self.operators, self.families, self.serves):
            known.pop(name, None)
        self.text_ids.discard(name)
        self._stopped.pop(name, None)
        self._turns.pop(name, None)
        self._observer.forget_link(name)
        self.forget(name)

    # ---- work ----------------------------------------------------------------------------

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Do something that nobody waits for, but the end."""
        running = self._watched(work)
        self._work.add(running)
        running.addBoth(lambda _: self._work.discard(running))

    def _watched(self, work: Coroutine[Deferred[Any], Any, Any] | Deferred[Any]) -> Deferred[None]:
        return ensureDeferred(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(StoreError):
            told = "a link stops, and the store could not do its part: {why}"
            why = failure.getErrorMessage()
            self.log.error(told, event="link.messages_not_moved", why=why)
        else:
            self.log.failure("changing a link", failure, event="link.change_failed")


def _by(row: StoppedLinkRow) -> str:
    return f"stopped by {row.actor}"


def _of(name: str) -> dict[str, str]:
    return {"link": name}


def _shown(row: StoppedLinkRow) -> Json:
    return {"by": row.actor, "at": iso(row.at)}


def _nothing(connection: Connection) -> None:
    pass
