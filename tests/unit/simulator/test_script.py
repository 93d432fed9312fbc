from __future__ import annotations

from smsgw.simulator.script import Reply, always, in_turn, silent


def test_silent_never_answers() -> None:
    assert silent("10690001001", "请答复") == ()


def test_always_answers_every_message_with_the_same_texts() -> None:
    script = always("好的", "1", after=0.5)
    for _ in range(3):
        assert script("10690001001", "请答复") == [Reply("好的", 0.5), Reply("1", 0.5)]


def test_in_turn_answers_each_message_with_the_next_text_and_then_no_more() -> None:
    script = in_turn("好的", "1", after=0.0)
    answers = [[one.text for one in script("10690001001", "请答复")] for _ in range(4)]
    assert answers == [["好的"], ["1"], [], []]


def test_a_reply_goes_to_who_wrote_unless_it_says_otherwise() -> None:
    assert Reply("同意").to == ""
