"""Messages taken in together come to the same as one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from smsgw.errors import Conflict
from smsgw.store import inbox, messages
from smsgw.store.arrivals import TAKE_IN, Arrival
from smsgw.store.inbox import RECEIVE
from smsgw.store.schema import event, inbound, inbound_part
from tests.support.memory import ANN, BOB, MemoryStore
from tests.support.store import NOW, accepted, inbound_row, message_row, part_row

SECOND = 1000

arrivals = st.tuples(
    st.sampled_from([ANN, BOB]),
    st.sampled_from(["10690001001", "1069000188"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["", "8:17"]),
    st.booleans(),  # whether the carrier repeats the delivery before it
)
groups = st.lists(
    st.tuples(
        st.lists(arrivals, min_size=1, max_size=6),
        st.sampled_from([0, 300, 601]),  # seconds since the group before
        st.booleans(),  # whether Ann is asked something then
    ),
    max_size=5,
)


def made(
    store: MemoryStore, group: Sequence[tuple[str, str, str, str, bool]], at: int
) -> list[Arrival]:
    found: list[Arrival] = []
    key = ""
    for sender, destination, text, reference, again in group:
        part = part_row(
            store.ids,
            sender=sender,
            destination=destination,
            content=text.encode(),
            reference=reference,
            received_at=at,
        )
        if again and key:
            part.dedupe_key = key
        key = part.dedupe_key
        row = inbound_row(
            store.ids, sender=sender, destination=destination, text=text, received_at=at
        )
        found.append(Arrival(part, row))
    return found


def one_by_one(connection: Connection, group: list[Arrival]) -> list[bool | None]:
    results: list[bool | None] = []
    for part, row in group:
        savepoint = connection.begin_nested()
        try:
            results.append(inbox.take_in(connection, row, [part.id]))
            savepoint.commit()
        except Conflict:
            savepoint.rollback()
            results.append(None)
    return results


@given(groups)
def test_together_they_come_to_the_same_as_one_after_the_other(
    script: list[tuple[list[tuple[str, str, str, str, bool]], int, bool]],
) -> None:
    together, alone = MemoryStore(), MemoryStore()
    at = NOW
    for group, pause, is_asked in script:
        at += pause * SECOND
        for store in (together, alone):
            if is_asked:
                asked = message_row(store.ids, recipient=ANN)
                with store.transaction() as connection:
                    messages.insert(connection, [accepted(asked)])
            rows = made(store, group, at)
            with store.transaction() as connection:
                RECEIVE.execute(connection, [msgspec.structs.replace(one.part) for one in rows])
                if store is together:
                    results = TAKE_IN.execute(connection, rows)
                else:
                    assert one_by_one(connection, rows) == results
    assert contents(together) == contents(alone)
    together.close()
    alone.close()


def contents(store: MemoryStore) -> list[list[tuple[object, ...]]]:
    """All that was written, without ids: they are drawn in another order."""
    places = select(inbound_part.c.id, inbound_part.c.inbound_id).order_by(inbound_part.c.id)
    with store.transaction() as connection:
        inbounds = connection.execute(select(inbound).order_by(inbound.c.id)).all()
        place = {row.id: n for n, row in enumerate(inbounds)}
        parts = connection.execute(places).all()
        told = connection.execute(
            select(event.c.kind, event.c.subject_id, event.c.at, event.c.data)
            .where(event.c.kind.like("inbound.%"))
            .order_by(event.c.id)
        ).all()
    return [
        [tuple(row)[1:] for row in inbounds],
        [(place.get(row.inbound_id),) for row in parts],
        sorted((kind, place[subject], at, data) for kind, subject, at, data in told),
    ]
