"""``smsgw conversations`` and ``smsgw slots`` against the real HTTP API on a socket."""

from __future__ import annotations

import json

from tests.integration.cli.test_commands import smsgw
from tests.support.api import ApiServer
from tests.support.memory import ACCESS, ANN, BOB
from tests.support.reactor import reactor_test


@reactor_test
async def test_a_conversation_is_opened_used_shown_and_ended() -> None:
    async with ApiServer() as api:
        said = ("--ref", "job-17", "--text", "几点到？", "--valid-for", "60")
        opened = await smsgw(api.url, "conversations", "open", ANN, *said)
        assert opened.exit_code == 0, opened.stderr
        conversation_id, number = opened.stdout.split()
        assert number.startswith(ACCESS)
        sent = await smsgw(api.url, "conversations", "send", conversation_id, "在吗")
        assert (sent.exit_code, sent.stdout.strip().isdigit()) == (0, True)
        extension = {"extension": number.removeprefix(ACCESS)}
        assert api.front.desk.reply(ANN, "下午三点", extension) == "replied"
        shown = await smsgw(api.url, "conversations", "show", conversation_id)
        assert "下午三点" in shown.stdout
        assert f"sender_number\t{number}\n" in shown.stdout
        ended = await smsgw(api.url, "conversations", "end", conversation_id)
        assert (ended.exit_code, ended.stdout) == (0, f"{conversation_id} ended\n")
        again = await smsgw(api.url, "conversations", "send", conversation_id, "在吗")
        assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
        assert "has ended; open another one" in again.stderr


@reactor_test
async def test_conversations_are_listed_and_printed_as_json() -> None:
    async with ApiServer() as api:
        for phone in (ANN, BOB):
            made = await smsgw(api.url, "conversations", "open", phone, "--ref", "r", "--json")
            opened = json.loads(made.stdout)
        listed = await smsgw(api.url, "conversations", "list", "--limit", "1")
        assert opened["id"] in listed.stdout
        assert listed.stderr.startswith("more: --cursor ")
        listed = await smsgw(api.url, "conversations", "list", "--to", ANN, "--ref", "r", "--json")
        assert [one["to"] for one in json.loads(listed.stdout)["conversations"]] == [ANN]
        for command in ("show", "end"):
            shown = await smsgw(api.url, "conversations", command, opened["id"], "--json")
            assert json.loads(shown.stdout)["reference"] == "r"
        other = await smsgw(api.url, "conversations", "open", BOB, "--ref", "r", "--json")
        sent = await smsgw(
            api.url, "conversations", "send", json.loads(other.stdout)["id"], "x", "--json"
        )
        assert json.loads(sent.stdout)["message_id"]


@reactor_test
async def test_slots_show_what_is_in_use_what_is_left_and_the_busiest() -> None:
    async with ApiServer() as api:
        for phone in (ANN, ANN, BOB):
            await smsgw(api.url, "conversations", "open", phone, "--ref", "job-17")
        shown = await smsgw(api.url, "slots", "--phone", BOB)
        assert shown.exit_code == 0, shown.stderr
        lines = shown.stdout.splitlines()
        assert lines[0].startswith("phone\tsender_number\tstate\tplan\treference")
        assert lines[1].startswith(f"{BOB}\t{ACCESS}")
        assert "\tlive\tconversations\tjob-17\t" in lines[1]
        assert f"conversations, survey\t·\t{ACCESS}\t10\t3\t0\t2\t8" in lines
        assert f"{ANN}\t{ACCESS}\t2\t0" in lines
        shown = await smsgw(api.url, "slots", "--access-number", "1069", "--json")
        answer = json.loads(shown.stdout)
        assert (answer["slots"], len(answer["busiest"])) == ([], 2)
        shown = await smsgw(api.url, "slots", "--phone", "12")
        assert (shown.exit_code, shown.stderr.count("\n")) == (2, 1)
        assert shown.stderr.startswith("smsgw: phone: '12' is not a mainland mobile number")
