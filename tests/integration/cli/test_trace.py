"""``smsgw msg trace``: one message on one screen."""

from __future__ import annotations

import json
from typing import Any

from smsgw.interfaces.cli.trace import moments
from tests.integration.cli.test_commands import PHONE, rows, smsgw
from tests.support.api import OTHER_TOKEN, ApiServer
from tests.support.reactor import reactor_test

FOUND: dict[str, Any] = {
    "account": "oa",
    "message": {
        "created_at": "2026-11-22T09:00:00.000+00:00",
        "ref": "a-1",
        "segments": [
            {
                "part": 1,
                "total": 2,
                "link": "b",
                "state": "delivered",
                "attempts": 2,
                "carrier_message_id": "bb52",
                "sent_at": "2026-11-22T09:00:02.000+00:00",
                "final_at": "2026-11-22T09:00:05.000+00:00",
                "stat": "DELIVRD",
                "error": "000",
                "octets": 140,
                "possible_duplicate": True,
            },
            {
                "part": 2,
                "total": 2,
                "link": "b",
                "state": "queued",
                "attempts": 0,
                "carrier_message_id": None,
                "sent_at": None,
                "final_at": None,
                "stat": "",
                "error": "",
                "octets": 20,
                "possible_duplicate": False,
            },
        ],
    },
    "events": [
        {
            "id": "7",
            "at": "2026-11-22T09:00:01.000+00:00",
            "kind": "message.rerouted",
            "data": {"to": PHONE, "from": "a", "link": "b", "why": "link down", "reference": ""},
        },
        {
            "id": "8",
            "at": "2026-11-22T09:00:01.500+00:00",
            "kind": "message.resent",
            "data": {"to": PHONE, "part": 1, "attempts": 2, "reference": ""},
        },
    ],
    "replies": [
        {
            "id": "9",
            "link": "b",
            "received_at": "2026-11-22T09:01:00.000+00:00",
            "outcome": "decided",
            "text": "同意",
        }
    ],
}


def test_everything_that_happened_is_told_in_order() -> None:
    assert [one.what for one in moments(FOUND)] == [
        "accepted for oa, reference a-1",
        "takes link b in the place of a: link down",
        "event 8 message.resent: part 1, attempts 2",
        "part 1/2 submitted over b, try 2; answered with id bb52",
        "part 1/2 delivered: DELIVRD 000",
        "reply 9 over b (decided): 同意",
    ]


@reactor_test
async def test_a_message_is_traced_on_one_screen_and_as_json() -> None:
    async with ApiServer() as api:
        await smsgw(api.url, "send", PHONE, "您好", "--ref", "a-1")
        result = await smsgw(api.url, "msg", "trace", "1000", "--json")
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)
        assert (found["account"], found["message"]["id"]) == ("oa", "1000")
        assert found["route_now"]["links"][0]["name"] == "cmcc"
        full = api.front.sent[1000]
        full |= {"parts": 1, "coding": "ucs2", "sender_number": "10690001", "operator": "mobile"}
        full |= {"valid_until": None}
        api.front.told = {**api.front.told, "events": FOUND["events"], "events_complete": False}
        api.front.told |= {"links_left": ["a"], "replies": FOUND["replies"]}
        delivery = {"webhook_id": "5", "host": "oa.example", "kind": "message.sent"}
        delivery |= {"state": "sending", "attempts": 2, "next_attempt_at": None, "problem": "503"}
        api.front.told["deliveries"] = [delivery]
        owed = {"customer": "acme", "kind": "report", "subject_id": "1000", "state": "owed"}
        owed |= {"failures_only": True, "number": 2, "since": FOUND["message"]["created_at"]}
        waits = {"customer": "beta", "kind": "mo", "subject_id": "9", "state": "waiting"}
        waits |= {"failures_only": False, "number": 1, "since": FOUND["message"]["created_at"]}
        api.front.told["customers"] = [owed, waits, {**waits, "number": 3}]
        api.front.segments = FOUND["message"]["segments"]
        result = await smsgw(api.url, "msg", "trace", "1000")
        assert result.exit_code == 0, result.stderr
        shown = rows(result)
        for row in (
            ["to", PHONE],
            ["account", "oa"],
            ["left links", "a"],
            ["may come twice", "part 1"],
            ["routed now", "cmcc, cmcc-b"],
            ["message.sent", "5", "oa.example", "sending", "2", "", "503"],
        ):
            assert row in shown
        assert [row[:3] for row in shown if row[0] in ("acme", "beta")] == [
            ["acme", "2 reports, if it fails", "owed"],
            ["beta", "reply 9", "waiting"],
            ["beta", "3 parts of reply 9", "waiting"],
        ]
        assert "reply 9 over b (decided): 同意" in [row[-1] for row in shown]
        assert "there may be more events than these" in result.stderr


@reactor_test
async def test_another_accounts_message_is_not_found() -> None:
    async with ApiServer() as api:
        await smsgw(api.url, "send", PHONE, "您好")
        result = await smsgw(api.url, "msg", "trace", "1000", token=OTHER_TOKEN)
        assert (result.exit_code, result.stderr) == (1, "smsgw: no message 1000\n")
