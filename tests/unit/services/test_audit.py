from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, update

from smsgw.model import Event
from smsgw.services import audit
from smsgw.services.audit import Walk, compared
from smsgw.store import audit as chain
from smsgw.store import inbox
from smsgw.store.audit import Entry, Head
from smsgw.store.schema import audit as table
from smsgw.store.statements import ids_of
from tests.support.evidence import memory
from tests.support.store import NOW, StoredMessages, inbound_row

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
ENTRIES = st.builds(
    Entry,
    NAMES,
    NAMES,
    NAMES,
    st.integers(0, 2**63 - 1),
    st.dictionaries(NAMES.filter(lambda key: key != "sha256"), NAMES, max_size=3),
)
TAMPERED = ("sequence", "at", "actor", "action", "account", "subject_id", "detail", "hash")


def other(value: Any) -> Any:
    """A value of the same type that is not the same."""
    if isinstance(value, int):
        return value ^ 1
    return value[:-1] + bytes([value[-1] ^ 1]) if isinstance(value, bytes) else value + "x"


def found(connection: Connection, *kept: Head) -> list[str]:
    return [str(one) for one in Walk(connection, kept).findings()]


def test_any_change_of_any_row_is_found() -> None:
    with memory() as connection:

        @given(st.lists(ENTRIES, min_size=1, max_size=6), st.data())
        def check(entries: list[Entry], data: st.DataObject) -> None:
            connection.execute(delete(table))
            chain.append(connection, NOW, entries)
            connection.commit()
            (head,) = chain.heads(connection)
            assert found(connection, head) == []
            row = data.draw(st.sampled_from(chain.page(connection)))
            one = table.c.sequence == row.sequence
            name = data.draw(st.sampled_from([*TAMPERED, "nothing is left"]))
            if name not in TAMPERED:
                connection.execute(delete(table).where(one))
            else:
                value = getattr(row, name)
                value = value + 1000 if name == "sequence" else other(value)
                connection.execute(update(table).where(one).values({name: value}))
            connection.commit()
            assert found(connection, head)

        check()


def recorded(events: list[Event], actor: str = "console") -> list[chain.AuditRow]:
    with memory() as connection:
        audit.record(connection, NOW, events, actor)
        return chain.page(connection)


def test_an_event_is_an_entry_and_texts_are_digests() -> None:
    data = {"text": "同意", "reason": "", "step": 2, "phone": "13800001001", "body": None}
    (row,) = recorded([Event("request.note", 7, "office", data)], "13800001001")
    assert (row.at, row.actor, row.action) == (NOW, "13800001001", "request.note")
    assert (row.account, row.subject_id) == ("office", 7)
    digests = f'"reason_sha256":"{chain.digest("")}",'
    text = f'"text_sha256":"{chain.digest("同意")}"'
    assert row.detail == f'{{"body":null,"phone":"13800001001",{digests}"step":2,{text}}}'


def test_what_names_rows_that_are_not_there_vouches_for_nothing() -> None:
    data = {"inbound_id": "5", "assignment_id": "6", "prompt_message_id": "8", "message_id": None}
    kinds = ("request.created", "request.closed", "conversation.replied")
    for row in recorded([Event(kind, 7, "office", data) for kind in kinds]):
        assert "sha256" not in row.detail


def test_a_conversations_reply_and_message_are_vouched_for() -> None:
    with memory() as connection:
        message = StoredMessages(connection, ids_of(connection)).message(text="您好")
        inbound = inbound_row(ids_of(connection), text="好")
        inbox.insert_inbound(connection, inbound, [])
        data = {"message_id": str(message.id), "inbound_id": str(inbound.id)}
        audit.record(connection, NOW, [Event("conversation.replied", 7, "office", data)], "gateway")
        (row,) = chain.page(connection)
        vouched = audit.digests_in(row)
    assert vouched is not None
    assert vouched["message:text"] == {str(message.id): chain.digest("您好")}
    assert vouched["inbound:text"] == {str(inbound.id): chain.digest("好")}


def test_what_a_later_version_vouches_for_is_a_note() -> None:
    (finding,) = compared(0, 1, "form:text", "7", "00", None)
    assert not finding.wrong
    assert str(finding) == "chain 0, sequence 1: text of form 7: this version cannot check it"


def test_two_heads_that_were_kept_for_one_place_cannot_both_be_true() -> None:
    with memory() as connection:
        chain.append(connection, NOW, [Entry("a", "b", "c", 1, {})])
        connection.commit()
        (head,) = chain.heads(connection)
        assert len(found(connection, head, Head(0, 1, bytes(32)))) == 1
        assert len(found(connection, Head(7, 3, bytes(32)))) == 1
