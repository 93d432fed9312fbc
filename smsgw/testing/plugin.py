"""The pytest plugin: the fixture ``smsgw_gateway``. pytest loads it always, so it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from smsgw.testing.simulation import SimulatedGateway, Simulation


@pytest.fixture(scope="session")
def smsgw_simulation() -> Iterator[Simulation]:
    """The process in which gateways run, one after the other."""
    from smsgw.testing.simulation import Simulation

    with Simulation() as simulation:
        yield simulation


@pytest.fixture
def smsgw_gateway(smsgw_simulation: Simulation) -> Iterator[SimulatedGateway]:
    """A gateway with nothing in it yet, between three fake carriers with phones."""
    with smsgw_simulation.gateway() as gateway:
        yield gateway
