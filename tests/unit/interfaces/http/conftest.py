"""Every endpoint there is, in front of a gateway in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from smsgw.interfaces.http.app import make_app
from smsgw.interfaces.http.calls import Route
from smsgw.interfaces.metrics.registry import Metrics
from tests.support.front import FakeFront


class NoAccess:
    tokens: Any = None

    def admit(self, token: str, host: str) -> Any:
        raise AssertionError("nobody asks")


@pytest.fixture
def routes() -> Iterator[list[Route]]:
    front = FakeFront()
    yield make_app(front, NoAccess(), Metrics()).routes
    front.close()
