from __future__ import annotations

import copy
import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, update

from smsgw.errors import NotFound, ValidationError
from smsgw.services.requests.evidence import document
from smsgw.services.requests.evidence_check import Document
from smsgw.store import audit, schema
from smsgw.store.audit import Entry
from smsgw.store.statements import ids_of, insert_rows
from tests.support.evidence import ANN, APPLICANT, BOB, Case, memory
from tests.support.requests import Office, result_of
from tests.support.store import NOW

Json = dict[str, Any]

DOCUMENTATION = Path(__file__).parents[4] / "docs" / "evidence.md"


@pytest.fixture(scope="module")
def case() -> Iterator[Case]:
    """A request that is decided, and another one whose entries stand between its own."""
    with memory() as connection:
        case, other = (Case(connection, ids_of(connection)) for _ in range(2))
        case.ask()
        other.ask()
        case.reply()
        case.decide()
        case.close()
        yield case


def made(case: Case) -> Json:
    found = document(case.connection, case.request_id, NOW, "office")
    read: Json = msgspec.json.decode(msgspec.json.encode(found))
    assert read == found  # JSON keeps all of it
    return read


def found(shown: Json) -> list[str]:
    return [str(one) for one in Document(msgspec.json.encode(shown)).findings()]


class TestMade:
    def test_it_shows_the_request_and_who_was_asked(self, case: Case) -> None:
        shown = made(case)
        assert shown["format"] == "smsgw-evidence-1"
        assert shown["exported_at"] == "2027-01-15T08:00:00.000+00:00"
        request = shown["request"]
        assert request["id"] == str(case.request_id)
        assert (request["subject"], request["outcome"]) == ("采购三脚架", "approved")
        assert request["applicant"] == {"name": "周", "phone": APPLICANT}
        assert request["settings"] == {"urgent": True}
        assert request["closed_at"] == "2027-01-15T08:03:00.000+00:00"
        (step,) = request["steps"]
        assert [one["phone"] for one in step["assignees"]] == [ANN, BOB]
        by_sms, by_api = (one["answers"][0] for one in step["assignees"])
        assert (by_sms["channel"], by_sms["actor"], by_sms["rule"]) == ("sms", ANN, "slot:word")
        assert by_sms["inbound_id"] == str(case.inbound_id)
        assert (by_api["channel"], by_api["actor"], by_api["reason"]) == (
            "api",
            "console",
            "没有意见",
        )

    def test_it_shows_what_went_to_each_person_and_came_from_them(self, case: Case) -> None:
        people = {person["phone"]: person for person in made(case)["people"]}
        assert list(people) == [ANN, BOB, APPLICANT]
        ann = people[ANN]
        assert (ann["names"], ann["assignments"]) == (["安"], [str(case.ann)])
        assert [one["text"] for one in ann["messages"]] == [
            "请审批：采购三脚架",
            "已批准：采购三脚架",
        ]
        message = ann["messages"][0]
        assert (message["sender_number"], message["status"]) == ("10690001001", "sent")
        (segment,) = message["segments"]
        assert segment["carrier_message_id"] == f"{int(message['id']):x}"
        assert (segment["link"], segment["state"]) == ("cmcc", "sent")
        (inbound,) = ann["inbound"]
        assert (inbound["text"], inbound["link"]) == ("同意，预算内", "cmcc")
        assert [part["part"] for part in inbound["pdus"]] == [1, 2]
        assert inbound["pdus"][0]["pdu"].startswith("000501")
        assert people[BOB]["inbound"] == people[APPLICANT]["inbound"] == []
        assert len(people[APPLICANT]["messages"]) == 1

    def test_it_shows_its_entries_in_the_chain_and_the_heads(self, case: Case) -> None:
        shown = made(case)
        rows = {row.sequence: row for row in audit.page(case.connection)}
        entries = shown["audit"]["entries"]
        assert [entry["sequence"] for entry in entries] == [1, 2, 3, 4, 9, 10, 11, 12, 13]
        for entry in entries:
            row = rows[entry["sequence"]]
            before = rows[row.sequence - 1].hash if row.sequence > 1 else bytes(32)
            assert (entry["hash"], entry["previous_hash"]) == (row.hash.hex(), before.hex())
            assert (entry["at_ms"], entry["detail"]) == (row.at, row.detail)
        head = {"chain": 0, "sequence": 13, "hash": rows[13].hash.hex()}
        assert shown["audit"]["heads"] == [head]

    def test_it_shows_what_happened_because_its_time_had_come(self, case: Case) -> None:
        timer = (case.ids.next(), "reminder", case.request_id, case.bob, 1, NOW + 5000)
        insert_rows(case.connection, schema.timer, [timer])
        timers = made(case)["timers"]
        assert [one["action"] for one in timers["fired"]] == ["request.closed", "text.sent"]
        assert timers["pending"] == [
            {
                "kind": "reminder",
                "subject_id": str(case.bob),
                "turn": 1,
                "due_at": "2027-01-15T08:00:05.000+00:00",
            }
        ]

    def test_it_counts_votes(self, case: Case) -> None:
        votes = [(case.request_id, f"138000010{n:02}", str(n % 2), n, NOW) for n in range(5)]
        insert_rows(case.connection, schema.ballot, votes)
        assert made(case)["request"]["votes"] == {"0": 3, "1": 2}

    def test_another_accounts_request_is_not_found(self, case: Case) -> None:
        for request_id, account in [(case.request_id, "other"), (7, "office")]:
            with pytest.raises(NotFound, match=f"request {request_id}: not recorded"):
                document(case.connection, request_id, NOW, account)
        assert document(case.connection, case.request_id, NOW)["format"]


