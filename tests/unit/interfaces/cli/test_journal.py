"""The journal of a bulk run."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.errors import Conflict
from smsgw.interfaces.cli.journal import Journal

JOB = {"file": "0f", "template": "hi {name}", "class": "notice"}
AT = "2026-11-22T09:00:00+00:00"


def test_what_was_accepted_and_what_is_in_doubt_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "people.csv.smsgw"
    with Journal(path, JOB) as journal:
        journal.begin([2, 3], AT)
        assert journal.doubtful == ([2, 3], AT)
        journal.accept([2, 3], ["10", "11"])
        journal.begin([4], AT)
        names = journal.reference(4), journal.key([4])
    with Journal(path, JOB) as again:
        assert again.accepted == {2: "10", 3: "11"}
        assert again.doubtful == ([4], AT)
        assert (again.reference(4), again.key([4])) == names
        assert again.key([5]) != names[1]


def test_another_run_of_the_same_file_has_other_references(tmp_path: Path) -> None:
    with Journal(tmp_path / "a", JOB) as one, Journal(tmp_path / "b", JOB) as other:
        assert one.reference(2) != other.reference(2)
        assert one.key([2]) != other.key([2])


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_cut_short_by_a_crash_was_not_written(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "j"
    with Journal(path, JOB) as journal:
        journal.begin([2], AT)
        journal.accept([2], ["10"])
    octets = path.read_bytes()
    path.write_bytes(octets[:-cut])
    with Journal(path, JOB) as journal:
        assert journal.accepted == {}
        assert journal.doubtful == ([2], AT)
        journal.accept([2], ["10"])
    assert path.read_bytes() == octets


def test_a_first_line_cut_short_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b'{"smsgw-send": "0f')
    with Journal(path, JOB) as journal:
        assert journal.accepted == {}


def test_another_template_or_class_is_another_job(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path, JOB) as journal:
        journal.accept([2], ["10"])
    with pytest.raises(Conflict, match="1 rows were sent with another class, template; "):
        Journal(path, {**JOB, "template": "x", "class": "bulk"})


@pytest.mark.parametrize("octets", [b"hello", b"hello\n", b"[]\n{}\n", b'{"smsgw-send":1}\n'])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(octets)
    with pytest.raises(Conflict, match="is no journal of smsgw send"):
        Journal(path, JOB)
    assert path.read_bytes() == octets


def test_two_runs_at_the_same_time_are_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "j", JOB),
        pytest.raises(Conflict, match="another run is sending this file"),
    ):
        Journal(tmp_path / "j", JOB)
