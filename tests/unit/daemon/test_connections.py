"""The keys about TLS, proxies and PROXY headers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.config import ConfigErrors, effective, load
from smsgw.transport.certificates import ClientTls, ServerTls
from smsgw.transport.proxy import Proxy
from tests.support.certificates import Authority

BASE = """
[tokens.oa]
token = "env:TOKEN"

[links.one]
protocol = "sgip"
host = "gateway.example"
login = "smsgw"
secret = "env:SECRET"
access_number = "10690003"
"""

LISTENER = """
[links.one.listener]
listen = "127.0.0.1:8802"
login = "unicom"
secret = "env:SECRET"
"""

ENVIRON = {"TOKEN": "a-token-of-22-letters!", "SECRET": "s3cr3t", "PROXY": "hunter2"}
NO_LISTENER = 1
"""Warnings of a file without the listener: that nothing comes back."""


class Files:
    """A folder with certificates, to write configurations into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.authority.issue("us", "127.0.0.1")
        self.authority.issue("other")
        self.authority.issue("old", lasts=timedelta(days=-1))
        self.authority.issue("locked", passphrase=b"secret")
        both = [(folder / f"us.{end}").read_text() for end in ("pem", "key")]
        (folder / "both.pem").write_text("".join(both))
        (folder / "empty.pem").write_text("")

    def load(self, text: str) -> Any:
        path = self.folder / "smsgw.toml"
        path.write_text(text, encoding="utf-8")
        return load(path, ENVIRON)

    def link(self, keys: str) -> Any:
        return self.load(BASE + keys).links["one"]

    def problems(self, text: str) -> list[str]:
        with pytest.raises(ConfigErrors) as caught:
            self.load(text)
        return str(caught.value).splitlines()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.mark.parametrize("keys", ["", "tls = false\n"])
def test_a_link_is_open_unless_told(files: Files, keys: str) -> None:
    link = files.link(keys)
    assert (link.tls, link.proxy) == (None, None)


def test_tls_can_be_just_switched_on(files: Files) -> None:
    config = files.load(BASE + "tls = true\n")
    assert config.links["one"].tls == ClientTls()
    assert len(config.warnings) == NO_LISTENER
    shown = effective(config)["links"]["one"]["tls"]
    assert shown == {
        "ca": "the system's",
        "certificate": "",
        "key": "",
        "server_name": "",
        "verify": True,
    }


def test_a_table_names_files_beside_the_configuration(files: Files) -> None:
    link = files.link(
        '[links.one.tls]\nca = "ca.pem"\ncertificate = "us.pem"\nkey = "us.key"\n'
        'server_name = "sms.example"\n'
    )
    assert link.tls == ClientTls(
        ca=files.folder / "ca.pem",
        certificate=files.folder / "us.pem",
        key=files.folder / "us.key",
        server_name="sms.example",
    )


def test_certificate_and_key_may_be_one_file(files: Files) -> None:
    assert files.link('tls = { certificate = "both.pem" }\n').tls.key is None


def test_not_verifying_warns(files: Files) -> None:
    config = files.load(BASE + "tls = { verify = false }\n")
    assert not config.links["one"].tls.verify
    (warning,) = [one for one in config.warnings if ".tls." in one]
    assert warning.startswith("links.one.tls.verify: is false: whoever sits between us and the")


def test_an_expired_certificate_of_ours_warns(files: Files) -> None:
    config = files.load(BASE + 'tls = { certificate = "old.pem", key = "old.key" }\n')
    assert any(
        "links.one.tls.certificate: " in one and "expired on" in one for one in config.warnings
    )


@pytest.mark.parametrize(
    ("table", "key", "problem"),
    [
        ('ca = "none.pem"', "ca", "cannot read FOLDER/none.pem: No such file or directory"),
        ('ca = "empty.pem"', "ca", "FOLDER/empty.pem has no certificate that can be read (PEM)"),
        ('ca = "us.key"', "ca", "FOLDER/us.key has no certificate that can be read (PEM)"),
        ('ca = ""', "ca", "is empty"),
        ('certificate = "us.pem"', "certificate", "FOLDER/us.pem has no private key that can be"),
        ('key = "us.key"', "certificate", "is missing: key is the private key of a certificate"),
        (
            'certificate = "us.pem", key = "other.key"',
            "key",
            "FOLDER/other.key is not the key of FOLDER/us.pem",
        ),
        (
            'certificate = "locked.pem", key = "locked.key"',
            "key",
            "FOLDER/locked.key: the key has a passphrase; give one without",
        ),
        ('server_name = "a b"', "server_name", "'a b' is no host name and no address"),
        ("verify = 1", "verify", "1 is not true or false"),
        ('cert = "us.pem"', "cert", "unknown key; known here: ca, certificate, key, server_name"),
    ],
)
def test_what_cannot_work_is_one_line(files: Files, table: str, key: str, problem: str) -> None:
    (line,) = files.problems(BASE + f"tls = {{ {table} }}\n")
    assert line.startswith(f"links.one.tls.{key}: {problem.replace('FOLDER', str(files.folder))}")


