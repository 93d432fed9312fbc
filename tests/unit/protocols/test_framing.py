"""Frames come out the same however the network cuts the stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import FrameError
from smsgw.protocols.framing import Framer
from tests.support.feeding import feed_three_ways

HEADER, LARGEST = 12, 64


def framer() -> Framer:
    return Framer(HEADER, LARGEST)


def frame(octets: int, fill: int = 0xAA) -> bytes:
    return octets.to_bytes(4, "big") + bytes([fill]) * (octets - 4)


frames_lists = st.lists(st.builds(frame, st.integers(HEADER, LARGEST), st.integers(0, 255)))


def test_frames_come_out_whole_in_three_ways_of_feeding() -> None:
    frames = [frame(12), frame(64), frame(13)]
    for trailing in (b"\0", b"\0\0\0", frame(20)[:19]):
        assert feed_three_ways(lambda: framer().split, b"".join(frames), trailing) == frames


@given(frames_lists, st.lists(st.integers(1, 40), max_size=60))
def test_any_chunking_gives_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)
    cutter = framer()
    out: list[bytes] = []
    for octets in cuts:
        out += cutter.split(stream[:octets])
        stream = stream[octets:]
        assert cutter.waiting_octets < LARGEST
    out += cutter.split(stream)
    assert out == frames
    assert cutter.waiting_octets == 0
    assert cutter.error is None


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_arbitrary_bytes_give_frames_or_one_frame_error(chunks: list[bytes]) -> None:
    cutter = framer()
    for chunk in chunks:
        try:
            for found in cutter.split(chunk):
                assert HEADER <= len(found) <= LARGEST
                assert int.from_bytes(found[:4], "big") == len(found)
        except FrameError:
            assert cutter.error is not None
            assert cutter.waiting_octets == 0


def test_feed_tells_where_the_frames_lie_without_copying_them() -> None:
    buffer, bounds = framer().feed(frame(12) + frame(20) + b"\0\0")
    assert bounds == [0, 12, 32]
    assert buffer[12:32] == frame(20)


@pytest.mark.parametrize("length", [0, 11, 65, 0xFFFFFFFF])
def test_a_length_that_cannot_be_is_noticed_as_soon_as_its_octets_are_here(length: int) -> None:
    cutter = framer()
    with pytest.raises(FrameError, match=f"total length {length}, limit 12 to 64"):
        cutter.split(length.to_bytes(4, "big"))


def test_frames_before_a_bad_length_are_still_handed_over_and_later_octets_ignored() -> None:
    cutter = framer()
    assert cutter.split(frame(12) + b"GET / HTTP") == [frame(12)]
    assert cutter.error is not None
    assert "'GET '" in str(cutter.error)
    with pytest.raises(FrameError):
        cutter.split(frame(12))
    assert cutter.feed(frame(12)) == (b"", [0])
