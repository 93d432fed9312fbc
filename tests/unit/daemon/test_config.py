from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.config import ConfigErrors, effective, load
from smsgw.daemon.delivery import doubt_policy, retry_policy
from smsgw.delivery.retry import DoubtPolicy, RetryPolicy
from smsgw.errors import ConfigError, Disposition
from smsgw.model import Coding, MessageClass, Operator
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.cmpp import CmppAccount
from smsgw.routing.rules import Rule

EXAMPLE = Path(__file__).parents[3] / "examples" / "smsgw.toml"

ENVIRON = {
    "OA_TOKEN": "a-token-of-22-letters!",
    "SECRET": "s3cr3t",
}

LINK = """
[links.cmcc]
protocol = "cmpp"
host = "127.0.0.1"
login = "900001"
secret = "env:SECRET"
access_number = "10690001"
"""

SGIP = """
[links.cucc]
protocol = "sgip"
host = "127.0.0.1"
login = "smsgw"
secret = "env:SECRET"
access_number = "10690003"
node = 3010090003
"""

SMGP = """
[links.ctcc]
protocol = "smgp"
host = "gateway.example"
login = "106900"
secret = "env:SECRET"
access_number = "10690002"
"""

LISTENER = """
[links.cucc.listener]
listen = "127.0.0.1:8802"
login = "unicom"
secret = "env:SECRET"
"""

TOKEN = '[tokens.oa]\ntoken = "env:OA_TOKEN"\n'


