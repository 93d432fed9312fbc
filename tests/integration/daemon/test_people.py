"""Export, erase, hold, opt out and purge, in a whole gateway, over the API by the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS
from tests.support.daemon import TOKEN
from tests.support.gateways import RawTown, message
from tests.support.keeping import everything, finish, verified
from tests.support.raw_peer import deliver
from tests.support.reactor import reactor_test

PHONE = "13800001001"


class Desk(RawTown):
    """A gateway, and somebody at a terminal."""

    async def smsgw(self, *words: str, code: int = 0) -> Result:
        environ = {"SMSGW_URL": self.assembly.url, "SMSGW_TOKEN": TOKEN}
        runner = CliRunner(env=environ)
        result: Result = await deferToThread(runner.invoke, main, list(words))
        assert result.exit_code == code, result.output
        return result

    async def json(self, *words: str) -> Any:
        return json.loads((await self.smsgw(*words, "--json")).stdout)


def desk(folder: Path) -> Desk:
    return Desk(folder, CARRIERS["cmpp"])


@reactor_test
async def test_a_phone_is_given_out_kept_and_erased(tmp_path: Path) -> None:
    async with desk(tmp_path) as town:
        (sent,) = await town.send(message(PHONE, "只给您看"))
        await town.become(sent, "sent")
        database = town.gateway._database

        lines = (await town.smsgw("export", PHONE)).stdout.splitlines()
        rows = [json.loads(line) for line in lines]
        assert [(one["table"], one["text"]) for one in rows] == [("message", "只给您看")]
        given = await town.json("export", PHONE)
        assert given["rows"]["message"][0]["recipient"] == PHONE

        file = tmp_path / "phone.jsonl"
        assert f"3 lines in {file}" in (await town.smsgw("export", PHONE, str(file))).stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("smsgw.store.people.GIVEN_ROWS", 1)
            await town.smsgw("export", PHONE, str(file))
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert [one["table"] for one in rows] == ["message"] + ["audit"] * 3
        assert file.stat().st_mode & 0o777 == 0o600
        nowhere = await town.smsgw("export", PHONE, str(tmp_path / "no" / "x"), code=1)
        assert "x: No such file or directory" in nowhere.stderr
        file.unlink()
        refused = await town.smsgw("export", "12", str(file), code=2)
        assert refused.stderr.startswith("smsgw: phone")
        assert not [one for one in tmp_path.iterdir() if one.name.startswith(("tmp", "phone"))]

        refused = await town.smsgw("erase", PHONE, "--yes", code=1)
        assert refused.stderr == (
            "smsgw: the phone cannot be erased now: 1 messages to it that have not ended\n"
        )
        waited = await town.smsgw("erase", PHONE, "--when-finished", "--timeout", "0", code=4)
        assert "have not ended" in waited.stderr
        await database.writer.run(finish)

        await town.smsgw("hold", "add", "phone", PHONE, "--reason", "case 12")
        assert "a hold on it" in (await town.smsgw("erase", PHONE, "--yes", code=1)).stderr
        (held,) = (await town.json("hold", "list"))["holds"]
        assert (held["value"], held["reason"], held["created_by"]) == (PHONE, "case 12", "test")
        assert "is not on hold" in (await town.smsgw("hold", "remove", held["id"])).stdout
        assert "is over already" in (await town.smsgw("hold", "remove", held["id"], code=1)).stderr
        assert len((await town.json("hold", "list", "--ended"))["holds"]) == 1

        dry = await town.smsgw("erase", PHONE)
        assert "nothing was changed" in dry.stderr
        assert (await town.gateway.records.message("newsroom", sent))["text"] == "只给您看"
        assert "stands for it" in (await town.smsgw("erase", PHONE, "--yes")).stdout
        shown = await town.gateway.records.message("newsroom", sent)
        assert (shown["text"], shown["purged"], shown["status"]) == ("", True, "delivered")
        left = await database.read(everything)
        assert PHONE not in left
        assert "只给您看" not in left
        assert not [one for one in await verified(database) if one.wrong]


@reactor_test
async def test_who_opted_out_gets_no_notice_and_still_a_code(tmp_path: Path) -> None:
    async with desk(tmp_path) as town:
        assert (await town.smsgw("opt-outs", "add", PHONE)).stdout == "1 of 1 added\n"
        (row,) = (await town.json("opt-outs", "list"))["opt_outs"]
        assert (row["phone"], row["account"], row["source"]) == (PHONE, "", "api:test")
        refused = await town.smsgw("send", PHONE, "通知", code=2)
        assert refused.stderr.startswith("smsgw: to: opted out of notice messages of all")
        await town.smsgw("send", PHONE, "验证码 4711", "--class", "realtime")
        assert (await town.smsgw("opt-outs", "remove", PHONE)).stdout == "1 of 1 removed\n"
        await town.smsgw("send", PHONE, "通知")
        assert await town.count("event", "kind LIKE 'number.opted%'") == 2


@reactor_test
async def test_a_word_to_our_number_opts_out_and_another_in_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as town:
        peer = await town.bringer()
        for text, outcome in (("T", "opted_out"), ("恢复", "opted_in")):
            peer.say(deliver(town.carrier, peer, text, "10690001"))
            while not await town.count("inbound", f"outcome = '{outcome}'"):
                await deferLater(reactor, 0.01)
        assert await town.count("opt_out", "ended_at IS NOT NULL") == 1
        assert await town.count("message", f"recipient = '{town.phone}'") == 2
