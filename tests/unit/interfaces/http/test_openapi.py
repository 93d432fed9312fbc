from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from smsgw.interfaces.http import contract, openapi
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
    yield make_app(front, NoAccess(), Metrics()).api.routes
    front.close()


def test_the_document_is_valid_openapi(routes: list[Route]) -> None:
    made = openapi.document(routes)
    assert made["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(made).validate()


def test_it_has_every_endpoint_and_no_other(routes: list[Route]) -> None:
    assert {(one.method, one.path) for one in routes} == set(contract.OPERATIONS)
    made = openapi.document(routes)["paths"]
    assert sum(len(one) for one in made.values()) == len(routes)
    names = [one["operationId"] for path in made.values() for one in path.values()]
    assert len(set(names)) == len(names)


def test_it_says_what_a_body_may_hold(routes: list[Route]) -> None:
    made = openapi.document(routes)
    body = made["paths"]["/v1/messages"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"]["anyOf"][1] == {"$ref": "#/components/schemas/BatchBody"}
    fields = made["components"]["schemas"]["MessageBody"]["properties"]
    assert fields["ref"] == {"type": "string", "maxLength": 128, "default": ""}