class Files:
    """A folder to write configurations into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, text: str, **environ: str) -> Any:
        path = self.folder / "smsgw.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, {**ENVIRON, **environ})

    def problems(self, text: str) -> list[str]:
        with pytest.raises(ConfigErrors) as caught:
            self.load(text)
        return str(caught.value).splitlines()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_example_loads_without_a_warning() -> None:
    names = ["CMCC", "CTCC", "CUCC", "CUCC_LISTENER"]
    environ = {f"SMSGW_{name}_SECRET": "s3cr3t" for name in names}
    config = load(EXAMPLE, environ | {"SMSGW_OA_TOKEN": ENVIRON["OA_TOKEN"]})
    assert config.warnings == ()
    assert [(one.carrier.name, one.operator) for one in config.links.values()] == [
        ("cmpp", Operator.MOBILE),
        ("smgp", Operator.TELECOM),
        ("sgip", Operator.UNICOM),
    ]
    listener = config.links["cucc"].listener
    assert listener is not None
    assert str(listener.listen) == "127.0.0.1:8802"


def test_a_short_file_gets_the_defaults(files: Files) -> None:
    config = files.load(LINK + TOKEN)
    assert config.gateway.database == files.folder / "smsgw.db"
    assert config.gateway.node == 0
    assert str(config.http.listen) == "127.0.0.1:8080"
    assert (config.tokens[0].account, config.tokens[0].token) == ("oa", ENVIRON["OA_TOKEN"])
    assert config.tokens[0].role == "admin"
    assert config.conversations.live_for == 72 * 3600
    assert config.conversations.cool_down == 24 * 3600
    assert (config.delivery.unknown_wait, config.delivery.on_unknown) == (600.0, "resend")
    assert config.rules is None
    assert config.warnings == ()
    link = config.links["cmcc"]
    assert link.account == CmppAccount(name="900001", secret="s3cr3t")
    assert (link.port, link.binds, link.rate, link.reference_width) == (7890, 1, 0.0, 8)
    assert link.codings == (Coding.ASCII, Coding.UCS2)
    assert link.listener is None


def test_what_follows_an_unknown_outcome_may_be_said(files: Files) -> None:
    config = files.load(LINK + "[delivery]\nunknown_wait = '1h'\non_unknown = 'fail'")
    shown = effective(config)["delivery"]
    assert (shown["unknown_wait"], shown["on_unknown"]) == (3600.0, "fail")


def test_every_field_of_the_protocols_account_is_a_key(files: Files) -> None:
    config = files.load(
        LINK + 'version = "2.0"\nwindow = 32\nservice_id = "HELP"\nudhi = 0x40\n'
        'heartbeat_interval = "3m"\nresponse_timeout = 2.5\n'
    )
    account = config.links["cmcc"].account
    assert (account.version, account.window, account.service_id) == ("2.0", 32, "HELP")
    assert (account.udhi, account.heartbeat_interval, account.response_timeout) == (64, 180, 2.5)


def test_a_version_may_be_left_to_the_gateway_where_the_protocol_allows_it(files: Files) -> None:
    config = files.load(LINK + 'version = "auto"\nversion_octet = 0x7F\n')
    account = config.links["cmcc"].account
    assert (account.version, account.version_octet) == ("auto", 0x7F)
    (problem,) = files.problems(SGIP + 'version = "auto"\n' + LISTENER)
    assert problem == "links.cucc.version: 'auto' is none of 1.2, 1.3"
    (problem,) = files.problems(LINK + "version_octet = 256\n")
    assert "version: 256, limit 0 to 255" in problem


def test_a_link_may_say_what_its_gateways_results_mean(files: Files) -> None:
    table = '[links.cmcc.results]\n"8" = { disposition = "final", kind = "quota" }\n'
    config = files.load(LINK + table)
    assert config.links["cmcc"].results == {
        8: Result("flow control", Disposition.FINAL, ResultKind.QUOTA)
    }
    assert effective(config)["links"]["cmcc"]["results"] == {
        "8": {"disposition": "final", "kind": "quota", "text": "flow control"}
    }
    assert "results" not in effective(files.load(LINK))["links"]["cmcc"]


def test_another_protocols_field_is_an_unknown_key(files: Files) -> None:
    (problem,) = files.problems(SGIP + 'service_id = "HELP"\n' + LISTENER)
    assert problem.startswith("links.cucc.service_id: unknown key; did you mean service_type?")
    (problem,) = files.problems(LINK + "[links.cmcc.listener]\nlisten = '127.0.0.1:1'")
    assert problem.startswith("links.cmcc.listener: unknown key")


def test_what_a_link_may_say_besides(files: Files) -> None:
    config = files.load(
        LINK + 'port = 7891\nbinds = 2\nrate = 12.5\ncodings = ["ucs2"]\nreference_width = 16\n'
        'operator = "broadnet"\nnumber_digits_max = 18\n'
    )
    link = config.links["cmcc"]
    assert (link.port, link.binds, link.rate, link.reference_width) == (7891, 2, 12.5, 16)
    assert (link.operator, link.codings) == (Operator.BROADNET, (Coding.UCS2,))


def test_all_problems_of_a_file_are_reported_at_once(files: Files) -> None:
    problems = files.problems(
        LINK.replace('host = "127.0.0.1"', "")
        + "window = 0\nbinds = true\nsevice_id = 'HELP'\n[gateway]\nnode = 1024\n[htp]\n"
    )
    assert problems == [
        "gateway.node: 1024 is impossible; write 0 to 1023",
        "links.cmcc.window: 0 is impossible; write 1 or more",
        "links.cmcc.host: is missing; write a text in quotes",
        "links.cmcc.binds: True is not a whole number",
        "links.cmcc.sevice_id: unknown key; did you mean service_id?",
        "htp: unknown key; did you mean http?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "links: there is none; add [links.NAME]"),
        ("links = 3", "links: 3 is not a table"),
        (LINK + "[http]\nlisten = 'here'", "http.listen: 'here' is no address to listen on"),
        (LINK + "[http]\nlisten = 'host:80'", "http.listen: 'host:80' is no address"),
        (LINK + "[http]\nlisten = '127.0.0.1:99999'", "http.listen: '127.0.0.1:99999' is no"),
        (LINK + "[http]\nlisten = ''", "http.listen: is empty"),
        (LINK + "[http]\nlisten = '0.0.0.0:80'", "http.allow: is missing: 0.0.0.0:80 can be"),
        (LINK + "[http]\nallow = ['10.0.0.1/8']", "http.allow: 10.0.0.1/8 has host bits set"),
        (LINK + "[http]\nallow = [10]", "http.allow: write a list of texts"),
        (LINK + "[http]\nallow = '10.0.0.0/8'", "http.allow: '10.0.0.0/8' is not a list of texts"),
        (
            LINK + "[tokens.a]\ntoken = 'env:SECRET'",
            "tokens.a.token: has 6 characters, at least 16",
        ),
        (LINK + "[tokens.a]\ntoken = 'sixteen and blank'", "tokens.a.token: has spaces"),
        (LINK + TOKEN + TOKEN.replace("tokens.oa", "tokens.b"), "tokens.b.token: is the same as"),
        (LINK + TOKEN.replace("tokens.oa", "tokens.console"), "tokens.console: is a name that"),
        (LINK + "[tokens.'a b']\ntoken = 'env:OA_TOKEN'", "tokens.a b: a name has 1 to 64"),
        (LINK + "[tokens.a]\ntoken = 'env:OA_TOKEN'\naccount = ''", "tokens.a.account: is empty"),
        (
            LINK + "[tokens.a]\ntoken = 'env:OA_TOKEN'\nrole = 'boss'",
            "tokens.a.role: 'boss' is none",
        ),
        (LINK + "[conversations]\nprefix = 'x'", "conversations.prefix: 'x' has other characters"),
        (
            LINK + "[conversations]\ndigits = 7",
            "conversations.digits: 7 is impossible; write 1 to 6",
        ),
        (LINK + "[conversations]\nlive_for = '3 weeks'", "conversations.live_for: '3 weeks' is no"),
        (
            LINK + "[conversations]\nlive_for = 0",
            "conversations.live_for: 0 is impossible; write 1",
        ),
        (LINK + "[conversations]\nlive_for = nan", "conversations.live_for: nan is impossible"),
        (LINK + "[delivery]\nunknown_wait = 0", "delivery.unknown_wait: 0 is impossible; write 1"),
        (LINK + "[delivery]\non_unknown = 'drop'", "delivery.on_unknown: 'drop' is none of"),
        (LINK + "[conversations]\nlive_for = []", "conversations.live_for: [] is not seconds or"),
        (LINK + "[conversations]\nprefix = '1234567890'", "links.cmcc.number_digits_max: access"),
        (LINK.replace("cmpp", "xmpp"), "links.cmcc.protocol: 'xmpp' is none of cmpp,"),
        (LINK.replace("cmpp", ""), "links.cmcc.protocol: '' is none of cmpp,"),
        ("[links.a]", "links.a.protocol: is missing; write one of cmpp,"),
        (LINK + "version = '9'", "links.cmcc.version: '9' is none of 2.0, 3.0"),
        (LINK + "reference_width = 12", "links.cmcc.reference_width: 12 is none of 8, 16"),
        (LINK + "operator = 'other one'", "links.cmcc.operator: 'other one' is none of mobile,"),
        (LINK + "codings = []", "links.cmcc.codings: is empty; name at least one of ascii,"),
        (LINK + "codings = ['utf8']", "links.cmcc.codings: 'utf8' is none of ascii, ucs2, gbk"),
        (LINK + "rate = -1", "links.cmcc.rate: -1 is impossible; write 0 or more"),
        (LINK + "rate = nan", "links.cmcc.rate: nan is impossible; write 0 or more"),
        (LINK + "rate = inf", "links.cmcc.rate: inf is impossible; write 0 or more"),
        (LINK + "rate = 1" + "0" * 400, "links.cmcc.rate: 1000"),
        (LINK + "response_timeout = inf", "links.cmcc.response_timeout: inf is impossible"),
        (
            LINK + f"response_timeout = '{'9' * 400}s'",
            "links.cmcc.response_timeout: '999",
        ),
        (SMGP + "login_mode = 9", "links.ctcc.login_mode: 9 is none of 0, 1, 2"),
        (SMGP + "login_mode = 1", "links.ctcc.login_mode: this login only receives, and no other"),
        (
            SMGP
            + "login_mode = 1\n"
            + SMGP.replace("ctcc", "other")
            + "[[routing.rules]]\nlinks = ['other', 'ctcc']",
            "routing.rules[0].links: ctcc only receives; name links that send",
        ),
        (LINK.replace("s3cr3t", "").replace("env:SECRET", "密码"), "links.cmcc.secret: has char"),
        (LINK.replace("900001", "移动"), "links.cmcc.login: or secret does not fit the login PDU"),
        (
            SGIP + LISTENER.replace('"unicom"', '"an-endlessly-long-login"'),
            "links.cucc.listener.login: or secret does not fit the login PDU: login_name",
        ),
        (
            SGIP.replace("env:SECRET", "seventeen-octets!") + LISTENER,
            "links.cucc.login: or secret does not fit the login PDU: login_password",
        ),
        (LINK + "port = 70000", "links.cmcc.port: 70000 is impossible; write 1 to 65535"),
        (LINK.replace("10690001", "1069x"), "links.cmcc.access_number: '1069x' has other"),
        (LINK.replace("10690001", ""), "links.cmcc.access_number: is empty"),
        (LINK.replace("900001", "9000011"), "links.cmcc.login: or secret does not fit the login"),
        (
            LINK + "service_id = 'HELPHELPHELP'",
            "links.cmcc: a submit cannot be encoded: service_id",
        ),
        (LINK + "number_digits_max = 30", "links.cmcc: a submit cannot be encoded: src_id"),
        (LINK.replace("SECRET", "NOPE"), "links.cmcc.secret: the environment variable 'NOPE'"),
        (LINK.replace("env:SECRET", "file:nope"), "links.cmcc.secret: cannot read"),
        (LINK + "[routing]\nrules = 3", "routing.rules: write each rule as a table"),
        (
            LINK + "[[routing.rules]]\nname = 'a'",
            "routing.rules[0].links: name at least one of cmcc",
        ),
        (
            LINK + "[[routing.rules]]\nlinks = ['cmcc', { cmcc = 1 }]",
            "routing.rules[0].links: 'cmcc' is there twice",
        ),
        (
            LINK + "[[routing.rules]]\nlinks = [{ cmcc = 0 }]",
            "routing.rules[0].links: 0 is no weight of cmcc; write 1 to 1000",
        ),
        (LINK + "[[routing.rules]]\nlinks = [3]", "routing.rules[0].links: write a list"),
        (LINK + "[delivery.slow]\n", "delivery.slow: unknown key"),
        (LINK + "[delivery]\nretry_longest = '1h'", "delivery.retry_longest: 3600 seconds are too"),
        (LINK + "[[routing.rules]]\nlinks = ['x']", "routing.rules[0].links: 'x' is none of cmcc"),
        (LINK + "[[routing.rules]]\nlinks = ['cmcc']\nk = 1", "routing.rules[0].k: unknown key"),
        ("[[routing.rules]]\n", "routing.rules[0].links: name at least one of (there is no link)"),
        (
            SGIP + LISTENER.replace("127.0.0.1:", "0.0.0.0:"),
            "links.cucc.listener.allow: is missing",
        ),
        (SGIP + LISTENER.replace("8802", "8080"), "links.cucc.listener.listen: 127.0.0.1:8080 is"),
        ("x = 1\n" + LINK, "x: unknown key; "),
    ],
)
def test_a_problem_is_one_line_that_names_the_key(files: Files, text: str, problem: str) -> None:
    lines = files.problems(text)
    assert any(line.startswith(problem) for line in lines), lines


def test_an_environment_without_the_secret_is_a_problem_even_when_it_is_empty(
    files: Files,
) -> None:
    with pytest.raises(ConfigError) as caught:
        files.load(LINK, SECRET="")
    assert (caught.value.path, str(caught.value).count("\n")) == ("links.cmcc.secret", 0)


def test_a_secret_comes_from_a_file_beside_the_configuration(files: Files) -> None:
    (files.folder / "cmcc").write_text("from file\n", encoding="utf-8")
    config = files.load(LINK.replace("env:SECRET", "file:cmcc"))
    assert config.links["cmcc"].account.secret == "from file"


@pytest.mark.parametrize(("content", "problem"), [(b"\n", "is empty"), (b"\xff", "not UTF-8 text")])
def test_a_secret_file_must_hold_text(files: Files, content: bytes, problem: str) -> None:
    (files.folder / "cmcc").write_bytes(content)
    (line,) = files.problems(LINK.replace("env:SECRET", "file:cmcc"))
    assert line.startswith("links.cmcc.secret:")
    assert line.endswith(problem)


@pytest.mark.parametrize(("mode", "warned"), [(0o644, 1), (0o606, 1), (0o640, 0), (0o600, 0)])
def test_a_secret_file_that_everybody_may_open_warns(files: Files, mode: int, warned: int) -> None:
    (files.folder / "cmcc").write_text("from file")
    (files.folder / "cmcc").chmod(mode)
    config = files.load(LINK.replace("env:SECRET", "file:cmcc") + TOKEN)
    found = [one for one in config.warnings if one.startswith("links.cmcc.secret: everybody")]
    assert len(found) == warned


def test_a_secret_in_the_file_itself_works_and_warns(files: Files) -> None:
    config = files.load(LINK.replace("env:SECRET", "inline") + TOKEN)
    assert config.links["cmcc"].account.secret == "inline"
    (warning,) = config.warnings
    assert warning.startswith("links.cmcc.secret: written in the file itself")


def test_no_token_and_no_sgip_listener_are_warnings(files: Files) -> None:
    tokens, listener = sorted(files.load(SGIP).warnings, reverse=True)
    assert tokens.startswith("tokens: none, so nobody can use the HTTP API")
    assert listener.startswith("links.cucc.listener: none, so no reply and no report arrives")


def test_rules_are_read_in_order(files: Files) -> None:
    config = files.load(
        LINK
        + '[[routing.rules]]\nname = "bulk"\nclasses = ["bulk"]\noperators = ["unicom"]\n'
        + 'accounts = ["oa"]\nlinks = ["cmcc"]\n[[routing.rules]]\nlinks = ["cmcc"]\n'
    )
    assert config.rules == (
        Rule(
            "bulk",
            (("cmcc",),),
            frozenset({Operator.UNICOM}),
            frozenset({MessageClass.BULK}),
            frozenset({"oa"}),
        ),
        Rule("rule-2", (("cmcc",),)),
    )
    assert [rule["name"] for rule in effective(config)["routing"]["rules"]] == ["bulk", "rule-2"]


def test_links_of_a_rule_may_share_messages_by_weight(files: Files) -> None:
    config = files.load(
        LINK
        + LINK.replace("links.cmcc", "links.spare")
        + LINK.replace("links.cmcc", "links.last")
        + "[[routing.rules]]\nlinks = [{ cmcc = 3, spare = 1 }, 'last']\n"
        + "resend_undelivered = true\n"
    )
    assert config.rules == (
        Rule(
            "rule-1",
            (("cmcc", "spare"), ("last",)),
            weights={"cmcc": 3, "spare": 1},
            resend_undelivered=True,
        ),
    )
    (shown,) = effective(config)["routing"]["rules"]
    assert shown["links"] == [{"cmcc": 3, "spare": 1}, "last"]


def test_delivery_may_be_said_for_all_and_for_a_class(files: Files) -> None:
    config = files.load(
        LINK
        + '[delivery]\nunknown_wait = "5m"\ntries = 3\nretry_first = 1\nretry_longest = "1m"\n'
        + 'retry_quota = "2h"\nfailover_after = "30s"\n'
        + '[delivery.realtime]\non_unknown = "fail"\n[delivery.bulk]\nunknown_wait = "1h"\n'
    )
    retry, doubt = retry_policy(config.delivery), doubt_policy(config.delivery)
    assert retry == RetryPolicy(3, 1.0, 60.0, 7200.0)
    assert config.delivery.failover_after == 30.0
    assert (doubt.wait_seconds, doubt.resend) == (300.0, True)
    assert doubt.of(MessageClass.REALTIME) == DoubtPolicy(300.0, resend=False)
    assert doubt.of(MessageClass.BULK) == DoubtPolicy(3600.0)
    assert doubt.of(MessageClass.NOTICE) is doubt
    shown = effective(config)["delivery"]
    assert shown["realtime"] == {"unknown_wait": 300.0, "on_unknown": "fail"}
    assert "notice" not in shown


def test_a_listener_for_other_machines_needs_who_may_connect(files: Files) -> None:
    config = files.load(
        SGIP + LISTENER.replace("127.0.0.1:8802", "[::]:0") + 'allow = ["192.0.2.10"]\n'
        '[http]\nlisten = "localhost:0"\n'
    )
    listener = config.links["cucc"].listener
    assert [str(one) for one in listener.allow] == ["192.0.2.10/32"]
    assert str(listener.listen) == "[::]:0"
    assert str(config.http.listen) == "127.0.0.1:0"


def test_effective_values_mask_every_secret(files: Files) -> None:
    config = files.load(SGIP + LISTENER + TOKEN)
    values = effective(config)
    assert values["tokens"] == {"oa": {"token": "***", "account": "oa", "role": "admin"}}
    assert values["links"]["cucc"]["secret"] == "***"
    assert values["links"]["cucc"]["listener"]["secret"] == "***"
    for secret in ENVIRON.values():
        assert secret not in repr(values)
        assert secret not in repr(config)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"[links", "is not TOML: "), (b"\xff\xfe", "is not UTF-8 text: octet 0")],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"cannot read .*nope.toml: no such file; smsgw init"):
        load(tmp_path / "nope.toml")


@pytest.mark.parametrize(
    "host",
    [
        "bad host",
        "a..b",
        ".",
        "-a.example",
        "a.example-",
        "a\\u0000b",
        "x" * 64,
        "a." * 130 + "example",
        "192.0.2.300",
        "[::1]",
        "a:b",
        "例" * 70,
    ],
)
def test_a_host_that_cannot_be_one_is_refused(files: Files, host: str) -> None:
    (line,) = files.problems(LINK.replace("127.0.0.1", host))
    assert line.startswith("links.cmcc.host: '")
    assert "is no host name and no address; write" in line
    assert len(line) < 160


@pytest.mark.parametrize(
    "host",
    ["192.0.2.1", "::1", "fe80::1%eth0", "gateway", "gw-1.example.", "my_host", "短信.example"],
)
def test_names_and_addresses_are_hosts(files: Files, host: str) -> None:
    assert files.load(LINK.replace("127.0.0.1", host)).links["cmcc"].host == host


def test_octets_of_the_environment_that_are_no_text_are_no_secret(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        files.load(LINK, SECRET="\udcff")
    assert caught.value.path == "links.cmcc.secret"


def test_a_login_that_only_sends_warns_unless_another_receives(files: Files) -> None:
    (warning,) = files.load(SMGP + "login_mode = 0\n" + TOKEN).warnings
    assert warning.startswith("links.ctcc.login_mode: this login only sends, so no reply and no")
    second = SMGP.replace("ctcc", "back") + "login_mode = 1\n"
    assert files.load(SMGP + "login_mode = 0\n" + second + TOKEN).warnings == ()


def test_a_link_of_smpp_pairs_sends_and_receives(files: Files) -> None:
    smpp = SMGP.replace('"smgp"', '"smpp"\nbind_type = "transmitter+receiver"\noperator = "other"')
    config = files.load(smpp + TOKEN)
    assert config.warnings == ()
    assert [one.bind_type for one in config.links["ctcc"].account.logins] == [
        "transmitter",
        "receiver",
    ]
