from __future__ import annotations

from tests.support.access import door

__all__ = ["door"]
