"""What the doctor says of installations that are well, and of each thing that is not."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.protocols.basic import LineReceiver

from smsgw.daemon import machine, reach
from smsgw.daemon.config import load
from smsgw.daemon.doctor import configuration, examine
from smsgw.daemon.findings import Finding
from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS
from smsgw.store.address import Server
from smsgw.store.database import Database, upgrade
from tests.support.api import closed_connections
from tests.support.certificates import Authority
from tests.support.gateways import RawTown, one_link
from tests.support.ports import free_port
from tests.support.raw_peer import RawGateway
from tests.support.reactor import reactor_test
from tests.support.stores import bare_server, schema_server, server

__all__ = ["bare_server", "schema_server", "server"]

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., Path]:
    """Returns what writes a configuration with one link, its secrets in files of their owner."""

    def write(port: int = 1, more: str = "", **replaced: str) -> Path:
        text = one_link("cmpp", port).replace('"s3cret"', '"file:one.secret"') + more
        for old, new in replaced.items():
            text = text.replace(old, new)
        for name, secret in (("one.secret", "s3cret"), ("api.token", "0123456789abcdef")):
            (tmp_path / name).write_text(secret)
            (tmp_path / name).chmod(0o600)
        text = text.replace('"test-token-0123456789"', '"file:api.token"')
        config = tmp_path / "smsgw.toml"
        config.write_text(text)
        return config

    return write


def of(findings: list[Finding], about: str) -> list[str]:
    return [one.line() for one in findings if one.about == about]


def wrong(findings: list[Finding]) -> list[str]:
    return [one.line() for one in findings if one.level == "fail"]


def test_a_new_installation_has_nothing_that_cannot_work(installed: Callable[..., Path]) -> None:
    findings, config = configuration(installed())
    assert config is not None
    findings += examine(config)
    assert wrong(findings) == []
    assert "the first start makes it" in of(findings, "database")[0]
    assert of(findings, "secrets") == ["ok    secrets: 2 files, read by nobody else"]
    assert of(findings, "api") == ["ok    api: no gateway runs; start it with: smsgw run"]
    assert not Path(str(config.gateway.database)).exists()
    upgrade(config.gateway.database)
    assert of(examine(config), "schema") == ["ok    schema: is at 0001"]


def test_a_bad_configuration_is_a_line_for_each_problem_and_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "smsgw.toml"
    config.write_text("[links.one]\nprotocol = 'cmpp'\nhots = 'x'\n")
    result = CliRunner().invoke(main, ["doctor", "-c", str(config), "--no-network"])
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert all(line.startswith("fail  config: links.one.") for line in lines)
    assert any("did you mean host?" in line for line in lines)


def test_what_others_can_read_is_named_with_what_to_type(installed: Callable[..., Path]) -> None:
    path = installed()
    (path.parent / "one.secret").chmod(0o644)
    (told,) = [one.line() for one in machine.secrets(load(path))]
    assert told == (
        f"warn  secrets: {path.parent}/one.secret is a secret and everybody on this machine can"
        f" read it (mode 0644); chmod 600 {path.parent}/one.secret"
    )


def test_an_older_or_newer_schema_says_what_to_do(installed: Callable[..., Path]) -> None:
    config = load(installed())
    upgrade(config.gateway.database)
    with closing(sqlite3.connect(str(config.gateway.database))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    (told,) = of(list(reach.database(config, NOW.timestamp())), "schema")
    assert told.startswith("fail  schema: is at 9999, this version needs 0001; smsgw db backup")


def test_a_database_that_is_none_and_a_folder_that_is_not_there(
    installed: Callable[..., Path], tmp_path: Path
) -> None:
    path = installed(smsgw="nowhere/smsgw")
    (told,) = wrong(list(reach.database(load(path), 0.0)))
    assert told.endswith("does not exist; create it")
    path = installed()
    (tmp_path / "smsgw.db").write_bytes(b"no database" * 1000)
    (told,) = wrong(list(reach.database(load(path), 0.0)))
    assert "cannot be used as a database" in told


@reactor_test
async def test_a_servers_database_is_looked_at_too(
    installed: Callable[..., Path], bare_server: Server
) -> None:
    place = f"{bare_server}".replace("@", ":no-word@", 1)
    config = load(installed(**{"smsgw.db": place}))
    now = datetime.now(UTC).timestamp()
    (schema,) = of(list(reach.database(config, now)), "schema")
    assert "is empty; the first start makes it" in schema
    running = Database(bare_server, reactor, lease=15.0)
    running.open()
    findings = list(reach.database(config, now))
    (clock,) = of(list(reach.database(config, now - 60)), "clock")
    await running.close()
    assert [line for line in wrong(findings) if "autovacuum" not in line] == []
    (gateway,) = of(findings, "gateway")
    assert f"/{os.getpid()})" in gateway
    assert any("PostgreSQL 1" in line for line in of(findings, "database"))
    assert re.search(r"the server's is \d\d s ahead", clock)
    assert "no-word" not in "".join(one.line() for one in findings)


def test_a_disk_that_is_full_or_forgets_is_told(
    installed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "FREE_OCTETS_LEAST", 10**18)
    monkeypatch.setattr(machine, "SYNC_SECONDS_UNLIKELY", 10.0)
    monkeypatch.setattr(machine, "SYNC_SECONDS_SLOW", 20.0)
    full, forgetful = [one for one in machine.folder(tmp_path / "x.db") if one.about == "disk"]
    assert full.level == "fail"
    assert "make room" in full.line()
    assert "which no disk does" in forgetful.line()


def test_ids_later_than_the_clock_mean_that_it_was_set_back(
    installed: Callable[..., Path],
) -> None:
    config = load(installed())
    database = Database(config.gateway.database, reactor)
    upgrade(config.gateway.database)
    with closing(sqlite3.connect(str(config.gateway.database))) as connection, connection:
        connection.execute(
            "INSERT INTO event (id, at, kind, subject_id, account, data)"
            " VALUES (?, 1, 'x', 1, '', '')",
            (database.ids.next(),),
        )
    assert list(machine.ids(config, datetime.now(UTC))) == []
    (told,) = machine.ids(config, NOW - timedelta(days=365))
    assert told.level == "warn"
    assert "the database has ids of " in told.said


def test_too_few_open_files_are_told(
    installed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (64, 4096))
    (told,) = machine.limits(load(installed()))
    assert told.level == "warn"
    assert "LimitNOFILE=65536" in told.line()


def test_a_port_in_use_or_not_ours_is_told(installed: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = load(installed(**{'"127.0.0.1:0"': f'"127.0.0.1:{port}"'}))
        (told,) = reach.ports(config, "")
        assert told.line().startswith(f"fail  http.listen: 127.0.0.1:{port} is in use; see who: ss")
        (told,) = reach.ports(config, "process 7")
        assert told.level == "ok"
    (told,) = reach.ports(config, "process 7")
    assert told.level == "warn"
    address = reach.Address("192.0.2.1", 0)
    assert "is no address of this machine" in reach._port("http.listen", address, "").line()


def test_certificates_are_told_a_month_before_they_end(
    installed: Callable[..., Path], tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path).issue("here.example")
    tls = f'\n[http.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    config = load(installed(more=tls))
    until = machine.valid_until(certificate)
    levels = [
        [one.level for one in machine.certificates(config, until - timedelta(days=days))]
        for days in (31, 29, -1)
    ]
    assert levels == [["ok"], ["warn"], ["fail"]]


@reactor_test
async def test_each_carrier_is_reached_and_never_logged_in_to(
    installed: Callable[..., Path],
) -> None:
    raw = RawGateway(CARRIERS["cmpp"])
    config = load(installed(await raw.start()))
    (told,) = await reach.links(config, reactor)
    assert told.line().startswith(f"ok    links.one: 127.0.0.1:{config.links['one'].port} answers")
    await raw.stop()
    assert [peer.received for peer in raw.peers] == [b""]
    (told,) = await reach.links(load(installed(free_port())), reactor)
    assert told.level == "fail"
    assert "see host and port, the firewall, the VPN" in told.todo


@reactor_test
async def test_a_gateway_that_runs_is_asked_whether_it_is_ready(tmp_path: Path) -> None:
    async with RawTown(tmp_path, CARRIERS["cmpp"]) as town:
        config: Any = load(tmp_path / "smsgw.toml")
        listen = reach.Address("127.0.0.1", int(town.assembly.url.rpartition(":")[2]))
        assert await deferToThread(reach._readiness, config, listen) == []
        await town.raw.stop()
        reasons: list[str] = []
        while not reasons:
            reasons = await deferToThread(reach._readiness, config, listen)
        assert reasons == ["no link is up"]


class Stranger(LineReceiver):
    """Answers, and is no gateway."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def lineReceived(self, line: bytes) -> None:
        if not line:
            self.transport.write(self._answer)
            self.transport.loseConnection()


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n", b"HTTP/1.1 503 x\r\n\r\n[]", b"HTTP/1.1 404 x\r\n\r\n{}"]
)
@reactor_test
async def test_what_is_no_gateway_on_its_port_is_one_line(tmp_path: Path, answer: bytes) -> None:
    factory = Factory.forProtocol(lambda: Stranger(answer))
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    listen = f"127.0.0.1:{port.getHost().port}"  # type: ignore[attr-defined]
    text = one_link("cmpp", 9).replace("127.0.0.1:0", listen)
    (tmp_path / "smsgw.toml").write_text(text)
    config = load(tmp_path / "smsgw.toml")
    (finding,) = await deferToThread(lambda: list(reach.api(config, "process 1")))
    assert (finding.level, finding.about) == ("fail", "api")
    assert finding.said.startswith(f"does not answer on {listen}: what answers ")
    await port.stopListening()  # type: ignore[misc]
    await closed_connections()


def test_the_command_prints_json_too(installed: Callable[..., Path]) -> None:
    def invoke(*more: str) -> Result:
        return CliRunner().invoke(main, ["doctor", "-c", str(installed()), "--no-network", *more])

    result = invoke("--json")
    assert result.exit_code == 0
    abouts = {one["about"] for one in json.loads(result.stdout)["findings"]}
    assert {"config", "python", "sqlite", "clock", "disk", "open files", "http.listen"} <= abouts
    assert "python: 3." in invoke().stdout
