"""A real gateway for the client's tests: that of :mod:`smsgw.testing`, whose plugin is off here."""

from __future__ import annotations

from smsgw.testing.plugin import smsgw_gateway, smsgw_simulation

__all__ = ["smsgw_gateway", "smsgw_simulation"]
