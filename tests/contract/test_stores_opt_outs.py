"""Who opted out gets no bulk and no notices, on both databases, also once erased."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from smsgw.errors import ValidationError
from smsgw.model import MessageClass
from smsgw.services.opt_outs import PHONES_OF_AN_ENTRY, OptOuts
from smsgw.store import audit, opt_outs, schema
from smsgw.store.address import Server
from smsgw.store.database import Database
from tests.support.keeping import StandingClock
from tests.support.reactor import reactor_test
from tests.support.store import NOW
from tests.support.stores import Place, opened

ANN, BOB = "13800001001", "13300001001"
CLOCK: Any = StandingClock(NOW)


async def known(database: Database, *, shared: bool = False) -> OptOuts:
    """Who opted out, as a process knows it that has just started."""
    one = OptOuts(database, CLOCK, shared=shared)
    one._key = await database.writer.run(opt_outs.key)
    await one._read()
    return one


def refused(of: OptOuts, phone: str, account: str = "tv", kind: str = "bulk") -> bool:
    try:
        of.check(phone, account, MessageClass(kind))
    except ValidationError as error:
        return error.field == "to" and phone not in error.problem
    return False


@reactor_test
async def test_bulk_and_notices_are_refused_and_what_is_personal_passes(place: Place) -> None:
    async with opened(place) as database:
        one = await known(database)
        assert not refused(one, ANN)
        assert await one.add([f"+86{ANN}", ANN], "", "root") == 1
        assert await one.add([ANN], "", "root") == 0
        assert [refused(one, ANN, kind=kind) for kind in ("bulk", "notice")] == [True, True]
        assert not refused(one, ANN, kind="realtime")
        assert not refused(one, ANN, kind="interactive")
        assert not refused(one, BOB)
        assert refused(await known(database), ANN)
        assert await one.remove([ANN], "", "root") == 1
        assert await one.remove([ANN], "", "root") == 0
        assert not refused(one, ANN)
        assert len(one) == len(await known(database)) == 0


@reactor_test
async def test_many_are_recorded_in_one_commit_and_several_entries(place: Place) -> None:
    phones = [f"138000010{place:02}" for place in range(2 * PHONES_OF_AN_ENTRY - 1)]
    async with opened(place) as database:
        one = await known(database)
        assert await one.add(phones[::3], "", "root") == len(phones[::3])
        assert await one.remove(phones[::9], "", "root") == len(phones[::9])
        commits = database.writer.commits
        rest = len(phones) - len(phones[::3]) + len(phones[::9])
        assert await one.add([*phones, phones[0]], "", "root") == rest
        assert database.writer.commits == commits + 1
        assert len(one) == len(phones)
        shown = await one.page(phone=None, account=None, before=None, limit=500)
        assert sorted(row["phone"] for row in shown) == phones
        entries = await database.read(lambda c: audit.about_nothing(c, "opt_out.added"))
        assert len(entries) == 1 + 2
        assert await one.remove(phones, "", "root") == len(phones)
        assert len(one) == 0


@reactor_test
async def test_an_opt_out_of_an_account_covers_those_below_it(place: Place) -> None:
    async with opened(place) as database:
        one = await known(database)
        await one.add([ANN], "tv", "root")
        assert refused(one, ANN, "tv")
        assert refused(one, ANN, "tv/news")
        assert not refused(one, ANN, "tv2")
        await one.add([ANN], "radio", "root")
        await one.remove([ANN], "tv", "root")
        assert [refused(one, ANN, account) for account in ("tv", "radio")] == [False, True]
        shown = await one.page(phone=ANN, account=None, before=None, limit=9)
        assert [(row["account"], row["source"]) for row in shown] == [("radio", "api:root")]
        assert await one.page(phone=None, account="tv", before=None, limit=9) == []


@reactor_test
async def test_what_is_no_phone_or_account_is_refused_and_nothing_recorded(place: Place) -> None:
    async with opened(place) as database:
        one = await known(database)
        for phones, account, field in (
            ([ANN, "12"], "", "phones[1]"),
            ([ANN], "/", "account"),
        ):
            with pytest.raises(ValidationError) as caught:
                await one.add(phones, account, "root")
            assert caught.value.field == field
        assert len(await known(database)) == 0


@reactor_test
async def test_an_erased_phone_is_known_by_its_hash(place: Place) -> None:
    async with opened(place) as database:
        one = await known(database)
        await one.add([ANN], "", "root")
        hashed = opt_outs.hashed(ANN, one._key)
        change = update(schema.opt_out).values(phone=hashed)
        await database.writer.run(lambda c: c.execute(change).rowcount)
        later = await known(database)
        assert refused(later, ANN)
        assert not refused(later, BOB)
        assert await later.remove([ANN], "", "root") == 1
        assert not refused(later, ANN)
        assert not refused(await known(database), ANN)


@reactor_test
async def test_another_process_hears_of_it_at_its_next_look(server: Server) -> None:
    async with opened(server, 1) as here, opened(server, 2) as there:
        one, other = await known(here, shared=True), await known(there, shared=True)
        assert one._key == other._key
        await one.add([ANN], "", "root")
        assert not refused(other, ANN)
        await other._look()
        assert refused(other, ANN)
        await one.remove([ANN], "", "root")
        await other._look()
        assert not refused(other, ANN)


@reactor_test
async def test_who_is_erased_and_opts_in_again_is_sent_to_by_those_who_knew_the_number(
    place: Place,
) -> None:
    async with opened(place) as database:
        one = await known(database)
        await one.add([ANN], "", "root")
        hashed = opt_outs.hashed(ANN, one._key)
        change = update(schema.opt_out).values(phone=hashed)
        await database.writer.run(lambda c: c.execute(change).rowcount)
        (shown,) = await one.page(phone=ANN, account=None, before=None, limit=9)
        assert shown["phone"] == hashed
        assert refused(one, ANN)
        assert await one.remove([ANN], "", "root") == 1
        assert not refused(one, ANN)
        assert len(one) == 0
