from __future__ import annotations

import sys

import pytest

from smsgw.interfaces.cli.show import show_json, show_table


def test_on_a_terminal_a_table_is_drawn_and_texts_are_no_markup(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show_table(["id", "text"], [[1, "[red]同意"], [2, None]], "messages")
    drawn = capsys.readouterr().out
    assert "[red]同意" in drawn
    assert "messages" in drawn
    assert "┃" in drawn


def test_elsewhere_each_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["id", "text"], [[1, "two\nlines\tand a tab"], [2, None]], "messages")
    assert capsys.readouterr().out == "id\ttext\n1\ttwo lines and a tab\n2\t\n"


def test_json_keeps_chinese_readable(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"text": "同意"})
    assert capsys.readouterr().out == '{\n  "text": "同意"\n}\n'
