"""A minute of the soak bench: constant faults on four links, and the account comes out even."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from tests.support.reactor import reactor_test

BENCH = Path(__file__).parents[2] / "benches" / "soak.py"


@pytest.mark.long
@reactor_test(seconds=480)
async def test_every_submit_has_one_outcome_memory_is_flat_and_nothing_is_left(tmp_path):
    arguments = [BENCH, "--minutes", 1, "--rate", 100, "--folder", tmp_path]
    out, err, code = await getProcessOutputAndValue(
        sys.executable, [str(one) for one in arguments], env=os.environ, reactor=reactor
    )
    said = out.decode()
    assert code == 0, said + err.decode()
    assert said.endswith("nothing is wrong\n")
    assert "Traceback" not in err.decode()
