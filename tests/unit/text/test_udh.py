"""User data headers: built, parsed, and not believed when they lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.errors import EncodeError
from smsgw.text.udh import (
    Concatenation,
    Element,
    Udh,
    build_concatenation,
    build_header,
    split_header,
)

CONCATENATIONS = st.sampled_from([8, 16]).flatmap(
    lambda width: st.integers(1, 255).flatmap(
        lambda total: st.builds(
            Concatenation,
            st.integers(0, (1 << width) - 1),
            st.just(width),
            st.just(total),
            st.integers(1, total),
        )
    )
)


@pytest.mark.parametrize(
    ("concatenation", "octets"),
    [
        (Concatenation(0x66, 8, 2, 1), "050003660201"),
        (Concatenation(0x1234, 16, 3, 3), "06080412340303"),
        (Concatenation(0, 8, 255, 255), "05000300ffff"),
    ],
)
def test_a_concatenation_header_has_the_octets_of_the_sheet(
    concatenation: Concatenation, octets: str
) -> None:
    header = bytes.fromhex(octets)
    assert build_concatenation(concatenation) == header
    udh, body, problem = split_header(header + b"text")
    assert udh is not None
    assert (udh.concatenation, udh.others, body, problem) == (concatenation, (), b"text", "")


@pytest.mark.parametrize(
    ("concatenation", "problem"),
    [
        (Concatenation(1, 12, 2, 1), "udh.width: 12 bits, limit 8 or 16 bits"),
        (Concatenation(256, 8, 2, 1), "udh.reference: 256, limit 255"),
        (Concatenation(-1, 16, 2, 1), "udh.reference: -1, limit 65535"),
        (Concatenation(1, 8, 0, 1), "udh.total: 0, limit 1-255"),
        (Concatenation(1, 8, 256, 1), "udh.total: 256, limit 1-255"),
        (Concatenation(1, 8, 2, 3), "udh.sequence: 3, limit 1-2"),
        (Concatenation(1, 8, 2, 0), "udh.sequence: 0, limit 1-2"),
    ],
)
def test_impossible_numbers_are_not_built(concatenation: Concatenation, problem: str) -> None:
    with pytest.raises(EncodeError, match=problem):
        build_concatenation(concatenation)


def test_other_elements_are_kept_and_the_concatenation_is_found_among_them() -> None:
    content = bytes.fromhex("0b050423f000000003660201") + b"body"
    udh, body, problem = split_header(content)
    assert udh is not None
    assert udh.concatenation == Concatenation(0x66, 8, 2, 1)
    assert udh.others == (Element(0x05, bytes.fromhex("23f00000")),)
    assert (body, problem) == (b"body", "")


def test_a_sim_toolkit_element_without_data_is_a_header() -> None:
    udh, body, problem = split_header(bytes.fromhex("027000") + b"x")
    assert udh == Udh((Element(0x70, b""),), None)
    assert (body, problem) == (b"x", "")


def test_an_empty_header_is_removed() -> None:
    assert split_header(b"\x00text") == (Udh(), b"text", "")


def test_the_last_form_wins_when_both_are_present() -> None:
    first, second = Element(0x00, b"\x01\x02\x01"), Element(0x08, b"\x12\x34\x03\x02")
    for order, concatenation in (
        ((first, second), Concatenation(0x1234, 16, 3, 2)),
        ((second, first), Concatenation(1, 8, 2, 1)),
    ):
        udh, _, problem = split_header(build_header(order))
        assert udh is not None
        assert udh.concatenation == concatenation
        assert problem == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "header announced, content empty"),
        ("05", "UDHL 5 runs past the content of 1 octets"),
        ("0500036602", "UDHL 5 runs past the content of 5 octets"),
        ("0500046602014141", "an element runs past UDHL 5"),
        ("0600036602010041", "an element runs past UDHL 6"),
        ("0100414141", "an element runs past UDHL 1"),
    ],
)
def test_a_header_whose_lengths_lie_is_text(content: str, problem: str) -> None:
    octets = bytes.fromhex(content)
    assert split_header(octets) == (None, octets, problem)


@pytest.mark.parametrize(
    "element",
    [
        "0003660001",  # total 0
        "0003660200",  # sequence 0
        "0003660203",  # sequence above total
        "000412340201",  # wrong length for its form
        "0803120201",
        "0000",
    ],
)
def test_an_impossible_concatenation_is_ignored_and_the_header_still_removed(element: str) -> None:
    octets = bytes.fromhex(element)
    udh, body, problem = split_header(bytes((len(octets),)) + octets + b"body")
    assert udh is not None
    assert udh.concatenation is None
    assert len(udh.elements) == 1
    assert body == b"body"
    assert problem == f"concatenation element {octets[0]:02x} {octets[2:].hex()} ignored"


def test_a_valid_form_stands_when_the_later_one_is_impossible() -> None:
    udh, _, problem = split_header(
        build_header([Element(0x00, b"\x01\x02\x01"), Element(0x08, b"\x12\x34\x03\x00")])
    )
    assert udh is not None
    assert udh.concatenation == Concatenation(1, 8, 2, 1)
    assert problem


@pytest.mark.parametrize(
    "elements", [[Element(0x70, bytes(256))], [Element(0x70, bytes(200)), Element(0x71, bytes(52))]]
)
def test_a_header_over_255_octets_is_not_built(elements: list[Element]) -> None:
    with pytest.raises(EncodeError, match="limit 255 octets"):
        build_header(elements)


@given(CONCATENATIONS, st.binary(max_size=140))
def test_what_is_built_is_read_back(concatenation: Concatenation, text: bytes) -> None:
    udh, body, problem = split_header(build_concatenation(concatenation) + text)
    assert udh is not None
    assert (udh.concatenation, body, problem) == (concatenation, text, "")


@given(st.lists(st.builds(Element, st.integers(0, 255), st.binary(max_size=20)), max_size=5))
def test_any_elements_come_back_as_they_were(elements: list[Element]) -> None:
    udh, body, _ = split_header(build_header(elements) + b"rest")
    assert udh is not None
    assert udh.elements == tuple(elements)
    assert body == b"rest"


@given(st.binary(max_size=160) | st.binary(max_size=12))
def test_no_octets_make_parsing_raise_or_lose_text(content: bytes) -> None:
    udh, body, problem = split_header(content)
    if udh is None:
        assert body == content
        assert problem
    else:
        assert content.endswith(body)
        assert len(body) == len(content) - 1 - content[0]
