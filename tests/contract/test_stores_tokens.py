"""Tokens on both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from twisted.internet import reactor

from smsgw.errors import Conflict, StoreError, UnknownAccount
from smsgw.services.access.access import Access
from smsgw.services.access.book import CONSOLE, TokenChange, TokenDraft
from smsgw.services.access.callers import FRESH_SECONDS, KEPT_SECONDS
from smsgw.services.access.console import at_console
from smsgw.services.audit import Walk
from smsgw.store import audit, tokens
from smsgw.store.address import Server
from smsgw.store.database import read_once
from smsgw.store.tokens import TokenRow
from tests.support.memory import Time
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened

DESK = TokenDraft(name="desk", account="tv/news", roles=["sender"], daily=10)


def row(token_id: int, **fields: Any) -> TokenRow:
    values: dict[str, Any] = {
        "id": token_id,
        "digest": bytes([token_id]) * 32,
        "prefix": "sgw_000000",
        "name": f"n{token_id}",
        "account": "tv",
        "roles": '["viewer"]',
        "scopes": "[]",
        "networks": "[]",
        "rate": 0,
        "daily": 0,
        "expires_at": None,
        "created_at": NOW,
        "created_by": "console",
    }
    return TokenRow(**{**values, **fields})


@reactor_test
async def test_tokens_are_found_as_they_were_written(place: Place) -> None:
    rows = [row(1), row(2, account="tv/news", expires_at=NOW), row(3, revoked_at=NOW)]

    def work(connection: Connection) -> None:
        assert [tokens.insert(connection, one) for one in rows] == [True] * 3
        assert not tokens.insert(connection, row(4, name="n1"))
        assert tokens.insert(connection, row(5, name="n3"))
        assert [tokens.get(connection, one.id) for one in rows] == rows
        assert tokens.by_digest(connection, rows[1].digest) == rows[1]
        assert tokens.by_digest(connection, bytes(32)) is None
        assert sorted(tokens.accounts(connection)) == ["tv", "tv/news"]
        assert [one.id for one in tokens.page(connection, "tv")] == [5, 1]
        assert [one.id for one in tokens.page(connection, "", revoked=True)] == [5, 3, 2, 1]
        assert [one.id for one in tokens.page(connection, "", before=2)] == [1]

    async with opened(place) as database:
        await database.writer.run(work)


@reactor_test
async def test_a_change_is_made_over_what_was_seen(place: Place) -> None:
    def work(connection: Connection) -> None:
        tokens.insert(connection, row(1))
        changed = tokens.change(connection, row(1), rate=5)
        assert changed == tokens.get(connection, 1) == row(1, rate=5, version=2)
        assert tokens.change(connection, row(1), rate=6) is None
        tokens.used(connection, {1: NOW, 77: NOW})
        assert tokens.get(connection, 1) == row(1, rate=5, version=2, last_used_at=NOW)

    async with opened(place) as database:
        await database.writer.run(work)


@reactor_test
async def test_messages_of_a_day_add_up(place: Place) -> None:
    def work(connection: Connection) -> None:
        assert tokens.spent(connection, 1, 20000) == 0
        assert tokens.spend(connection, [(1, 20000, 3), (2, 20000, 1)]) == [3, 1]
        assert tokens.spend(connection, [(1, 20000, 4), (1, 20001, 5)]) == [7, 5]
        assert tokens.spent(connection, 1, 20000) == 7

    async with opened(place) as database:
        await database.writer.run(work)


@reactor_test
async def test_a_token_made_at_the_console_is_good_in_the_gateway(place: Place) -> None:
    made = at_console(place, 0, lambda tokens: tokens.create(CONSOLE, DESK))
    with pytest.raises(Conflict):
        at_console(place, 0, lambda tokens: tokens.create(CONSOLE, DESK))
    shown = at_console(place, 0, lambda tokens: tokens.show("", int(made["id"])))
    assert "token" not in shown
    async with opened(place) as database:
        access = Access(database, reactor)  # type: ignore[arg-type]
        caller = await access.admit(made["token"], "192.0.2.1")
        assert (caller.name, caller.account) == ("desk", "tv/news")

        async def send() -> str:
            return "sent"

        assert await caller.counted(4, send) == "sent"
        await access.tokens.change(CONSOLE, caller.token_id, TokenChange(rate=9))
        await access.tokens.revoke(CONSOLE, caller.token_id)
        with pytest.raises(UnknownAccount, match="revoked"):
            await access.admit(made["token"], "192.0.2.1")
        await access.stop()
        after = await access.tokens.show("tv/news", caller.token_id)
        assert (after["rate"], after["state"]) == (9, "revoked")
        assert after["last_used_at"] is not None
    read_once(place, _whole)


def _whole(connection: Connection) -> None:
    actions = [one.action for one in audit.page(connection)]
    assert actions == ["token.created", "token.changed", "token.revoked"]
    walk = Walk(connection)
    assert list(walk.findings()) == []
    assert walk.rows == 3


@reactor_test
async def test_a_revocation_in_one_process_holds_in_the_others_within_seconds(
    server: Server,
) -> None:
    async with opened(server, node=1) as one, opened(server, node=2) as other:
        time = Time()
        here, there = Access(one, time), Access(other, time)
        made = await here.tokens.create(CONSOLE, DESK)
        for _ in range(3):
            assert (await there.admit(made["token"], "192.0.2.1")).name == "desk"
            time.advance(FRESH_SECONDS / 4)  # later, it would be looked up beside this test
        await here.tokens.revoke(CONSOLE, int(made["id"]))
        time.advance(KEPT_SECONDS)
        with pytest.raises(UnknownAccount, match="revoked"):
            await there.admit(made["token"], "192.0.2.1")
        await here.stop()
        await there.stop()


@reactor_test
async def test_the_console_takes_no_file_that_a_gateway_writes_to(tmp_path: Path) -> None:
    file = tmp_path / "smsgw.db"
    async with opened(file):
        with pytest.raises(StoreError, match="writes to this file"):
            at_console(file, 0, lambda tokens: tokens.create(CONSOLE, DESK))
