"""The daemon as a process, between three simulated carriers."""

from __future__ import annotations

from typing import Any

import pytest

from smsgw.simulator.script import always, in_turn
from tests.support.daemon import Town
from tests.support.reactor import reactor_test

PHONES = {"cmpp": "13800001001", "smgp": "18900001002", "sgip": "18600001003"}
REASON = "预算" * 40
LONG_BODY = "新闻部申请使用三号外景转播车" * 8
DECIDES_NOTHING = """
from twisted.internet.defer import Deferred
from smsgw.daemon.program import main
from smsgw.services.requests.engine import RequestEngine
RequestEngine.reply = lambda engine, row: Deferred()
main()
"""
"""A daemon that would take for ever to decide: it can be killed before, however slow we are."""


def approval(*phones: str, rule: str = "all") -> dict[str, Any]:
    assignees = [{"name": f"p{index}", "phone": phone} for index, phone in enumerate(phones)]
    return {
        "preset": "approval",
        "subject": "外景转播车申请",
        "body": LONG_BODY,
        "steps": [{"rule": rule, "assignees": assignees}],
    }


def assignees(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["phone"]: one for step in request["steps"] for one in step["assignees"]}


@reactor_test(seconds=240)
async def test_an_approval_over_three_carriers_comes_back_to_its_request(tmp_path):
    town = Town(tmp_path)
    await town.start()
    town.carriers["cmpp"].phone(PHONES["cmpp"], always("同意", after=0.01))
    town.carriers["smgp"].phone(PHONES["smgp"], in_turn("好的", "1", after=0.01))
    created = await town.post("/v1/requests", approval(*PHONES.values()))
    path = f"/v1/requests/{created['id']}"

    async def decided(*names: str) -> bool:
        people = assignees(await town.get(path))
        return all(people[PHONES[name]]["decision"] for name in names)

    await town.until(lambda: decided("cmpp", "smgp"))
    unicom = assignees(await town.get(path))[PHONES["sgip"]]
    town.carriers["sgip"].send(PHONES["sgip"], unicom["sender_number"], f"不同意 {REASON}")
    await town.until(lambda: decided("sgip"))

    request = await town.get(path)
    people = assignees(request)
    assert (request["state"], request["outcome"]) == ("closed", "rejected")
    assert [people[PHONES[name]]["decision"] for name in PHONES] == ["yes", "yes", "no"]
    assert people[PHONES["sgip"]]["reason"] == REASON
    assert people[PHONES["smgp"]]["asked_back"] == 1

    async def all_delivered() -> bool:
        messages = (await town.get("/v1/messages"))["messages"]
        return all(message["status"] == "delivered" for message in messages)

    await town.until(all_delivered)
    (parts,) = town.rows("SELECT SUM(parts) FROM message")
    assert town.rows("SELECT COUNT(*) FROM segment WHERE state = 'delivered'") == [parts]
    assert town.rows("SELECT COUNT(*) FROM queue") == [(0,)]
    assert town.rows("SELECT COUNT(*) FROM parked_report") == [(0,)]
    assert town.daemon is not None
    town.daemon.terminate()
    assert await town.daemon.ended == 0
    assert "Traceback" not in town.daemon.log
    await town.stop()


@pytest.mark.parametrize("name", ["cmpp", "sgip"])
@reactor_test(seconds=240)
async def test_kill_9_after_a_reply_was_acknowledged_still_decides_it_exactly_once(tmp_path, name):
    town = Town(tmp_path)
    program, town.program = town.program, ["-c", DECIDES_NOTHING]
    await town.start()
    phone = PHONES[name]
    request_id = await killed_between_acknowledgement_and_decision(town, name)
    assert town.rows("SELECT state FROM request WHERE id = ?", request_id) == [("open",)]
    town.carriers[name].phones.get(phone).inbox.clear()
    town.program = program

    await town.run()

    async def closed() -> bool:
        return (await town.get(f"/v1/requests/{request_id}"))["state"] == "closed"

    await town.until(closed)
    person = assignees(await town.get(f"/v1/requests/{request_id}"))[phone]
    assert (person["decision"], person["reason"]) == ("no", REASON)
    assert [answer["counted"] for answer in person["answers"]] == [True]
    kinds = "SELECT kind, COUNT(*) FROM event WHERE subject_id = ? GROUP BY kind"
    counts = dict(town.rows(kinds, request_id))
    assert (counts["request.answered"], counts["request.closed"]) == (1, 1)

    async def confirmed() -> bool:
        return len(town.carriers[name].phones.get(phone).inbox) == 1

    await town.until(confirmed)
    await town.stop()


async def killed_between_acknowledgement_and_decision(town: Town, name: str) -> int:
    """Ask, let the phone answer in two parts, and kill -9 once the last one is acknowledged."""
    phone = PHONES[name]
    created = await town.post("/v1/requests", approval(phone))
    path = f"/v1/requests/{created['id']}"

    async def asked() -> bool:
        person = assignees(await town.get(path))[phone]
        return person["prompt_status"] == "delivered"

    await town.until(asked)
    person = assignees(await town.get(path))[phone]
    acknowledged = []

    def watch(carrier: str, what: str, details: dict[str, Any]) -> None:
        if what == "acknowledged" and details["what"] == "mo":
            acknowledged.append(details)
            if len(acknowledged) == 2 and town.daemon is not None:
                town.daemon.kill()

    town.on_activity = watch
    town.carriers[name].send(phone, person["sender_number"], f"不同意 {REASON}")
    assert town.daemon is not None
    await town.daemon.ended
    town.on_activity = lambda *details: None
    return int(created["id"])
