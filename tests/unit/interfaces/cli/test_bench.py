"""``smsgw bench``: figures of this machine, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from smsgw.interfaces.cli.main import main


def test_it_measures_codec_texts_and_disk(tmp_path: Path) -> None:
    asked = ["bench", "--folder", str(tmp_path), "--seconds", "0.01"]
    result = CliRunner().invoke(main, [*asked, "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    rates = ("encode_per_second", "decode_per_second", "split_per_second")
    assert all(found[name] > 100 for name in rates)
    assert 0 < found["durable_seconds"] <= found["durable_worst_seconds"]
    assert list(tmp_path.iterdir()) == []
    lines = CliRunner().invoke(main, asked).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        "what",
        "python",
        "PDUs encoded",
        "PDUs decoded",
        "long texts split",
        "durable",
    ]


def test_a_folder_that_is_not_there_is_said_in_one_line() -> None:
    result = CliRunner().invoke(main, ["bench", "--folder", "/nowhere"])
    assert result.exit_code == 2
    assert "'/nowhere' does not exist" in result.stderr
