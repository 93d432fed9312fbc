"""For the tests of programs that use a gateway: a real one, with fake carriers and phones.

    def test_the_director_can_say_no(smsgw_gateway):
        phone = smsgw_gateway.phone("13800001001")
        ask_the_director(smsgw_gateway.url, smsgw_gateway.token)
        phone.wait_for("待审批")
        phone.reply("不同意 预算不够")

The pytest plugin with that fixture comes with smsgw and loads nothing before a test asks for it.
Without pytest: :class:`Simulation`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smsgw.testing.simulation import Phone, Received, SimulatedGateway, Simulation

__all__ = ["Phone", "Received", "SimulatedGateway", "Simulation"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'smsgw.testing' has no attribute {name!r}")
    return getattr(import_module("smsgw.testing.simulation"), name)
