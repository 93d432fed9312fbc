from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.errors import ConfigError
from smsgw.store.address import Server, where

FULL = "postgresql://smsgw@db.example:6432/messages?sslmode=verify-full&sslrootcert=%2Fca.pem"


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("postgresql://smsgw@db/m", Server(host="db", port=5432, name="m", user="smsgw")),
        ("postgres://a%40b@db/m%2Fn", Server(host="db", port=5432, name="m/n", user="a@b")),
        ("postgresql://u@/m", Server(host="", port=5432, name="m", user="u")),
        ("postgresql://u@[::1]:99/m", Server(host="::1", port=99, name="m", user="u")),
        (
            FULL,
            Server(
                host="db.example",
                port=6432,
                name="messages",
                user="smsgw",
                options=(("sslmode", "verify-full"), ("sslrootcert", "/ca.pem")),
            ),
        ),
    ],
)
def test_an_address_is_read_and_shown(text: str, server: Server) -> None:
    assert where(text) == server
    assert where(str(server)) == server
    assert where(server) is server


def test_anything_else_is_a_file() -> None:
    for text in ("smsgw.db", "/var/lib/smsgw.db", "postgresql.db", "C:/smsgw.db"):
        assert where(text) == Path(text)
    assert where(Path("x")) == Path("x")


def test_an_address_of_something_else_is_no_file() -> None:
    for text in ("mysql://user:sesame@db/m", "sqlite:///smsgw.db"):
        with pytest.raises(ConfigError, match=r"is no database we know; .* file's path$") as caught:
            where(text)
        assert "sesame" not in str(caught.value)


def test_a_password_is_kept_and_never_shown() -> None:
    server = where("postgresql://smsgw:open%20sesame@db/m")
    assert isinstance(server, Server)
    assert server.password == "open sesame"
    assert str(server) == "postgresql://smsgw@db:5432/m"
    assert "sesame" not in repr(server)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:smsgw",
        "postgresql://user:sesame@db",
        "postgresql://user:sesame@db/",
        "postgresql://user:sesame@db/a/b",
        "postgresql://db/m",
        "postgresql://user:sesame@db:port/m",
        "postgresql://user:sesame@db:99999/m",
        "postgresql://user:sesame@db/m#x",
        "postgresql://user:sesame@db/m?sslmode",
        "postgresql://user:sesame@db/m?passfile=x",
        "postgresql://user:sesame@[::1/m",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match='write "postgresql://user@host:port/name"') as caught:
        where(text)
    assert caught.value.path == "database"
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lacks"), [("postgresql://user@db", "name"), ("postgresql:///m", "user")]
)
def test_an_address_that_is_not_whole_says_what_is_missing(text: str, lacks: str) -> None:
    with pytest.raises(ConfigError, match=f"; the {lacks} is missing$"):
        where(text)
