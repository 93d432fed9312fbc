"""What the daemon refuses: configurations, places it cannot use, requests it cannot serve."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.web.client import HTTPConnectionPool

from smsgw.daemon.assembly import make_gateway
from smsgw.daemon.config import load
from smsgw.daemon.main import run
from smsgw.errors import ValidationError
from smsgw.protocols.registry import CARRIERS
from smsgw.services.submission import Outgoing
from smsgw.simulator.ismg import Ismg
from smsgw.store.database import upgrade
from smsgw.transport.endpoints import listen_endpoint
from tests.support.daemon import TOKEN, Daemon
from tests.support.gateways import one_link
from tests.support.ports import free_port
from tests.support.processes import Command
from tests.support.reactor import reactor_test
from tests.support.rigs import make_account

SMSGWD = "import sys; from smsgw.daemon.main import main; sys.argv[0] = 'smsgwd'; main()"

MISTAKES = {
    "unknown key": ("[gateway]", "[gateway]\nnodes = 3", "gateway.nodes: unknown key"),
    "wrong type": ("[http]", '[http]\nallow = "all"', "http.allow: 'all' is not a list of texts"),
    "no such protocol": ('protocol = "cmpp"', 'protocol = "x25"', "links.one.protocol: 'x25' is"),
    "unset secret": ('secret = "s3cret"', 'secret = "env:NOT_SET"', "links.one.secret: the env"),
    "digit budget": (
        'access_number = "10690001"',
        'access_number = "10690001"\nnumber_digits_max = 10',
        "links.one.number_digits_max: ",
    ),
    "open to all": ("127.0.0.1:0", "0.0.0.0:8080", "http.allow: is missing: 0.0.0.0:8080 can be"),
}


def write(folder: Path, text: str) -> Path:
    path = folder / "smsgw.toml"
    path.write_text(text, encoding="utf-8")
    return path


def errors(err: str) -> list[str]:
    """What the log's lines at or above error say."""
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line["text"] for line in lines if line["level"] in ("error", "critical")]