def test_tls_is_true_or_a_table(files: Files) -> None:
    (line,) = files.problems(BASE + 'tls = "yes"\n')
    assert line == "links.one.tls: 'yes' is not a table"


def test_a_listener_and_the_api_have_certificates(files: Files) -> None:
    tls = 'tls = { certificate = "us.pem", key = "us.key", ca = "ca.pem" }\n'
    config = files.load("[http]\n" + tls + BASE + LISTENER + tls)
    us = ServerTls(
        certificate=files.folder / "us.pem",
        key=files.folder / "us.key",
        ca=files.folder / "ca.pem",
    )
    assert (config.http.tls, config.links["one"].listener.tls) == (us, us)
    assert effective(config)["http"]["tls"]["certificate"] == str(files.folder / "us.pem")


@pytest.mark.parametrize(
    ("tls", "line"),
    [
        ("true", 'http.tls: write a table: { certificate = "FILE.pem", key = "FILE.key" }'),
        ("{ }", "http.tls.certificate: is missing; write a text in quotes"),
        ('{ certificate = "" }', "http.tls.certificate: is empty"),
        (
            '{ certificate = "us.pem" }',
            "http.tls.certificate: FOLDER/us.pem has no private key that can be read (PEM)",
        ),
        (
            '{ certificate = "us.pem", key = "us.key", verify = true }',
            "http.tls.verify: unknown key; known here: ca, certificate, key",
        ),
    ],
)
def test_a_port_needs_a_good_certificate(files: Files, tls: str, line: str) -> None:
    found = files.problems(f"[http]\ntls = {tls}\n" + BASE)
    assert found == [line.replace("FOLDER", str(files.folder))]


def test_a_proxys_password_is_a_secret(files: Files) -> None:
    keys = 'proxy = "socks5://me@10.0.0.9:1080"\nproxy_password = "env:PROXY"\n'
    config = files.load(BASE + keys)
    assert config.links["one"].proxy == Proxy(
        scheme="socks5", host="10.0.0.9", port=1080, user="me", password="hunter2"
    )
    assert len(config.warnings) == NO_LISTENER
    shown = effective(config)["links"]["one"]
    assert (shown["proxy"], shown["proxy_password"]) == ("socks5://me@10.0.0.9:1080", "***")
    assert "hunter2" not in repr(config)


def test_a_password_in_the_url_warns(files: Files) -> None:
    config = files.load(BASE + 'proxy = "http://me:hunter2@10.0.0.9:3128"\n')
    assert config.links["one"].proxy.password == "hunter2"
    assert any("links.one.proxy: has a password in it" in one for one in config.warnings)
    assert "hunter2" not in repr(effective(config)) + "".join(config.warnings)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            'proxy_password = "env:PROXY"\n',
            "links.one.proxy: is missing: proxy_password is for one",
        ),
        ('proxy = "10.0.0.9:1080"\n', "links.one.proxy: is no proxy; write "),
        ('proxy = "socks5://me@h:1080"\n', "links.one.proxy: has a user and no password; set "),
        ("proxy = 3\n", "links.one.proxy: 3 is not a text in quotes"),
    ],
)
def test_a_proxy_that_cannot_be_one_is_a_line(files: Files, keys: str, line: str) -> None:
    assert files.problems(BASE + keys)[0].startswith(line)


def test_proxy_protocol_names_the_balancers(files: Files) -> None:
    keys = 'proxy_protocol = ["10.0.0.5"]\nallow = ["192.0.2.0/24"]\n'
    config = files.load("[http]\n" + keys + BASE + LISTENER + keys)
    assert [str(one) for one in config.http.balancers] == ["10.0.0.5/32"]
    assert config.links["one"].listener.balancers == config.http.balancers
    assert effective(config)["http"]["proxy_protocol"] == ["10.0.0.5/32"]


def test_proxy_protocol_from_anybody_warns_where_others_can_connect(files: Files) -> None:
    keys = 'listen = "0.0.0.0:8080"\nproxy_protocol = true\nallow = ["192.0.2.0/24"]\n'
    config = files.load("[http]\n" + keys + BASE)
    assert config.http.balancers is True
    assert config.warnings[0].startswith("http.proxy_protocol: is true: whoever can connect")
    inside = keys.replace("0.0.0.0", "127.0.0.1")
    assert len(files.load("[http]\n" + inside + BASE).warnings) == NO_LISTENER


def test_proxy_protocol_needs_to_know_whom_to_let_in(files: Files) -> None:
    (line,) = files.problems("[http]\nproxy_protocol = true\n" + BASE)
    assert line.startswith("http.allow: is missing: with proxy_protocol it is about the addresses")


@pytest.mark.parametrize("written", ['"yes"', "1", '["nowhere"]'])
def test_proxy_protocol_is_true_or_networks(files: Files, written: str) -> None:
    allow = 'allow = ["192.0.2.0/24"]\n'
    (line,) = files.problems(f"[http]\nproxy_protocol = {written}\n" + allow + BASE)
    assert line.startswith("http.proxy_protocol: ")
