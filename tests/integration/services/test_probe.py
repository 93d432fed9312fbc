"""Probes that go the whole way, to a simulated phone and back as a report."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor

from smsgw.services import probe
from smsgw.services.probe import Probe, ProbeSettings
from tests.support.gateways import InsideTown
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS


@reactor_test
async def test_a_probe_comes_back_or_is_counted_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "LOOK_SECONDS", 0.02)
    async with InsideTown(tmp_path) as town:
        town.carriers["smgp"].behaviour.stat = "UNDELIV"
        settings = ProbeSettings(to=NUMBERS["cmpp"], links=("mobile", "telecom"), every=0.1, wait=3)
        metrics, gateway = town.assembly.metrics, town.gateway
        probing = Probe(settings, gateway.submission, gateway.records.message, reactor, metrics)
        probing.start()
        await until(lambda: town.metric("smsgw_probes_total", link="mobile", result="ok"))
        await until(lambda: town.metric("smsgw_probes_total", link="telecom", result="failed"))
        await probing.stop()
        assert 0 < town.metric("smsgw_probe_round_trip_seconds", link="mobile") < 3
        assert town.metric("smsgw_probe_last_success_timestamp_seconds", link="mobile") > 1.7e9
        assert town.metric("smsgw_probe_last_success_timestamp_seconds", link="telecom") == 0
