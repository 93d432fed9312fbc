"""``smsgw links stop|start``, ``smsgw reload`` and ``smsgw drain`` against a gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smsgw.errors import ConfigError, ConfigErrors
from tests.integration.cli.test_commands import rows, smsgw
from tests.support.api import ApiServer
from tests.support.reactor import reactor_test


@reactor_test
async def test_a_link_is_stopped_once_it_is_unbound_and_started_again() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "links", "stop", "cmcc")
        assert (result.exit_code, result.stdout) == (0, "link cmcc: stopped\n")
        result = await smsgw(api.url, "links", "start", "cmcc", "--json")
        assert json.loads(result.stdout)["state"] == "up"
        result = await smsgw(api.url, "links", "stop", "cucc")
        assert result.exit_code == 1
        assert result.stderr == "smsgw: link cucc: not known; links are: cmcc\n"


@reactor_test
async def test_a_stop_is_waited_for_and_says_so_when_it_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ApiServer() as api:
        state = {"name": "cmcc", "up": False, "state": "stopping"}
        left = [1]

        async def stop(name: str, actor: str, once: Any) -> dict[str, Any]:
            return state

        def links() -> list[dict[str, Any]]:
            left[0] -= 1
            return [{**state, "state": "stopping" if left[0] > 0 else "stopped"}]

        monkeypatch.setattr("smsgw.interfaces.cli.links.LOOK_SECONDS", 0.01)
        monkeypatch.setattr(api.front.control, "stop", stop)
        monkeypatch.setattr(api.front, "links", links)
        result = await smsgw(api.url, "links", "stop", "cmcc")
        assert (result.exit_code, result.stdout) == (0, "link cmcc: stopped\n")
        result = await smsgw(api.url, "links", "stop", "cmcc", "--no-wait")
        assert (result.exit_code, result.stdout) == (0, "link cmcc: stopping\n")
        left[0] = 1000
        monkeypatch.setattr("smsgw.interfaces.cli.links.STOPPED_WITHIN", 0.1)
        result = await smsgw(api.url, "links", "stop", "cmcc")
        assert result.exit_code == 4
        assert "is stopping; smsgw links shows how far it is" in result.stderr


@reactor_test
async def test_a_link_that_was_just_started_says_that_it_dials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ApiServer() as api:

        async def start(name: str, actor: str, once: Any) -> dict[str, Any]:
            return {"name": name, "up": False, "state": "down"}

        monkeypatch.setattr(api.front.control, "start", start)
        result = await smsgw(api.url, "links", "start", "cmcc")
        said = "link cmcc: started, and dials; smsgw links shows when it is up\n"
        assert (result.exit_code, result.stdout) == (0, said)


@reactor_test
async def test_who_stopped_a_link_stands_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ApiServer() as api:
        shown = {"name": "cmcc", "up": False, "state": "stopped", "binds": []}
        shown["stopped"] = {"by": "zhang", "at": "2026-11-18T11:06:40.123+00:00"}
        monkeypatch.setattr(api.front, "links", lambda: [shown])
        _, row = rows(await smsgw(api.url, "links", "list"))
        assert row[0] == "cmcc"
        assert "stopped" in row
        assert row[-1] == "stopped by zhang 2026-11-18T11:06:40.123+00:00"


@reactor_test
async def test_a_reload_shows_what_changes_and_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "reload")
        assert result.exit_code == 0
        assert result.stdout == "links.cmcc.rate: 10.0 -> 20.0\napplied: 1 values\n"
        result = await smsgw(api.url, "reload", "--dry-run", "--json")
        assert json.loads(result.stdout)["applied"] is False

        told = {
            "applied": False,
            "changes": [],
            "needs_restart": ["http.listen"],
            "warnings": ["tokens: none"],
        }

        async def dry(actor: str, dry_run: bool) -> dict[str, Any]:
            return told

        monkeypatch.setattr(api.front, "reload", dry)
        result = await smsgw(api.url, "reload", "--dry-run")
        assert result.stdout == "nothing changed\n"
        assert result.stderr == "http.listen: needs a restart\nwarning: tokens: none\n"

        async def refused(actor: str, dry_run: bool) -> dict[str, Any]:
            raise ConfigErrors([ConfigError("links.a.port", "is 0"), ConfigError("", "is bad")])

        monkeypatch.setattr(api.front, "reload", refused)
        result = await smsgw(api.url, "reload")
        assert (result.exit_code, result.stderr) == (
            2,
            "smsgw: links.a.port: is 0\nsmsgw: is bad\n",
        )


@reactor_test
async def test_draining_says_what_waits() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "drain")
        assert result.stdout == "draining; 3 parts wait, 1 are being sent\n"
        result = await smsgw(api.url, "drain", "--undo")
        assert result.stdout.startswith("taking new work; ")
        result = await smsgw(api.url, "drain", "--json")
        assert json.loads(result.stdout)["draining"] is True
