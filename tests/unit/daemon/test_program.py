from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor

from smsgw.daemon import program
from smsgw.daemon.assembly import Assembly
from smsgw.daemon.program import Program
from smsgw.errors import ConfigError
from tests.support.gateways import one_link


def test_it_loads_a_configuration_and_wires_a_gateway_without_starting_it(tmp_path: Path) -> None:
    path = tmp_path / "smsgw.toml"
    path.write_text(one_link("cmpp", 7890))
    config = Program().load(path)
    assert isinstance(Program().make_gateway(config, reactor), Assembly)
    assert list(tmp_path.iterdir()) == [path]
    path.write_text("")
    with pytest.raises(ConfigError):
        Program().load(path)


def test_the_console_script_is_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["smsgw", "--version"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("smsgw, version ")
