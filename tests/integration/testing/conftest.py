"""The plugin that is tested here; our own configuration keeps pytest from loading it."""

from __future__ import annotations

from smsgw.testing.plugin import smsgw_gateway, smsgw_simulation

__all__ = ["smsgw_gateway", "smsgw_simulation"]
