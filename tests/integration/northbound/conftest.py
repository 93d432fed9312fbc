from __future__ import annotations

from tests.support.stores import schema_server, server

__all__ = ["schema_server", "server"]
