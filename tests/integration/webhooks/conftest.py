from __future__ import annotations

from tests.support.stores import place, schema_server, server

__all__ = ["place", "schema_server", "server"]
