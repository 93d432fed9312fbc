"""A small working gateway, in memory, for tests of what stands in front of one."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from smsgw.errors import Conflict, NotFound, Overloaded
from smsgw.model import Event, MessageClass, MessageStatus, PortedNumber
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.traffic import Traffic
from smsgw.routing.numbers import normalise
from smsgw.services import inbox, queries
from smsgw.services.conversations import Conversations
from smsgw.services.gateway import NewMessage
from smsgw.services.group_sending import Batches
from smsgw.services.idempotency import IdempotencyKeys
from smsgw.services.ledger import SlotPlans
from smsgw.services.news import News
from smsgw.services.opt_outs import OptOuts
from smsgw.services.people import People
from smsgw.services.requests.engine import RequestEngine
from smsgw.services.requests.stand_ins import StandIns
from smsgw.services.requests.types import RequestTypes
from smsgw.services.slots import SlotMap
from smsgw.services.stats import Stats
from smsgw.services.traces import Traces
from smsgw.services.webhooks.book import Webhooks
from smsgw.store import events
from smsgw.store.idempotency import Once, remember
from smsgw.store.ids import IdSource
from tests.support.batches import BatchDesk
from tests.support.conversations import Desk
from tests.support.memory import ACCESS, MemoryStore, Time, result_of
from tests.support.requests import Office
from tests.support.store import NOW
from tests.support.webhooks import Exchange

CREATED = "2026-11-18T11:06:40.123+00:00"

Json = dict[str, Any]
T = TypeVar("T")


class FakePorted:
    """Keeps ported numbers; one known already is no news."""

    def __init__(self, store: MemoryStore) -> None:
        self.known: dict[str, PortedNumber] = {}
        self._store = store

    async def page(self, after: str, limit: int) -> Sequence[PortedNumber]:
        return [self.known[phone] for phone in sorted(self.known) if phone > after][:limit]

    async def put(self, numbers: Sequence[PortedNumber], once: Once[int] | None = None) -> int:
        news = [number for number in numbers if number.phone not in self.known]
        self.known.update((number.phone, number) for number in news)
        return await remembered(self._store, once, len(news))

    async def forget(self, phones: Sequence[str], once: Once[int] | None = None) -> int:
        count = sum(self.known.pop(phone, None) is not None for phone in phones)
        return await remembered(self._store, once, count)


class FakeAudit:
    """Three entries of one chain, and one document."""

    async def entries(self, account: str, *, after: tuple[int, int], limit: int) -> Sequence[Json]:
        places = [(0, sequence) for sequence in (1, 2, 3)]
        found = [place for place in places if place > after][:limit]
        return [{"id": f"{chain}-{sequence}", "account": account} for chain, sequence in found]

    async def evidence(self, account: str, request_id: int) -> Json:
        if request_id != 9000:
            raise NotFound(f"request {request_id}: not recorded")
        return {"format": "smsgw-evidence-1", "request": {"id": "9000", "subject": "采购"}}


class FakeControl:
    """Stops and starts the one link there is."""

    def __init__(self, store: MemoryStore) -> None:
        self.stopped: dict[str, str] = {}
        self._store = store

    async def stop(self, name: str, actor: str, once: Once[Json] | None = None) -> Json:
        self.stopped.setdefault(self._known(name), actor)
        return await remembered(self._store, once, self._state(name))

    async def start(self, name: str, actor: str, once: Once[Json] | None = None) -> Json:
        self.stopped.pop(self._known(name), None)
        return await remembered(self._store, once, self._state(name))

    def _known(self, name: str) -> str:
        if name != "cmcc":
            raise NotFound(f"link {name[:64]}: not known; links are: cmcc")
        return name

    def _state(self, name: str) -> Json:
        stopped = self.stopped.get(name)
        return {"name": name, "up": stopped is None, "state": "stopped" if stopped else "up"}


def _traces() -> Traces:
    """Traces of the one link there is, of which nothing ever comes."""
    link = SimpleNamespace(carrier=CARRIERS["cmpp"], traffic=Traffic())
    links: Any = {"cmcc": SimpleNamespace(link=link)}
    clock = Clock()
    clock.advance(NOW / 1000)
    return Traces(links, clock, IdSource(0, clock.seconds), _recorded)


async def remembered(store: MemoryStore, once: Once[T] | None, result: T) -> T:
    """Record a result under its key, and return it."""
    return await store.run(lambda connection: remember(connection, once, result))


async def _forgotten(phones: Sequence[str]) -> None:
    """No process knows an operator."""


async def _recorded(actor: str, action: str, detail: Json) -> None:
    """Nobody reads this chain."""


class FakeFront:
    """Accepts messages; each look at one moves it along ``course``."""

    def __init__(self) -> None:
        self.ported = FakePorted(self.kept)
        self.audit = FakeAudit()
        self.control = FakeControl(self.kept)
        self.traces = _traces()
        self.records = self
        self.drained = False
        self.sent: dict[int, Json] = {}
        self.received: list[Json] = []
        self.unmatched: list[Json] = []
        self.course = [MessageStatus.SENT, MessageStatus.DELIVERED]
        self.reasons: list[str] = []
        self.trouble: Exception | None = None
        self.segments: list[Json] = []
        self.told: Json = {"events": [], "events_complete": True, "links_left": [], "replies": []}
        self.told |= {"deliveries": [], "customers": []}
        self.held: Deferred[None] = succeed(None)
        """What ``send`` waits for."""
        self.held_back = 0
        """How many have waited for it."""

    @functools.cached_property
    def desk(self) -> Desk:
        """The real conversations, beside the keys."""
        return Desk(self.kept)

    @functools.cached_property
    def office(self) -> Office:
        """The real requests, beside the keys."""
        return Office(store=self.kept, plans=SlotPlans(digits_max={ACCESS: 20}))

    @property
    def requests(self) -> RequestEngine:
        return self.office.engine

    @property
    def types(self) -> RequestTypes:
        return RequestTypes(self.office.store, self.office.tools, self.office.time)

    @property
    def stand_ins(self) -> StandIns:
        return StandIns(self.office.store, self.office.time)

    @functools.cached_property
    def exchange(self) -> Exchange:
        """The real webhooks, beside the keys."""
        return Exchange(self.kept).start()

    @property
    def webhooks(self) -> Webhooks:
        return self.exchange.webhooks

    def close(self) -> None:
        """Close the store."""
        self.kept.close()

    @property
    def conversations(self) -> Conversations:
        return self.desk.conversations

    @property
    def slots(self) -> SlotMap:
        return self.desk.slots

    @functools.cached_property
    def kept(self) -> MemoryStore:
        """Where idempotency keys and events are, and what is done with such a key."""
        return MemoryStore()

    @functools.cached_property
    def batch_desk(self) -> BatchDesk:
        """The real batches, beside the keys."""
        return BatchDesk(self.kept)

    @property
    def batches(self) -> Batches:
        return self.batch_desk.batches

    @functools.cached_property
    def opt_outs(self) -> OptOuts:
        """The real opt-outs, beside the keys."""
        clock = Clock()
        clock.advance(NOW / 1000)
        found = OptOuts(self.kept, clock)
        result_of(Deferred.fromCoroutine(found.start()))
        return found

    @functools.cached_property
    def people(self) -> People:
        """What the real erasure finds beside the keys."""
        return People(self.kept, Time(), _forgotten)

    @property
    def stats(self) -> Stats:
        return Stats(self.kept, Time())

    @functools.cached_property
    def idempotency(self) -> IdempotencyKeys:
        return IdempotencyKeys(self.kept, Time())

    async def send(
        self, account: str, outgoing: Sequence[NewMessage], once: Once[Sequence[int]] | None = None
    ) -> Sequence[int]:
        if self.trouble is not None:
            raise self.trouble
        numbers = [normalise(one.to, f"messages[{index}].to") for index, one in enumerate(outgoing)]
        self.held_back += 1
        await self.held
        ids = []
        for one, number in zip(outgoing, numbers, strict=True):
            message_id = 1000 + len(self.sent)
            ids.append(message_id)
            self.sent[message_id] = {
                "id": str(message_id),
                "account": account,
                "to": number,
                "text": one.text,
                "class": one.message_class,
                "ref": one.reference,
                "expect_reply": one.expects_reply,
                "send_at": None if one.send_at is None else one.send_at.isoformat(),
                "valid_for": one.valid_for,
                "status": "queued",
                "reason": "",
                "link": "cmcc",
                "created_at": CREATED,
            }
        return await remembered(self.kept, once, ids)

    def explain(
        self, account: str, to: str, *, message_class: MessageClass, expects_reply: bool
    ) -> Json:
        return {
            "to": normalise(to),
            "operator": "mobile",
            "why": f"138****1001: operator mobile, by prefix 138, for {account}",
            "rules": [f"rule {message_class}: taken, reply {expects_reply}"],
            "links": [{"name": "cmcc", "up": True}, {"name": "cmcc-b", "up": False}],
            "refused": "" if message_class != MessageClass.BULK else "no route",
        }

    async def message(self, account: str, message_id: int) -> Json:
        message = self.sent.get(message_id)
        if message is None or message["account"] != account:
            raise NotFound(f"no message {message_id}")
        if self.course:
            message["status"] = self.course.pop(0)
        segment = {"part": 1, "total": 1, "state": message["status"], "sent_at": CREATED}
        return {**message, "segments": self.segments or [segment]}

    async def trace(self, account: str, message_id: int) -> Json:
        return {"account": account, "message": await self.message(account, message_id)} | self.told

    async def cancel(self, account: str, message_id: int, once: Once[Json] | None = None) -> Json:
        self.course = []
        message = await self.message(account, message_id)
        if message["status"] != "queued":
            raise Conflict(f"message {message_id} is {message['status']}")
        self.sent[message_id]["status"] = "canceled"
        return await remembered(self.kept, once, await self.message(account, message_id))

    async def messages(
        self,
        account: str,
        *,
        before: int | None,
        limit: int,
        status: str | None,
        to: str | None,
        batch: int | None = None,
    ) -> Sequence[Json]:
        if batch is not None:
            filters = {"before": before, "limit": limit, "status": status, "recipient": to}
            find = partial(queries.message_page, account=account, batch=batch, **filters)
            return await self.kept.read(find)
        found = [
            one
            for one in reversed(self.sent.values())
            if one["account"] == account
            and (before is None or int(one["id"]) < before)
            and (status is None or one["status"] == status)
            and (to is None or one["to"] == to)
        ]
        return found[:limit]

    async def inbound(
        self,
        account: str,
        *,
        before: int | None,
        limit: int,
        general: bool = True,
        unread: bool = False,
    ) -> Sequence[Json]:
        found = [one for one in self.received if before is None or int(one["id"]) < before]
        which = {"general": general, "unread": unread}
        find = partial(queries.inbound_page, account=account, before=before, limit=limit, **which)
        return [*found, *await self.kept.read(find)][:limit]

    async def read_inbound(
        self,
        account: str,
        ids: Sequence[int] = (),
        up_to: int | None = None,
        once: Once[int] | None = None,
    ) -> int:
        if up_to is None:
            return await inbox.read(self.kept, account, ids, NOW, once)
        return await inbox.read_until(self.kept, account, up_to, NOW, once)

    async def events(
        self, account: str, *, after: int, limit: int, kinds: Sequence[str] = ()
    ) -> Sequence[Json]:
        find = partial(queries.events_after, account=account, limit=limit, kinds=kinds)
        found = [{"id": str(at), "at": CREATED, "kind": "message.sent"} for at in (1, 2, 3)]
        found = [one for one in found if not kinds and int(str(one["id"])) > after]
        return [*found, *await self.kept.read(partial(find, after=max(after, 3)))][:limit]

    def happen(self, kind: str, account: str = "oa") -> None:
        """Record an event."""
        self.kept.run(partial(events.append, now_ms=1, events=[Event(kind, 7, account)]))
        self.news.committed()

    @functools.cached_property
    def news(self) -> News:
        return News(self.kept, cast(Any, reactor))

    async def unmatched_reports(
        self, *, link: str | None, before: int | None, limit: int
    ) -> Sequence[Json]:
        found = [
            one
            for one in self.unmatched
            if (link is None or one["link"] == link) and (before is None or int(one["id"]) < before)
        ]
        return found[:limit]

    def links(self) -> Sequence[Json]:
        binds = [{"phase": "bound", "reason": ""}, {"phase": "waiting", "reason": "refused"}]
        return [
            {
                "name": "cmcc",
                "protocol": "cmpp",
                "up": True,
                "state": "up",
                "binds": binds,
                "window": 32,
                "in_flight": 3,
                "answer_seconds": 0.0123,
                "report_ids": "as given",
                "limited_by": {"cause": "rate limit", "detail": "9.5 of 10 a second"},
                "queue": {"queued": 7},
            },
            {
                "name": "ctcc",
                "protocol": "smgp",
                "up": False,
                "state": "down",
                "binds": [{"phase": "down", "reason": "cannot connect"}],
                "window": 16,
                "in_flight": 0,
                "answer_seconds": 0.0,
                "limited_by": {"cause": "not bound", "detail": "cannot connect"},
                "queue": {"queued": 0},
            },
        ]

    async def reload(self, actor: str, dry_run: bool) -> Json:
        return {
            "applied": not dry_run,
            "changes": [{"path": "links.cmcc.rate", "before": 10.0, "after": 20.0}],
            "needs_restart": [],
            "links": {"added": [], "removed": [], "restarted": [], "rate": ["cmcc"]},
            "warnings": [],
        }

    async def drain(self, actor: str, undo: bool = False) -> Json:
        self.drained = not undo
        return {"draining": not undo, "queued": 3, "sending": 1, "more_in_store": False}

    def check_open(self) -> None:
        if self.drained:
            raise Overloaded("the gateway is being drained; ask another one", 30)

    async def readiness(self) -> Sequence[str]:
        return self.reasons