def logged(err: str) -> list[str]:
    return [json.loads(line)["text"] for line in err.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("good", "bad", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_bad_configuration_is_one_line_and_nothing_starts(tmp_path, capsys, good, bad, line):
    config = write(tmp_path, one_link("cmpp", 7890).replace(good, bad))
    assert run(config) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said
    assert list(tmp_path.iterdir()) == [config]


@reactor_test(seconds=240)
async def test_every_mistake_of_a_configuration_has_its_line(tmp_path):
    config = write(tmp_path, "[gateway]\nnode = -1\n[http]\nport = 80\n[links.one]\nport = 7890\n")
    smsgw, smsgwd = Command("run", "-c", config), Command("-c", config, code=SMSGWD)
    check = Command("-c", config, "--check-config", code=SMSGWD)
    for process in (smsgw, smsgwd, check):
        assert await process.ended == 2
        assert [said.split(": ")[:2] for said in process.err.splitlines()] == [
            ["smsgw", "gateway.node"],
            ["smsgw", "http.port"],
            ["smsgw", "links.one.protocol"],
        ]
        assert process.out == ""
    assert list(tmp_path.iterdir()) == [config]


@reactor_test(seconds=240)
async def test_a_taken_http_port_is_one_line(tmp_path):
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    number = port.getHost().port
    config = write(
        tmp_path, one_link("cmpp", free_port()).replace("127.0.0.1:0", f"127.0.0.1:{number}")
    )
    daemon = Command("run", "-c", config)
    assert await daemon.ended == 1
    (said,) = errors(daemon.err)
    assert said.startswith("cannot start: Couldn't listen on 127.0.0.1:")
    assert "Traceback" not in daemon.err
    await port.stopListening()


@pytest.mark.parametrize(
    ("revision", "line"),
    [("9999", "schema is at 9999, newer than this version knows"), (None, "cannot be used as a")],
)
@reactor_test(seconds=240)
async def test_a_database_that_cannot_be_used_is_one_line(tmp_path, revision, line):
    config = write(tmp_path, one_link("cmpp", free_port()))
    database = tmp_path / "smsgw.db"
    if revision is None:
        database.write_bytes(b"something else " * 99)
    else:
        upgrade(database)
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.close()
    before = database.read_bytes()
    daemon = Command("run", "-c", config)
    assert await daemon.ended == 1
    (said,) = errors(daemon.err)
    assert said.startswith(f"cannot start: {database}: ")
    assert line in said
    assert "Traceback" not in daemon.err
    assert not [text for text in logged(daemon.err) if "link one" in text]
    assert database.read_bytes() == before


class Running:
    """The daemon as a process with one link that carries ASCII alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = HTTPConnectionPool(reactor, persistent=False)

    async def __aenter__(self) -> Running:
        carrier = CARRIERS["cmpp"]
        endpoint = listen_endpoint(reactor, "127.0.0.1", 0)
        self.ismg = Ismg(carrier, make_account(carrier), endpoint, reactor)
        port = await self.ismg.start()
        config = write(self._folder, one_link("cmpp", port) + 'codings = ["ascii"]\n')
        self.daemon = Daemon()
        words = [sys.executable, "-m", "smsgw", "run", "-c", str(config)]
        process = reactor.spawnProcess(self.daemon, sys.executable, words, env=os.environ)
        self.daemon.pid = process.pid
        self._url = await self.daemon.listening
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.daemon.terminate()
        assert await self.daemon.ended == 0
        assert "Traceback" not in self.daemon.log
        await self.ismg.stop()

    async def refuses(self, path: str, body: Any) -> dict[str, str]:
        """Post, be refused, and return the only field at fault."""
        response = await treq.post(
            self._url + path,
            json=body,
            headers={"Authorization": f"Bearer {TOKEN}"},
            pool=self._pool,
        )
        content = await response.json()
        assert 400 <= response.code < 500, content
        assert response.headers.getRawHeaders("Content-Type") == ["application/problem+json"]
        assert content["status"] == response.code
        (fault,) = content["errors"]
        return fault

    def rows(self, table: str) -> int:
        with sqlite3.connect(f"file:{self._folder}/smsgw.db?mode=ro", uri=True) as connection:
            (found,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        connection.close()
        return int(found)


@reactor_test(seconds=240)
async def test_over_http_each_mistake_names_its_field_and_nothing_is_stored(tmp_path):
    good = {"to": "13800001001", "text": "hello"}
    async with Running(tmp_path) as gateway:
        for body, field, words in (
            ({**good, "to": "1380000"}, "to", "1380000"),
            ({**good, "to": "nobody"}, "to", "nobody"),
            ({**good, "text": "您好"}, "text", "cannot be sent as ascii"),
            ({**good, "to": "18900001002"}, "to", "telecom"),
            ({**good, "to": "14900001001", "expect_reply": True}, "to", "operator"),
            ({"messages": [good, {**good, "text": "您好"}]}, "messages[1].text", "U+60A8"),
        ):
            fault = await gateway.refuses("/v1/messages", body)
            assert fault["field"] == field
            assert words in fault["problem"]
        step = {"rule": "all", "assignees": [{"name": "a", "phone": "12"}]}
        fault = await gateway.refuses("/v1/requests", {"subject": "x", "steps": [step]})
        assert fault["field"] == "steps[0].assignees[0].phone"
        for table in ("message", "segment", "event", "request", "assignment", "slot"):
            assert gateway.rows(table) == 0
        assert gateway.ismg.submits == []


def test_an_extension_beyond_the_carrier_s_digits_is_refused(tmp_path):
    config = load(write(tmp_path, one_link("cmpp", 7890)))
    gateway = make_gateway(config, reactor).gateway
    with pytest.raises(ValidationError) as caught:
        gateway._submission.plan(
            Outgoing(account="newsroom", to="13800001001", text="hello", extension="1" * 13)
        )
    assert caught.value.field == "extension"
    assert "21 digits, limit 20 on link one" in caught.value.problem