def set_at(*path: Any, value: Any) -> Callable[[Json], None]:
    def change(shown: Json) -> None:
        for key in path[:-1]:
            shown = shown[key]
        assert shown[path[-1]] != value
        shown[path[-1]] = value

    return change


ASSIGNEE = ("request", "steps", 0, "assignees", 0)
ENTRY = ("audit", "entries", 4)

TAMPERED: list[tuple[Callable[[Json], None], str]] = [
    (set_at("request", "subject", value="别的"), "subject of request {id} was changed"),
    (set_at("request", "body", value="别的"), "body of request {id} was changed"),
    (set_at("request", "outcome", value="rejected"), "request {id} was changed"),
    (set_at(*ASSIGNEE, "decision", value="no"), "assignment {ann} was changed"),
    (set_at(*ASSIGNEE, "phone", value=BOB), "phone of assignment {ann} was changed"),
    (set_at(*ASSIGNEE, "answers", 0, "decision", value="no"), "was changed"),
    (set_at(*ASSIGNEE, "answers", 0, "reason", value="别的"), "reason of answer"),
    (set_at(*ASSIGNEE, "answers", value=[]), "is gone"),
    (set_at("people", 0, "messages", 0, "text", value="别的"), "text of message"),
    (set_at("people", 0, "messages", 0, "to", value=BOB), "recipient of message"),
    (set_at("people", 0, "inbound", 0, "text", value="不同意"), "text of inbound {inbound}"),
    (set_at("people", 0, "inbound", 0, "from", value=BOB), "sender of inbound {inbound}"),
    (set_at("people", 0, "inbound", 0, "pdus", 1, "pdu", value="00"), "pdu of inbound_part"),
    (set_at("people", value=[]), "is gone"),
    (set_at(*ENTRY, "detail", value="{}"), "was changed: it has another hash"),
    (set_at(*ENTRY, "actor", value=BOB), "was changed: it has another hash"),
    (set_at(*ENTRY, "at_ms", value=NOW), "was changed: it has another hash"),
    (set_at(*ENTRY, "at", value="2027-01-15T08:00:00.000+00:00"), "at and at_ms"),
    (set_at(*ENTRY, "at", value="yesterday"), "at and at_ms are not the same time"),
    (set_at(*ENTRY, "chain", value=1), "was changed: it has another hash"),
    (set_at(*ENTRY, "subject_id", value="7"), "is not about this request"),
    (set_at(*ENTRY, "hash", value="00" * 32), "was changed: it has another hash"),
    (set_at(*ENTRY, "previous_hash", value="00" * 32), "was changed: it has another hash"),
    (set_at(*ENTRY, "previous_hash", value="xyz"), "was changed: it has another hash"),
    (set_at(*ENTRY, "previous_hash", value=None), "was missing from the chain"),
    (set_at("audit", "entries", 1, "previous_hash", value="00" * 32), "does not follow the row"),
    (set_at("audit", "heads", 0, "hash", value="00" * 32), "with two hashes"),
]


