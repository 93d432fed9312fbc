from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, fail

from smsgw.errors import ValidationError
from smsgw.services.webhooks.book import GROUPS
from smsgw.services.webhooks.connecting import Forbidden
from tests.support.memory import result_of
from tests.support.webhooks import ACCOUNT, URL, Exchange

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange().start()
    yield exchange
    exchange.close()


def test_every_documented_kind_is_of_a_known_group() -> None:
    table = (DOCS / "http.md").read_text("utf-8").partition("| `kind` | When |")[2]
    table = table.partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if re.match(r"\| `\w+\.\w+`", line)]
    kinds = {kind for row in rows for kind in re.findall(r"`([^`]+)`", row)}
    assert set(GROUPS) >= {kind.partition(".")[0] for kind in kinds}


def test_a_name_that_leads_where_we_do_not_call_is_refused_at_once(exchange: Exchange) -> None:
    def resolve(scheme: str, host: str) -> Deferred[list[str]]:
        return fail(Forbidden(f"{host} leads to a private address"))

    exchange.webhooks._resolve = as_coroutine(resolve)
    with pytest.raises(ValidationError, match=r"url: receiver\.example leads to a private address"):
        exchange.create()


def test_a_name_that_nobody_knows_yet_is_taken(exchange: Exchange) -> None:
    exchange.webhooks._resolve = as_coroutine(lambda scheme, host: fail(OSError("no such name")))
    assert exchange.create()["state"] == "active"


def test_a_name_that_is_looked_up_for_long_is_taken(exchange: Exchange) -> None:
    exchange.webhooks._resolve = as_coroutine(lambda scheme, host: Deferred())
    made = Deferred.fromCoroutine(exchange.webhooks.create(ACCOUNT, URL))
    assert not made.called
    exchange.advance(3.1)
    assert result_of(made)["state"] == "active"


def as_coroutine(fn):  # type: ignore[no-untyped-def]
    async def resolve(scheme: str, host: str) -> list[str]:
        found: list[str] = await fn(scheme, host)
        return found

    return resolve
