"""Stopping and starting links, reading the configuration again, draining: over HTTP."""

from __future__ import annotations

import pytest

from smsgw.errors import ConfigError, ConfigErrors
from smsgw.interfaces.http.app import INTAKE
from tests.support.api import ApiServer
from tests.support.reactor import reactor_test


@reactor_test
async def test_a_link_is_stopped_and_started_by_name_and_who_asked_is_told() -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/links/cmcc/stop")
        assert (answer.status, answer.json()["state"]) == (202, "stopped")
        assert api.front.control.stopped == {"cmcc": "oa"}
        answer = await api.post("/v1/links/cmcc/start", json={})
        assert (answer.status, answer.json()["state"]) == (202, "up")
        assert api.front.control.stopped == {}
        answer = await api.post("/v1/links/cucc/stop")
        assert (answer.status, answer.json()["detail"]) == (
            404,
            "link cucc: not known; links are: cmcc",
        )
        answer = await api.post("/v1/links/cmcc/stop", json={"for": "ever"})
        assert (answer.status, answer.json()["errors"][0]["field"]) == (422, "for")


@reactor_test
async def test_a_reload_tells_what_it_changes_and_a_bad_file_each_of_its_problems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ApiServer() as api:
        answer = await api.post("/v1/reload")
        assert (answer.status, answer.json()["applied"]) == (200, True)
        answer = await api.post("/v1/reload", json={"dry_run": True})
        assert (answer.status, answer.json()["applied"]) == (200, False)

        async def refused(actor: str, dry_run: bool) -> object:
            problems = [ConfigError("links.a.port", "is 0"), ConfigError("", "is not TOML")]
            raise ConfigErrors(problems)

        monkeypatch.setattr(api.front, "reload", refused)
        answer = await api.post("/v1/reload")
        assert answer.status == 422
        assert answer.json()["type"] == "urn:smsgw:problem:configuration"
        assert answer.json()["errors"] == [
            {"field": "links.a.port", "problem": "is 0"},
            {"field": "", "problem": "is not TOML"},
        ]


@reactor_test
async def test_a_drained_gateway_takes_no_new_work_and_answers_everything_else() -> None:
    async with ApiServer() as api:
        known = {route.path for route in api.site.api.routes if route.method == "POST"}
        assert known >= INTAKE
        answer = await api.post("/v1/drain")
        assert (answer.status, answer.json()["draining"]) == (200, True)
        for path in sorted(INTAKE):
            answer = await api.post(path.replace("<id>", "7"), json={})
            assert (answer.status, answer.header("Retry-After")) == (503, "30"), path
            assert "drained" in answer.json()["detail"]
        assert (await api.get("/v1/messages")).status == 200
        assert (await api.get("/v1/messages", token="wrong")).status == 401
        answer = await api.post("/v1/drain", json={"undo": True})
        assert (answer.status, answer.json()["draining"]) == (200, False)
        answer = await api.post("/v1/messages", json={"to": "13800001001", "text": "您好"})
        assert answer.status == 202
