from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from smsgw.store import audit, schema
from smsgw.store.audit import BEGINNING, AuditRow, Entry, Head, digest, hash_of, netstrings
from smsgw.store.ids import IdSource
from smsgw.store.statements import give_ids
from tests.support.store import NOW


def entry(action: str = "request.created", **fields: Any) -> Entry:
    given: dict[str, Any] = {
        "actor": "console",
        "action": action,
        "account": "office",
        "subject_id": 7,
        "detail": {},
        **fields,
    }
    return Entry(**given)


def rows(connection: Connection) -> list[AuditRow]:
    return audit.page(connection, limit=1000)


def test_the_hash_is_what_the_documented_rule_gives(connection: Connection) -> None:
    detail = {"z": "同意", "a": {"10": 1, "9": None}, "step": 0}
    audit.append(
        connection,
        1_800_000_000_123,
        [
            entry(actor="13800001001", action="request.answered", detail=detail),
            entry(actor="gateway", account="", subject_id=912_323_204_410_769_408),
        ],
    )
    first = (
        b"1:1,1:1,13:1800000000123,11:13800001001,16:request.answered,6:office,1:7,"
        b'45:{"a":{"10":1,"9":null},"step":0,"z":"\xe5\x90\x8c\xe6\x84\x8f"},'
    )
    seals = [row.seal for row in rows(connection)]
    assert [len(seal) for seal in seals] == [16, 16]
    assert seals[0] != seals[1]
    one = hashlib.sha256(b"\0" * 32 + hashlib.sha256(seals[0] + first).digest()).digest()
    second = b"1:1,1:2,13:1800000000123,7:gateway,15:request.created,0:,18:912323204410769408,2:{},"
    other = hashlib.sha256(one + hashlib.sha256(seals[1] + second).digest()).digest()
    assert [row.hash for row in rows(connection)] == [one, other]
    assert audit.heads(connection) == [Head(1, 2, other)]
    assert str(Head(1, 2, other)) == f"1:2:{other.hex()}"


def test_a_chain_goes_on_where_it_was_and_nodes_have_their_own(connection: Connection) -> None:
    audit.append(connection, NOW, [])
    assert (audit.chains(connection), audit.heads(connection), rows(connection)) == ([], [], [])
    audit.append(connection, NOW, [entry(), entry()])
    give_ids(connection, IdSource(0, lambda: 0.0))
    audit.append(connection, NOW, [entry()])
    give_ids(connection, IdSource(1, lambda: 0.0))
    audit.append(connection, NOW + 1, [entry("request.closed")])
    found = rows(connection)
    assert [(row.chain, row.sequence) for row in found] == [(0, 1), (1, 1), (1, 2), (1, 3)]
    assert audit.chains(connection) == [0, 1]
    assert audit.head(connection, 1) == Head(1, 3, found[3].hash)
    assert audit.head(connection, 2) is None
    for before, row in zip([None, None, *found[1:3]], found, strict=True):
        assert hash_of(before.hash if before else BEGINNING, row) == row.hash


def test_a_nul_is_stored_as_postgresql_can_keep_it(connection: Connection) -> None:
    audit.append(connection, NOW, [entry(actor="a\0b", detail={"problem": "\0"})])
    (row,) = rows(connection)
    assert (row.actor, row.detail) == ("a\ufffdb", '{"problem":"\\u0000"}')
    assert hash_of(BEGINNING, row) == row.hash


def test_rows_are_listed_by_place_account_and_subject(connection: Connection) -> None:
    made = [entry(), entry(account="other"), entry(subject_id=8), entry("request.closed")]
    audit.append(connection, NOW, made)
    found = rows(connection)
    assert audit.page(connection, after=(1, 2), limit=1) == found[2:3]
    assert audit.page(connection, account="office") == [found[0], *found[2:]]
    previous = [(found[0], BEGINNING), (found[1], found[0].hash), (found[3], found[2].hash)]
    assert audit.of_subject(connection, 7) == previous
    connection.execute(schema.audit.delete().where(schema.audit.c.sequence == 3))
    assert audit.of_subject(connection, 7)[2] == (found[3], None)


VALUES = st.lists(st.one_of(st.integers(), st.text(st.characters(codec="utf-8"))), max_size=6)


@given(VALUES, VALUES)
def test_no_two_lists_of_values_have_the_same_octets(one: list[Any], other: list[Any]) -> None:
    same = list(map(str, one)) == list(map(str, other))
    assert (netstrings(one) == netstrings(other)) == same


def test_where_values_end_is_part_of_their_octets() -> None:
    assert netstrings(["ab", "c"]) != netstrings(["a", "bc"])
    assert netstrings(["1:a,"]) != netstrings(["a"])
    assert digest("同意") == digest("同意".encode())
