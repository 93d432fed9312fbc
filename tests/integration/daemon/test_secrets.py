"""Secrets planted everywhere, right ones and wrong ones: nothing that the gateway says has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import treq
from click.testing import CliRunner
from twisted.logger import LogEvent, capturedLogs
from twisted.web.client import HTTPConnectionPool

from smsgw.daemon.logs import json_line
from smsgw.daemon.program import Program
from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS
from tests.support.customers import CustomerTown
from tests.support.daemon import TOKEN
from tests.support.raw_http import exchange
from tests.support.raw_peer import dial
from tests.support.reactor import reactor_test, until

SECRETS = {"smpp": "pl4nted1", "cmpp": "pl4nted2"}
WRONG = "wr0ng-1"
HOOK = "/v1/webhooks"

CUSTOMERS = """
[customers.one]
protocol = "smpp"
login = "acme"
secret = "pl4nted1"
extensions = ["80"]

[customers.two]
protocol = "cmpp"
login = "900081"
secret = "pl4nted2"
extensions = ["81"]
"""


class Said:
    """Whatever the gateway said."""

    def __init__(self) -> None:
        self.logged: list[LogEvent] = []
        self.text = ""

    def assert_clean(self, *secrets: str) -> None:
        lines = "".join(json_line(event) for event in self.logged)
        for secret in secrets:
            for form in (secret, secret.encode().hex()):
                assert form not in lines
                assert form not in self.text


async def misuse(town: CustomerTown) -> None:
    """Wrong secrets, right ones where they do not belong, and octets that are no login."""
    for protocol, secret in SECRETS.items():
        carrier, port = CARRIERS[protocol], town.port(protocol)
        name = {"smpp": "acme", "cmpp": "900081"}[protocol]
        wrong = await dial(carrier, port, name=name, secret=WRONG)
        await until(lambda wrong=wrong: wrong.lost)
        good = await dial(carrier, port, name=name, secret=secret)
        good.say(secret.encode() * 100)
        await until(lambda good=good: good.lost)
        stranger = await dial(carrier, port, speaks=False)
        stranger.say(b"\x00\x00\x00\x30" + secret.encode() * 20)
        await until(lambda stranger=stranger: stranger.lost)


async def ask(town: CustomerTown, said: Said) -> None:
    """Every answer that could show one, and requests that carry one where none belongs."""
    pool = HTTPConnectionPool(None, persistent=False)
    url = town.assembly.url
    for token in (TOKEN, WRONG * 4):
        for path in ("/v1/links", "/v1/customers", "/v1/tokens", "/v1/audit", "/metrics"):
            headers = {"Authorization": f"Bearer {token}"}
            answer = await treq.get(url + path, headers=headers, pool=pool)
            said.text += await answer.text()
    port = int(url.rsplit(":", 1)[1])
    for head in (
        f"GET /v1/links?token={TOKEN} HTTP/1.1\r\nHost: x",
        f"GET /v1/{TOKEN} HTTP/1.1\r\nHost: x",
        f"GET /v1/links HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {TOKEN}",
        f"{TOKEN} / HTTP/1.1\r\nHost: x",
    ):
        peer = await exchange(port, f"{head}\r\nConnection: close\r\n\r\n".encode())
        said.text += peer.received.decode().replace(f"token={TOKEN}", "")


@reactor_test
async def test_no_log_line_and_no_answer_has_a_secret(tmp_path: Path) -> None:
    said = Said()
    with capturedLogs() as said.logged:
        async with CustomerTown(tmp_path, CUSTOMERS) as town:
            await misuse(town)
            await ask(town, said)
    assert len(said.logged) > 10
    said.assert_clean(*SECRETS.values(), WRONG, "s3cret", TOKEN)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_check_shows_every_value_but_no_secret(tmp_path: Path, more: list[str]) -> None:
    file = tmp_path / "smsgw.toml"
    (tmp_path / "link.secret").write_text("pl4nted3\n")
    file.write_text(
        '[links.one]\nprotocol = "cmpp"\nhost = "127.0.0.1"\nlogin = "900001"\n'
        'secret = "file:link.secret"\naccess_number = "10690001"\nproxy = "socks5://u@127.0.0.1:1"\n'
        'proxy_password = "pl4nted4"\n[tokens.oa]\ntoken = "pl4nted5-0123456789"\n[gateway]\n'
        'database = "postgresql://u@127.0.0.1/m"\ndatabase_password = "pl4nted6"\n'
        '[northbound.smpp]\n[customers.one]\nprotocol = "smpp"\nlogin = "acme"\n'
        'secret = "pl4nted7"\nextensions = ["80"]\n'
    )
    result = CliRunner().invoke(main, ["check", "-c", str(file), *more], obj=Program())
    assert result.exit_code == 0, result.output
    assert "127.0.0.1" in result.output
    assert "pl4nted" not in result.output
    if more:
        assert json.loads(result.stdout)["customers"]["one"]["secret"] == "***"
