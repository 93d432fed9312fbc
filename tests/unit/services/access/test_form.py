from __future__ import annotations

import re

from smsgw.services.access import form


def test_a_token_is_one_word_that_scanners_can_find() -> None:
    token = form.new_token()
    assert re.fullmatch("sgw_[0-9A-Za-z]{49}", token)
    assert form.is_whole(token)
    assert form.is_ours(token)
    assert token != form.new_token()


def test_the_checksum_is_crc_32_in_base_62() -> None:
    # By hand: crc32(b"sgw_" + b"0" * 43) is 611810963, in base 62 with the digits 0-9A-Za-z 0fP5yl
    assert form.is_whole("sgw_" + "0" * 43 + "0fP5yl")


def test_one_wrong_character_anywhere_is_told() -> None:
    token = form.new_token()
    for place in range(4, len(token)):
        other = "x" if token[place] != "x" else "y"
        assert not form.is_whole(token[:place] + other + token[place + 1 :])
    assert not form.is_whole(token[:-1])
    assert not form.is_whole(token + "a")
    assert not form.is_whole(token + "\n")
    assert not form.is_whole("sgw_" + "\uff10" * 49)


def test_octets_that_are_no_text_have_a_digest_too() -> None:
    assert len(form.digest_of("\udcff")) == 32
