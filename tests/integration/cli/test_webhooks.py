"""``smsgw webhooks`` against the real HTTP API on a socket."""

from __future__ import annotations

import json

from tests.integration.cli.test_commands import smsgw
from tests.support.api import ApiServer
from tests.support.reactor import reactor_test
from tests.support.webhooks import BUSY, URL


@reactor_test
async def test_a_webhook_is_made_tried_watched_and_removed() -> None:
    async with ApiServer() as api:
        made = await smsgw(api.url, "webhooks", "add", URL, "--kind", "request.*")
        assert made.exit_code == 0, made.stderr
        webhook_id, secret = made.stdout.split()
        assert secret.startswith("whsec_")
        tried = await smsgw(api.url, "webhooks", "test", webhook_id)
        assert (tried.exit_code, tried.stdout) == (0, "200 in 0.000 s\n")
        api.front.exchange.receivers.answers[URL] = [BUSY]
        tried = await smsgw(api.url, "webhooks", "test", webhook_id)
        assert (tried.exit_code, tried.stderr) == (1, f"smsgw: {BUSY.problem}\n")
        tried = await smsgw(api.url, "webhooks", "test", webhook_id, "--json")
        assert (tried.exit_code, json.loads(tried.stdout)["status"]) == (1, 503)
        shown = await smsgw(api.url, "webhooks", "show", webhook_id)
        assert "kinds\trequest.*\n" in shown.stdout
        listed = await smsgw(api.url, "webhooks", "list")
        assert listed.stdout.splitlines()[1].startswith(f"{webhook_id}\t{URL}\tactive\t")
        changed = await smsgw(
            api.url, "webhooks", "change", webhook_id, "--to", URL + "2", "--all-kinds", "--json"
        )
        answer = json.loads(changed.stdout)
        assert (answer["url"], answer["kinds"]) == (URL + "2", [])
        for command, state in (("pause", "paused"), ("resume", "active")):
            done = await smsgw(api.url, "webhooks", command, webhook_id)
            assert done.stdout == f"{webhook_id} {state}\n"
        rotated = await smsgw(api.url, "webhooks", "rotate", webhook_id, "--overlap", "60")
        assert rotated.stdout.startswith("whsec_")
        assert rotated.stdout.strip() != secret
        gone = await smsgw(api.url, "webhooks", "remove", webhook_id)
        assert gone.stdout == f"{webhook_id} removed\n"
        shown = await smsgw(api.url, "webhooks", "show", webhook_id)
        assert (shown.exit_code, shown.stderr.count("\n")) == (1, 1)


@reactor_test
async def test_events_are_had_again_and_mistakes_are_one_line() -> None:
    async with ApiServer() as api:
        refused = await smsgw(api.url, "webhooks", "add", "http://10.0.0.1/")
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
        assert refused.stderr.startswith("smsgw: url: 10.0.0.1 is a private address")
        made = await smsgw(api.url, "webhooks", "add", URL, "--json")
        webhook_id = json.loads(made.stdout)["id"]
        api.front.exchange.happen(1, 2, account="oa")
        again = await smsgw(api.url, "webhooks", "replay", webhook_id, "--after", "0")
        assert again.exit_code == 0, again.stderr
        assert api.front.exchange.receivers.subjects() == [1, 2, 1, 2]
        dead = await smsgw(api.url, "webhooks", "dead", webhook_id)
        assert dead.stdout == "id\tafter\tuntil\tevents\tfailing_since\twhy\tat\n"
        dead = await smsgw(api.url, "webhooks", "dead", webhook_id, "--json")
        assert json.loads(dead.stdout) == {"dead_letters": [], "next": None}
        refused = await smsgw(api.url, "webhooks", "replay", webhook_id, "--dead", "7")
        assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
