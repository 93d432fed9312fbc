"""A process that ends between the commit of a POST and its answer: the key tells what was done.

Every POST that changes the database is asked for with a key. First the key cannot be recorded, and
nothing is done; then all is recorded, and nobody hears of it. After a restart the same request
again gets the answer that was recorded, and nothing more is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import treq
from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.client import HTTPConnectionPool

from smsgw.errors import StoreError
from smsgw.store import idempotency
from smsgw.store.idempotency import ACCEPT_ONCE
from smsgw.store.schema import inbound, metadata
from smsgw.store.statements import insert_rows
from smsgw.store.writer import Operation
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, Inside, one_link
from tests.support.reactor import reactor_test
from tests.support.store import inbound_row
from tests.support.stores import bare_server

__all__ = ["bare_server"]

ANN, BOB, EVE, NEW = "13800001001", "13800001002", "13800001003", "13800001004"
OTHER_LINK = """
[links.two]
protocol = "cmpp"
host = "127.0.0.1"
port = 9
login = "901235"
secret = "s3cret"
access_number = "10690002"

[webhooks]
allow = ["127.0.0.0/8"]
"""
MESSAGE = {"to": ANN, "text": "您好"}
BATCH = {"text": "您好", "recipients": [{"to": ANN}, {"to": BOB}]}
DRAFT = {"subject": "采购", "steps": [{"assignees": [{"phone": ANN}]}]}
FLOW = {"steps": [{"assignees": [{"phone": ANN}]}]}
TYPE = {"name": "car", "flow": FLOW}
STAND_IN = {"phone": ANN, "other_phone": BOB}
HOLD = {"kind": "phone", "value": BOB, "reason": "case 12/2026"}
CONVERSATION = {"to": ANN, "reference": "job-17"}
HOOK = {"url": "http://127.0.0.1:9/hook", "kinds": ["vote.*"]}
AGENT = {"name": "erp", "roles": ["sender"]}
PORTED = {"numbers": [{"phone": EVE, "operator": "unicom"}]}
OPT_OUT = {"phones": [NEW]}

Json = dict[str, Any]


class Answer(NamedTuple):
    status: int
    type: str
    replayed: bool
    content: Json


class Case(NamedTuple):
    """One POST.

    Attributes:
        path: As it stands in the tree.
        body: Of the request; what is "" in it, and ``<id>`` in the path, is found out by ``first``.
        first: A POST that makes what this one is about.
        shown: Whether its answer is shown again; it is a secret otherwise.
    """

    path: str
    body: Json | None = None
    first: tuple[str, Json] | None = None
    shown: bool = True


CASES = [
    Case("/v1/links/<id>/start"),  # first: what waits for a link that is stopped takes another
    Case("/v1/messages", MESSAGE),
    Case("/v1/messages/<id>/cancel", None, ("/v1/messages", MESSAGE)),
    Case("/v1/batches", BATCH),
    Case("/v1/batches/<id>/messages", {"recipients": [{"to": ANN}]}, ("/v1/batches", BATCH)),
    Case("/v1/batches/<id>/cancel", None, ("/v1/batches", BATCH)),
    Case("/v1/requests", DRAFT),
    Case(
        "/v1/requests/<id>/decisions",
        {"assignment_id": "", "decision": "yes"},
        ("/v1/requests", DRAFT),
    ),
    Case(
        "/v1/requests/<id>/delegations",
        {"assignment_id": "", "to": {"phone": BOB}},
        ("/v1/requests", DRAFT),
    ),
    Case("/v1/requests/<id>/withdraw", {"reason": "不用了"}, ("/v1/requests", DRAFT)),
    Case("/v1/requests/<id>/close", None, ("/v1/requests", {**DRAFT, "preset": "survey"})),
    Case("/v1/requests/<id>/resend", None, ("/v1/requests", DRAFT)),
    Case("/v1/digests", {"phone": ANN}, ("/v1/requests", DRAFT)),
    Case("/v1/request-types", TYPE),
    Case("/v1/request-types/<id>/remove", None, ("/v1/request-types", {**TYPE, "name": "trip"})),
    Case("/v1/stand-ins", STAND_IN),
    Case("/v1/stand-ins/<id>/end", None, ("/v1/stand-ins", STAND_IN)),
    Case("/v1/inbound/read", {"ids": [""]}),
    Case("/v1/inbound/read", {"up_to": ""}),
    Case("/v1/conversations", CONVERSATION),
    Case(
        "/v1/conversations/<id>/messages", {"text": "几点到？"}, ("/v1/conversations", CONVERSATION)
    ),
    Case("/v1/conversations/<id>/end", None, ("/v1/conversations", CONVERSATION)),
    Case("/v1/links/<id>/test", {"to": ANN}),
    Case("/v1/links/<id>/stop"),
    Case("/v1/ported", PORTED),
    Case("/v1/ported/forget", {"phones": [EVE]}, ("/v1/ported", PORTED)),
    Case("/v1/opt-outs", OPT_OUT),
    Case("/v1/opt-outs/remove", {"phones": [BOB, EVE]}, ("/v1/opt-outs", {"phones": [EVE]})),
    Case("/v1/exports", {"phone": ANN}, shown=False),
    Case("/v1/erasures", {"phone": "13800001005", "dry_run": False}),
    Case("/v1/holds", HOLD),
    Case("/v1/holds/<id>/remove", None, ("/v1/holds", HOLD)),
    Case("/v1/webhooks", HOOK),
    Case("/v1/webhooks/<id>/change", {"kinds": ["reply.*"]}, ("/v1/webhooks", HOOK)),
    Case("/v1/webhooks/<id>/pause", None, ("/v1/webhooks", HOOK)),
    Case("/v1/webhooks/<id>/resume", None, ("/v1/webhooks", HOOK)),
    Case("/v1/webhooks/<id>/rotate", None, ("/v1/webhooks", HOOK)),
    Case("/v1/webhooks/<id>/replay", {"after": "0"}, ("/v1/webhooks", HOOK)),
    Case("/v1/webhooks/<id>/remove", None, ("/v1/webhooks", HOOK)),
    Case("/v1/tokens", AGENT, shown=False),
    Case("/v1/tokens/<id>/change", {"rate": 5}, ("/v1/tokens", {**AGENT, "name": "crm"})),
    Case("/v1/tokens/<id>/revoke", None, ("/v1/tokens", {**AGENT, "name": "web"})),
]

AGAIN = {
    "/v1/drain",
    "/v1/links/<id>/traces",
    "/v1/reload",
    "/v1/traces/<id>/stop",
    "/v1/webhooks/<id>/test",
}
"""What acts on the process, or calls a receiver to try it: without an answer it is done again."""


NOT_COMPARED = ("idempotency_key", "node", "redelivery", "webhook")
"""Tables of the keys, and of what time changes too: the audit chain tells of what people change."""


ANYBODYS = ("queue", "node")


class Customer:
    """Asks a gateway that runs inside, and loses what it is told when that is wanted."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self._pool = HTTPConnectionPool(reactor, persistent=False)

    async def post(self, path: str, body: Json | None, key: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {TOKEN}", **({"Idempotency-Key": key} if key else {})}
        content = b"" if body is None else msgspec.json.encode(body)
        url = self.inside.assembly.url + path
        answer = await treq.post(url, content, headers=headers, pool=self._pool)
        shown = await answer.json()
        kind = str(shown.get("type", "")).rpartition(":")[2]
        return Answer(answer.code, kind, answer.headers.hasHeader("Idempotency-Replayed"), shown)

    async def made(self, path: str, body: Json | None) -> Json:
        """Have something made, without a key."""
        answer = await self.post(path, body)
        assert answer.status in (200, 201, 202), answer
        return answer.content

    async def refused(self, path: str, body: Json | None, key: str) -> Answer:
        """Ask for something whose key cannot be recorded."""

        def refuse(*rows: Any) -> int:
            raise StoreError("the disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(idempotency, "insert_new", refuse)
            return await self.post(path, body, key)

    async def lost(self, path: str, body: Json | None, key: str) -> Answer:
        """Ask for something whose commit is kept, and nobody hears of it."""
        writer = self.inside.gateway._database.writer
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "run", partial(_run_and_lose, writer.run, key))
            patch.setattr(writer, "batch", partial(_accept_and_lose, writer.batch))
            return await self.post(path, body, key)

    async def about(self, case: Case) -> tuple[str, Json | None]:
        """Make what a request is about; returns its path and body."""
        noun = case.path.split("/")[2]
        named, body = "", case.body
        if case.first is not None:
            made = await self.made(*case.first)
            named = str(made.get("id") or made.get("name"))
        elif noun == "links":
            named = "two" if case.path.endswith("start") else "one"
        elif noun == "inbound":
            named = await self._received()
            body = {"ids": [named]} if "ids" in (body or {}) else {"up_to": named}
        if body is not None and body.get("assignment_id") == "":
            request = await self.inside.gateway.requests.show(int(named), ACCOUNT)
            body = {**body, "assignment_id": request["steps"][0]["assignees"][0]["id"]}
        if case.path.endswith("start"):
            await self.made("/v1/links/two/stop", None)
        return case.path.replace("<id>", named), body

    async def _received(self) -> str:
        database = self.inside.gateway._database
        row = inbound_row(database.ids, account=ACCOUNT, outcome="inbox", handled_at=1)
        rows = [msgspec.structs.astuple(row)]
        await database.writer.run(lambda connection: insert_rows(connection, inbound, rows))
        return str(row.id)

    async def recorded(self) -> dict[str, list[Any]]:
        """All rows of all tables that are compared.

        Of what waits not for whom: among several processes that changes by itself.
        """

        def rows(connection: Connection) -> dict[str, list[Any]]:
            found: dict[str, list[Any]] = {}
            for name, table in metadata.tables.items():
                if name not in NOT_COMPARED:
                    columns = [one.name for one in table.columns if (name, one.name) != ANYBODYS]
                    query = f"SELECT {', '.join(columns)} FROM {name}"
                    found[name] = sorted(connection.exec_driver_sql(query).all(), key=repr)
            return found

        return await self.inside.gateway._database.read(rows)


def _run_and_lose(
    run: Callable[..., Deferred[Any]], key: str, fn: Callable[[Connection], Any], rows: int = 1
) -> Deferred[Any]:
    def whole(connection: Connection) -> tuple[Any, bool]:
        before = idempotency.get(connection, ACCOUNT, key)
        result = fn(connection)
        return result, before is None and idempotency.get(connection, ACCOUNT, key) is not None

    def told(found: tuple[Any, bool]) -> Any:
        result, lost = found
        if lost:
            raise StoreError("the connection was lost, and nobody knows whether the commit was")
        return result

    return run(whole, rows).addCallback(told)


def _accept_and_lose(
    batch: Callable[..., Deferred[Any]], operation: Operation[Any, Any], rows: Sequence[Any]
) -> Deferred[Any]:
    def told(found: Any) -> Any:
        if operation is ACCEPT_ONCE:
            raise StoreError("the connection was lost, and nobody knows whether the commit was")
        return found

    return batch(operation, rows).addCallback(told)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
@reactor_test(seconds=240)
async def test_what_was_done_and_not_answered_is_answered_after_a_restart_and_not_done_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = tmp_path / "smsgw.toml"
    written = one_link("cmpp", 9) + OTHER_LINK
    if kind == "postgresql":
        written = written.replace("smsgw.db", str(request.getfixturevalue("bare_server")))
    config.write_text(written)
    inside = Inside()
    await inside.open(config)
    customer = Customer(inside)
    try:
        api = inside.assembly._site.api
        assert {one.path for one in api.routes if one.method == "POST"} == AGAIN | {
            case.path for case in CASES
        }
        asked = [await customer.about(case) for case in CASES]
        before = await customer.recorded()
        for number, (path, body) in enumerate(asked):
            refused = await customer.refused(path, body, f"k-{number}")
            assert (refused.status, refused.replayed) == (503, False), (path, refused)
            assert await customer.recorded() == before, path
            lost = await customer.lost(path, body, f"k-{number}")
            assert (lost.status, lost.replayed) == (503, False), (path, lost)
            after = await customer.recorded()
            assert after != before, path
            before = after
    finally:
        await inside.close()
    await inside.open(config)
    try:
        before = await customer.recorded()
        told: dict[str, Json] = {}
        for number, (path, body) in enumerate(asked):
            again = await customer.post(path, body, f"k-{number}")
            told[CASES[number].path] = again.content
            if CASES[number].shown:
                assert again.replayed, (path, again)
                assert again.status in (200, 201, 202), (path, again)
            else:
                assert (again.status, again.type) == (409, "outcome-unknown"), (path, again)
        after = await customer.recorded()
        assert {table: len(rows) for table, rows in after.items()} == {
            table: len(rows) for table, rows in before.items()
        }
        stop, start = told["/v1/links/<id>/stop"], told["/v1/links/<id>/start"]
        assert (stop["state"], stop["stopped"]["by"], start["state"]) == (
            "stopping",
            "test",
            "down",
        )
        cancel = told["/v1/batches/<id>/cancel"]
        assert (cancel["canceled"], cancel["more"]) == (0, True)
        assert told["/v1/messages/<id>/cancel"]["status"] == "canceled"
    finally:
        await inside.close()
