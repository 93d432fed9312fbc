from __future__ import annotations

from openapi_spec_validator import OpenAPIV31SpecValidator

from smsgw.interfaces.http import contract, openapi
from smsgw.interfaces.http.calls import Route


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
