"""The neutral types: defaults that a caller may lean on, and the order of statuses."""

from __future__ import annotations

import gc

import pytest

from smsgw.model import (
    FINAL_RANK,
    STATUS_RANK,
    Coding,
    Event,
    MessageStatus,
    MoMessage,
    Segment,
    StatusReport,
    SubmitResult,
)


def test_every_status_has_a_rank_and_the_final_ones_share_the_highest() -> None:
    assert set(STATUS_RANK) == set(MessageStatus)
    final = {status for status, rank in STATUS_RANK.items() if rank == FINAL_RANK}
    assert final == {
        MessageStatus.DELIVERED,
        MessageStatus.UNDELIVERED,
        MessageStatus.EXPIRED,
        MessageStatus.REJECTED,
        MessageStatus.CANCELED,
    }


def test_a_message_on_its_way_only_moves_to_a_higher_rank() -> None:
    way = ["scheduled", "queued", "sending", "unknown", "sent", "delivered"]
    ranks = [STATUS_RANK[MessageStatus(name)] for name in way]
    assert ranks == sorted(set(ranks))


def test_the_codings_are_the_octets_on_the_wire() -> None:
    assert [int(coding) for coding in Coding] == [0, 4, 8, 15]


@pytest.mark.parametrize("cls", [Segment, StatusReport, MoMessage, SubmitResult])
def test_records_on_the_message_path_cost_the_collector_nothing(cls: type) -> None:
    assert cls.__struct_config__.gc is False  # type: ignore[attr-defined]


def test_a_segment_is_one_part_that_wants_a_report_unless_told_otherwise() -> None:
    segment = Segment(to="13800001001", source="10690001", coding=8, content=b"")
    assert (segment.part, segment.total, segment.want_report, segment.udhi) == (1, 1, True, False)
    assert not gc.is_tracked(segment)


def test_two_events_never_share_their_details() -> None:
    first, second = Event("a", 1), Event("b", 2)
    first.data["x"] = 1
    assert second.data == {}