class TestChecked:
    def test_as_it_was_made_it_is_whole(self, case: Case) -> None:
        assert found(made(case)) == []
        checked = Document(msgspec.json.encode(made(case)))
        assert (checked.entries, len(checked.heads)) == (9, 10)

    @pytest.mark.parametrize(("change", "problem"), TAMPERED)
    def test_a_change_of_the_document_is_found(
        self, case: Case, change: Callable[[Json], None], problem: str
    ) -> None:
        shown = made(case)
        change(shown)
        ids = {"id": case.request_id, "ann": case.ann, "inbound": case.inbound_id}
        checked = Document(msgspec.json.encode(shown))
        wrong = [str(one) for one in checked.findings() if one.wrong]
        assert any(problem.format(**ids) in line for line in wrong), wrong

    def test_what_no_entry_vouches_for_is_noted(self, case: Case) -> None:
        shown = made(case)
        invented = copy.deepcopy(shown["people"][0]["messages"][0]) | {"id": "77"}
        shown["people"][0]["messages"].append(invented)
        notes = list(Document(msgspec.json.encode(shown)).findings())
        assert [one.wrong for one in notes] == [False, False]
        assert notes[1].problem == "nothing vouches for message:text of 77"
        shown["audit"]["entries"] = []
        assert len(found(shown)) > 10

    def test_an_open_request_has_nothing_vouched_for_that_may_still_change(self) -> None:
        with memory() as connection:
            case = Case(connection, ids_of(connection))
            case.ask()
            assert found(made(case)) == []

    def test_an_erased_text_is_noted_and_a_removed_row_before_is_found(self) -> None:
        with memory() as connection:
            case = Case(connection, ids_of(connection)).whole()
            connection.execute(update(schema.inbound).values(text=""))
            (note,) = Document(msgspec.json.encode(made(case))).findings()
            assert (note.wrong, note.problem.endswith("was erased")) == (False, True)
            audit.append(connection, NOW, [Entry("console", "token.made", "", 1, {})])
            _close_again(connection, case)
            connection.execute(delete(schema.audit).where(schema.audit.c.sequence == 10))
            assert "was missing from the chain" in found(made(case))[0]

    @pytest.mark.parametrize(
        "octets",
        [
            b"",
            b"[]",
            b"{}",
            b'{"format":"smsgw-evidence-2"}',
            b'{"format":"smsgw-evidence-1","audit":{"entries":[],"heads":[]},"request":{}}',
            b'{"format":"smsgw-evidence-1","audit":{"entries":[{}],"heads":[]}}',
        ],
    )
    def test_what_is_no_document_is_refused_in_one_line(self, octets: bytes) -> None:
        with pytest.raises(ValidationError) as caught:
            Document(octets)
        assert "is no evidence document of this version" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (("request", "subject"), 7),
            (("people",), [7]),
            ((*ENTRY, "hash"), "no hex"),
            ((*ENTRY, "subject_id"), "no number"),
            (("people", 0, "inbound", 0, "pdus", 0, "pdu"), "no hex"),
        ],
    )
    def test_a_member_of_another_kind_is_refused(
        self, case: Case, path: tuple[Any, ...], value: Any
    ) -> None:
        shown = made(case)
        set_at(*path, value=value)(shown)
        with pytest.raises(ValidationError, match="no evidence document"):
            Document(msgspec.json.encode(shown))


class TestDocumented:
    """docs/evidence.md, by which somebody else checks without us."""

    def test_the_hash_of_its_example_follows_from_its_octets(self) -> None:
        text = DOCUMENTATION.read_text(encoding="utf-8")
        found = re.search(
            r"^    (1:1,.*)\n\nwith the seal `(\w+)`, "
            r"and after 32 zero octets, has the hash\n`(\w+)`",
            text,
            re.M,
        )
        assert found
        content = hashlib.sha256(bytes.fromhex(found[2]) + found[1].encode()).digest()
        assert hashlib.sha256(bytes(32) + content).hexdigest() == found[3]

    def test_its_program_finds_nothing_in_a_good_document_and_each_change(
        self, case: Case, tmp_path: Path
    ) -> None:
        text = DOCUMENTATION.read_text(encoding="utf-8")
        program, document = tmp_path / "check.py", tmp_path / "evidence.json"
        program.write_text(text.partition("```python\n")[2].partition("```")[0], encoding="utf-8")

        def printed(shown: Json) -> str:
            document.write_bytes(msgspec.json.encode(shown))
            command = [sys.executable, program, document]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        shown = made(case)
        assert printed(shown) == ""
        shown["people"][0]["inbound"][0]["text"] = ""  # purged
        shown["people"][1]["messages"][0]["text"] = "找 erased-5f0c2b7d9a41e863"
        assert printed(shown) == ""
        shown["people"][0]["inbound"][0]["text"] = "不同意"
        shown["people"][1]["messages"][0]["text"] = "别的"
        shown["audit"]["entries"][0]["actor"] = "nobody"
        assert printed(shown).splitlines() == [
            "entry 0-1 was changed",
            f"message:text {shown['people'][1]['messages'][0]['id']} was changed",
            f"inbound:text {case.inbound_id} was changed",
        ]


def test_what_the_engine_did_is_whole_in_its_evidence() -> None:
    office = Office()
    request_id = office.create((ANN, BOB))
    assert office.reply(ANN, "同意") == "decided"
    office.reply(BOB, "看看")
    assert office.reply(BOB, "不同意 预算不够") == "decided"
    shown = result_of(office.store.read(lambda c: document(c, request_id, office.time.ms)))
    assert found(shown) == []
    ann, bob = shown["people"]
    assert [len(one["messages"]) for one in (ann, bob)] == [2, 3]  # asked, asked back, told
    assert [one["text"] for one in bob["inbound"]] == ["看看", "不同意 预算不够"]
    actions = {entry["action"] for entry in shown["audit"]["entries"]}
    assert {"request.created", "text.sent", "request.answered", "request.closed"} <= actions
    assert {entry["actor"] for entry in shown["audit"]["entries"]} >= {ANN, BOB}


def _close_again(connection: Connection, case: Case) -> None:
    again = Entry("console", "request.note", "office", case.request_id, {})
    audit.append(connection, NOW, [again])
