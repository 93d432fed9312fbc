"""The command line against the real HTTP API on a socket."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from smsgw.interfaces.cli.main import main
from smsgw.model import MessageStatus
from tests.support.api import TOKEN, ApiServer, closed_connections
from tests.support.ports import free_port
from tests.support.reactor import reactor_test

PHONE = "13800001001"


async def smsgw(url: str, *args: str, token: str = TOKEN) -> Result:
    """Run a command in a thread, since it blocks and the API answers from this reactor."""
    environ = {"SMSGW_URL": url, "SMSGW_TOKEN": token, "http_proxy": "http://127.0.0.1:1"}
    return await deferToThread(CliRunner(env=environ).invoke, main, list(args))


@reactor_test
async def test_send_prints_the_id_and_how_far_the_message_got() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "send", PHONE, "您好", "--ref", "r-1", "--expect-reply")
        assert (result.exit_code, result.output) == (0, "1000 accepted\n")
        assert api.front.sent[1000]["text"] == "您好"
        assert api.front.sent[1000]["expect_reply"]
        result = await smsgw(api.url, "send", PHONE, "x", "--wait", "delivered", "--class", "bulk")
        assert (result.exit_code, result.output) == (0, "1001 delivered\n")
        assert api.front.sent[1001]["class"] == "bulk"


@reactor_test
async def test_a_message_is_sent_later_and_canceled() -> None:
    async with ApiServer() as api:
        at = ("--at", "2026-11-22T09:00", "--zone", "Asia/Shanghai", "--valid-for", "60")
        result = await smsgw(api.url, "send", PHONE, "x", *at)
        assert (result.exit_code, result.output) == (0, "1000 accepted\n")
        assert api.front.sent[1000]["send_at"] == "2026-11-22T01:00:00+00:00"
        assert api.front.sent[1000]["valid_for"] == 60
        result = await smsgw(api.url, "msg", "cancel", "1000")
        assert (result.exit_code, result.output) == (0, "1000 canceled\n")
        result = await smsgw(api.url, "msg", "cancel", "1000")
        assert (result.exit_code, result.stderr) == (1, "smsgw: message 1000 is canceled\n")
        await smsgw(api.url, "send", PHONE, "x")
        result = await smsgw(api.url, "msg", "cancel", "1001", "--json")
        assert json.loads(result.stdout)["status"] == "canceled"
        shown = [await smsgw(api.url, "msg", *words) for words in (["1001"], ["show", "1001"])]
        assert shown[0].output == shown[1].output != ""


@reactor_test
async def test_send_prints_json_when_asked() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "send", PHONE, "x", "--json")
        assert json.loads(result.stdout) == {"id": "1000", "status": "accepted"}
        result = await smsgw(api.url, "send", PHONE, "x", "--json", "--wait", "sent")
        assert json.loads(result.stdout)["status"] == "sent"


@reactor_test
async def test_a_message_that_fails_while_waited_for_exits_1() -> None:
    async with ApiServer() as api:
        api.front.course = [MessageStatus.REJECTED]
        result = await smsgw(api.url, "send", PHONE, "x", "--wait", "sent")
        assert result.exit_code == 1
        assert result.stderr == "smsgw: message 1000: rejected\n"


@reactor_test
async def test_a_message_that_takes_too_long_exits_4() -> None:
    async with ApiServer() as api:
        api.front.course = []
        result = await smsgw(api.url, "send", PHONE, "x", "--wait", "sent", "--timeout", "0.01")
        assert result.exit_code == 4
        assert result.stderr == "smsgw: message 1000: still queued after 0.01 s\n"


@reactor_test
async def test_what_the_gateway_cannot_accept_exits_2_with_a_line() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "send", "12", "x")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("smsgw: to: '12' is not a mainland mobile number")
        assert result.stderr.count("\n") == 1


@reactor_test
async def test_a_wrong_token_and_an_unknown_id_exit_1() -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, "links", token="wrong")
        assert result.exit_code == 1
        known = "the gateway does not know this token; see smsgw token list"
        assert result.stderr == f"smsgw: {known}\n"
        result = await smsgw(api.url, "links", token="")
        assert result.exit_code == 1
        give = (
            "no token; give --token or SMSGW_TOKEN: one of the configuration's [tokens], "
            "or one that smsgw token create made"
        )
        assert result.stderr == f"smsgw: {give}\n"
        result = await smsgw(api.url, "links", token="密码")
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        result = await smsgw(api.url, "msg", "7")
        assert (result.exit_code, result.stderr) == (1, "smsgw: no message 7\n")


@reactor_test
async def test_no_gateway_exits_3() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = await smsgw(url, "links")
    assert result.exit_code == 3
    assert result.stderr.startswith(f"smsgw: the gateway at {url} cannot be reached: ")
    assert "Traceback" not in result.output


@reactor_test
async def test_a_url_without_scheme_exits_2() -> None:
    result = await smsgw("localhost:8080", "links")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


class Canned(Protocol):
    """Answers whatever comes with the same octets and hangs up."""

    answer = b""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self.answer)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("answer", "code", "line"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", 1, "is not smsgw: it sent no JSON"),
        (b"HTTP/1.1 200 OK\r\n\r\n[1]", 1, "is not smsgw: it sent no object"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", 1, "the gateway answered with status 502"),
        (b"SSH-2.0-OpenSSH\r\n", 3, "cannot be reached: SSH-2.0-OpenSSH"),
        (b"", 3, "cannot be reached: Remote end closed connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", 3, "cannot be reached: IncompleteRead"),
    ],
)
@reactor_test
async def test_what_is_no_gateway_is_said_in_one_line(answer: bytes, code: int, line: str) -> None:
    protocol = type("Answering", (Canned,), {"answer": answer})
    port = reactor.listenTCP(0, Factory.forProtocol(protocol), interface="127.0.0.1")  # type: ignore[attr-defined]
    result = await smsgw(f"http://127.0.0.1:{port.getHost().port}", "links")
    await port.stopListening()
    await closed_connections()
    assert result.exit_code == code, result.output
    assert line in result.stderr
    assert result.stderr.count("\n") == 1


def rows(result: Result) -> list[list[str]]:
    return [line.split("\t") for line in result.stdout.splitlines()]


@reactor_test
async def test_outbox_msg_inbox_and_links_are_lines_with_tabs_off_a_terminal() -> None:
    async with ApiServer() as api:
        for text in ("one", "two\nlines"):
            await smsgw(api.url, "send", PHONE, text)
        result = await smsgw(api.url, "outbox", "--limit", "1", "--to", PHONE)
        head, row = rows(result)
        assert head[:3] == ["id", "to", "status"]
        assert (row[0], row[-1]) == ("1001", "two lines")
        assert result.stderr == "more: --cursor 1001\n"
        result = await smsgw(api.url, "msg", "1000")
        assert ["status", "sent"] in rows(result)
        assert rows(result)[-1][:3] == ["1", "1", "sent"]
        api.front.received = [{"id": "5", "from": PHONE, "text": "同意"}]
        result = await smsgw(api.url, "inbox")
        assert (rows(result)[1][1], rows(result)[1][-2]) == (PHONE, "同意")
        result = await smsgw(api.url, "links")
        first, second = (dict(zip(rows(result)[0], row, strict=True)) for row in rows(result)[1:])
        assert rows(result)[1][:6] == ["cmcc", "cmpp", "up", "1 of 2", "3", "32"]
        assert (first["answer"], first["queued"]) == ("12 ms", "7")
        assert (first["report ids"], second["report ids"]) == ("as given", "")
        assert first["limited by"] == "rate limit: 9.5 of 10 a second"
        assert first["reason"] == "refused"
        assert (second["answer"], second["limited by"]) == ("", "not bound")
        assert second["reason"] == "cannot connect"


@reactor_test
async def test_reports_that_match_no_message_are_listed_by_link_and_page_by_page() -> None:
    async with ApiServer() as api:
        shown = {"received_at": "", "carrier_message_id": "7f", "to": PHONE, "stat": "DELIVRD"}
        api.front.unmatched = [
            {**shown, "id": number, "link": link, "error": "000"}
            for number, link in (("7", "cmcc"), ("6", "world"), ("5", "cmcc"))
        ]
        result = await smsgw(api.url, "reports", "unmatched", "--link", "cmcc", "--limit", "1")
        assert rows(result)[1] == ["", "cmcc", "7f", PHONE, "DELIVRD", "000"]
        assert result.stderr == "more: --cursor 7\n"
        asked = "--link", "cmcc", "--cursor", "7"
        result = await smsgw(api.url, "reports", "unmatched", *asked, "--json")
        page = json.loads(result.stdout)
        assert ([one["id"] for one in page["reports"]], page["next"]) == (["5"], None)


@pytest.mark.parametrize(
    "command", ["outbox", "inbox", "links", "links list", "requests list", "reports unmatched"]
)
@reactor_test
async def test_every_list_prints_the_apis_json(command: str) -> None:
    async with ApiServer() as api:
        result = await smsgw(api.url, *command.split(), "--json")
        assert result.exit_code == 0
        assert isinstance(json.loads(result.stdout), dict)
