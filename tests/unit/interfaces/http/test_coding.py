from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from smsgw.interfaces.http.coding import accepted, deflated, inflated
from smsgw.interfaces.http.problems import Problem

LIMIT = 1024 * 1024


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
    ],
)
def test_what_a_client_takes(header: str | None, takes: bool) -> None:
    assert accepted(header) == takes


@pytest.mark.parametrize("header", ["gzip", " X-GZIP "])
def test_a_body_is_unpacked(header: str) -> None:
    body = "您好".encode() * 1000
    assert inflated(gzip.compress(body), header, LIMIT) == body
    assert gzip.decompress(deflated(body)) == body
    assert inflated(gzip.compress(b"x" * LIMIT), header, LIMIT) == b"x" * LIMIT


@pytest.mark.parametrize("header", [None, "identity"])
def test_a_body_without_a_coding_is_left_alone(header: str | None) -> None:
    assert inflated(b"{}", header, LIMIT) == b"{}"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip"])
def test_another_coding_is_refused(coding: str) -> None:
    with pytest.raises(Problem, match="gzip") as refused:
        inflated(b"{}", coding, LIMIT)
    assert refused.value.status == 415


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        deflated(b"x" * 100)[:-9],
        deflated(b"x") + b"more",
        deflated(b"x") * 2,
        zlib.compress(b""),
    ],
    ids=["empty", "json", "cut off", "trailing", "two members", "zlib"],
)
def test_what_is_no_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(Problem, match="gzip member") as refused:
        inflated(body, "gzip", LIMIT)
    assert refused.value.status == 400


def test_a_bomb_is_not_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(bytes(256 * LIMIT), 9)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as refused:
            inflated(bomb, "gzip", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 8 * LIMIT
    finally:
        tracemalloc.stop()
    assert refused.value.status == 413
