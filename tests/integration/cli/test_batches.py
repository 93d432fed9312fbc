"""``smsgw batches``, ``stats`` and ``inbox`` against the real HTTP API on a socket."""

from __future__ import annotations

import json

import msgspec
import pytest

from smsgw.services import group_sending
from smsgw.store.schema import inbound
from smsgw.store.statements import insert_rows
from tests.integration.cli.test_commands import smsgw
from tests.support.api import ApiServer
from tests.support.memory import ANN
from tests.support.reactor import reactor_test
from tests.support.store import inbound_row

PHONES = ["13800001001", "13800001002", "13800001003"]


async def batch(api: ApiServer) -> str:
    recipients = [{"to": one} for one in PHONES]
    body = {"text": "早新闻", "ref": "news", "recipients": recipients}
    made = await api.post("/v1/batches", json=body)
    batch_id: str = made.json()["id"]
    return batch_id


@reactor_test
async def test_batches_are_listed_shown_and_canceled() -> None:
    async with ApiServer() as api:
        first, second = await batch(api), await batch(api)
        listed = await smsgw(api.url, "batches", "list", "--limit", "1")
        assert (listed.exit_code, listed.stderr) == (0, f"more: --cursor {second}\n")
        assert listed.stdout.splitlines()[1].startswith(f"{second}\tnews\tnotice\t3\t")
        shown = await smsgw(api.url, "batches", "show", first)
        assert "finished\t0\n" in shown.stdout
        assert "queued\t3\n" in shown.stdout
        canceled = await smsgw(api.url, "batches", "cancel", first)
        assert (canceled.exit_code, canceled.stdout) == (0, "3 canceled, 0 on their way\n")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(group_sending, "CANCEL_SECONDS", 0.0)
            canceled = await smsgw(api.url, "batches", "cancel", second)
        assert (canceled.exit_code, canceled.stdout) == (0, "3 canceled, 0 on their way\n")
        assert canceled.stderr == "3 canceled so far\n"
        as_json = await smsgw(api.url, "batches", "show", first, "--json")
        assert json.loads(as_json.stdout)["counts"]["canceled"] == 3
        again = await smsgw(api.url, "batches", "cancel", first, "--json")
        assert json.loads(again.stdout)["canceled"] == 0
        every = await smsgw(api.url, "batches", "list", "--json")
        assert [one["id"] for one in json.loads(every.stdout)["batches"]] == [second, first]
        none = await smsgw(api.url, "batches", "show", "7")
        assert (none.exit_code, none.stderr) == (1, "smsgw: batch 7: not recorded\n")


@reactor_test
async def test_what_was_listed_is_marked_as_read() -> None:
    async with ApiServer() as api:
        rows = [inbound_row(api.front.kept.ids, account="oa", text=one) for one in ("一", "二")]
        tuples = [msgspec.structs.astuple(row) for row in rows]
        await api.front.kept.run(lambda connection: insert_rows(connection, inbound, tuples))
        first = await smsgw(api.url, "inbox", "--limit", "1", "--mark-read")
        assert first.stdout.splitlines()[1].endswith("\t二\tunread")
        left = await smsgw(api.url, "inbox", "--unread", "--mark-read", "--json")
        assert [one["text"] for one in json.loads(left.stdout)["inbound"]] == ["一"]
        none = await smsgw(api.url, "inbox", "--unread", "--mark-read")
        assert (none.exit_code, len(none.stdout.splitlines())) == (0, 1)
        every = await smsgw(api.url, "inbox")
        assert [line[-1] for line in every.stdout.splitlines()[1:]] == ["\t", "\t"]


@reactor_test
async def test_stats_are_lines_or_json() -> None:
    async with ApiServer() as api:
        assert (await api.post("/v1/conversations", json={"to": ANN, "reference": "x"})).status
        counted = await smsgw(api.url, "stats")
        assert counted.exit_code == 0, counted.stderr
        assert "messages\tall\taccepted\t0\n" in counted.stdout
        span = ("--since", "2027-01-10T00:00", "--until", "2027-01-11T00:00")
        as_json = await smsgw(api.url, "stats", *span, "--json")
        assert json.loads(as_json.stdout)["messages"] == 0
        long = await smsgw(api.url, "stats", "--since", "2020-03-01T00:00")
        assert (long.exit_code, "limit 31" in long.stderr) == (2, True)
