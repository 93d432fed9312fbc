"""What another file changes, key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.changes import Change, LinkChanges, changes, link_changes, needs_restart
from smsgw.daemon.config import MASK, effective, load
from smsgw.daemon.settings import Config

FILE = """\
[gateway]
database = "postgresql://smsgw:first-password@127.0.0.1/smsgw"

[http]
listen = "127.0.0.1:8080"

[tokens.web]
token = "0123456789abcdef"

[links.a]
protocol = "cmpp"
host = "127.0.0.1"
login = "901234"
secret = "first"
access_number = "10690001"
rate = 10
proxy = "socks5://me:first-proxy@127.0.0.1:1080"

[links.b]
protocol = "sgip"
host = "127.0.0.1"
login = "sp12345"
secret = "second"
access_number = "10690002"
node = 3010012345
corp_id = "12345"

[links.b.listener]
listen = "127.0.0.1:8801"
login = "smg"
secret = "third"

[northbound.cmpp]
listen = "127.0.0.1:7890"

[customers.oa]
protocol = "cmpp"
login = "800001"
secret = "fourth"
extensions = ["80"]
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Reads the file above with some of its text replaced."""

    def reads(*pairs: tuple[str, str]) -> Config:
        text = FILE
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "smsgw.toml"
        path.write_text(text)
        return load(path)

    return reads


def test_the_same_file_changes_nothing(read: Any) -> None:
    found = changes(read(), read())
    assert found == []
    assert needs_restart(found) == []
    nothing = LinkChanges(added=(), removed=(), restarted=(), rate=())
    assert link_changes(read(), read(), found) == nothing


def test_a_value_is_shown_before_and_after(read: Any) -> None:
    old, new = read(), read(("rate = 10", "rate = 20"))
    found = changes(old, new)
    assert found == [Change("links.a.rate", 10.0, 20.0)]
    assert link_changes(old, new, found).rate == ("a",)


SECRETS = [
    ('"first"', "links.a.secret"),
    ("first-proxy", "links.a.proxy_password"),
    ('"second"', "links.b.secret"),
    ('"third"', "links.b.listener.secret"),
    ('"fourth"', "customers.oa.secret"),
    ("0123456789abcdef", "tokens.web.token"),
    ("first-password", "gateway.database_password"),
]


@pytest.mark.parametrize(("written", "path"), SECRETS)
def test_a_secret_that_changes_is_noticed_and_not_shown(read: Any, written: str, path: str) -> None:
    found = changes(
        read(), read((written, written.replace(written.strip('"'), "other-0123456789")))
    )
    assert [one.path for one in found] == [path]
    assert (found[0].before, found[0].after) == (MASK, MASK)


def test_every_masked_value_is_known_as_a_secret(read: Any) -> None:
    def masked(values: dict[str, Any], path: str = "") -> set[str]:
        found = set()
        for key, value in values.items():
            if isinstance(value, dict):
                found |= masked(value, f"{path}{key}.")
            elif value == MASK:
                found.add(path + key)
        return found

    assert masked(effective(read())) == {path for _, path in SECRETS}


def test_links_are_added_removed_restarted_or_only_slower(read: Any) -> None:
    old = read()
    other = read(("[links.a]", "[links.c]"), ("first-proxy", "next"), ('"smg"', '"other"'))
    found = changes(old, other)
    assert link_changes(old, other, found) == LinkChanges(
        added=("c",), removed=("a",), restarted=("b",), rate=()
    )
    assert needs_restart(found) == []


def test_what_the_process_is_made_of_needs_a_restart(read: Any) -> None:
    new = read(("8080", "8081"), ("7890", "7891"), ("first-password", "next"), ("rate = 10", ""))
    assert needs_restart(changes(read(), new)) == [
        "gateway.database_password",
        "http.listen",
        "northbound.cmpp.listen",
    ]


def test_the_phone_of_the_probe_is_not_shown(read: Any) -> None:
    probe = '[probe]\nto = "13800001001"\n\n[links.a]'
    one, other = (
        read(("[links.a]", probe)),
        read(("[links.a]", probe.replace("1001", "1002"))),
    )
    assert changes(one, other) == [Change("probe.to", MASK, MASK)]


def test_the_order_of_links_is_a_value_too(read: Any) -> None:
    whole = FILE[FILE.index("[links.a]") : FILE.index("[links.b]")]
    new = read((whole, ""), ("[northbound.cmpp]", whole + "[northbound.cmpp]"))
    assert changes(read(), new)[-1] == Change("links", ["a", "b"], ["b", "a"])
    assert needs_restart(changes(read(), new)) == ["links"]
