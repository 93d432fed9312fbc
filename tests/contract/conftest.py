from __future__ import annotations

from tests.support.stores import bare_place, bare_server, place, schema_server, server

__all__ = ["bare_place", "bare_server", "place", "schema_server", "server"]
