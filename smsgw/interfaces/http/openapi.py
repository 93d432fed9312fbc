"""``/openapi.json``: the API as OpenAPI 3.1, made of the types that validate and of the routes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

import smsgw
from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.http.contract import OPERATIONS, PARAMETERS, TEXT, Operation, Schema
from smsgw.interfaces.http.problems import CONTENT_TYPE, FieldProblem

REFERENCE = "#/components/schemas/{name}"
JSON = "application/json"

PROBLEM: Schema = {
    "type": "object",
    "description": "What is wrong (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "errors": {"type": "array", "items": {"$ref": REFERENCE.format(name="FieldProblem")}},
    },
}

ETAG = r'^(\*|"[!#-~]*")$'
ETAG_ASKED = "An ETag: when it is still that, the answer is 304 without a body."
ETAG_EXPECTED = "An ETag: it is done only while that is what is there, and 412 otherwise."

REFUSALS = (400, 401, 403, 422, 429, 503)
POST_REFUSALS = (409, 413, 415)


def route(routes: Sequence[Route]) -> Route:
    """Return the endpoint that shows the API of ``routes``, and of itself."""
    made: bytes = b""

    async def shown(call: Call) -> Reply:
        nonlocal made
        call.parameters()
        made = made or msgspec.json.encode(document([*routes, own]))
        return Reply(made)

    own = Route("GET", "/openapi.json", shown, open=True)
    return own


def document(routes: Sequence[Route]) -> Schema:
    """Return the API of ``routes``."""
    paths: dict[str, Schema] = {}
    types: list[Any] = [FieldProblem]
    for one in routes:
        operation = OPERATIONS[one.method, one.path]
        types += [*operation.body, *operation.answers]
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
    for one in routes:
        operation = OPERATIONS[one.method, one.path]
        path = one.path.replace("<id>", "{id}")
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, operation, by_type)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"]).partition("\n\n")[0]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "smsgw",
            "version": smsgw.__version__,
            "description": "An SMS gateway: messages, requests to people, and their replies.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "responses": {"Problem": _problem_response()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Route, operation: Operation, by_type: Mapping[type, Schema]) -> Schema:
    words = [word.strip("<>") for word in one.path.strip("/").split("/") if word != "v1"]
    made: Schema = {
        "operationId": "_".join([one.method.lower(), *words]).replace("-", "_").replace(".", "_"),
        "summary": operation.summary,
        "tags": [words[0]],
        "parameters": _parameters(one, operation),
        "responses": _responses(one, operation, by_type),
    }
    if one.open:
        made["security"] = []
    else:
        made["description"] = f"Needs the scope `{one.scope}`."
    if operation.body:
        made["requestBody"] = {
            "required": not operation.optional,
            "content": {JSON: {"schema": _any_of(operation.body, by_type)}},
        }
    return made


def _parameters(one: Route, operation: Operation) -> list[Schema]:
    made: list[Schema] = []
    if "<id>" in one.path:
        made.append({"name": "id", "in": "path", "required": True, "schema": TEXT})
    for name in operation.query:
        required = one.path == "/v1/routes/explain" and name == "to"
        schema = PARAMETERS[name]
        made.append({"name": name, "in": "query", "required": required, "schema": schema})
    if not one.open:
        about = "The department it is about; the token's own unless given."
        made.append({"name": "account", "in": "query", "description": about, "schema": TEXT})
    if one.versioned:
        name = "If-None-Match" if one.method == "GET" else "If-Match"
        about = ETAG_ASKED if one.method == "GET" else ETAG_EXPECTED
        tag = {"type": "string", "pattern": ETAG}
        made.append({"name": name, "in": "header", "description": about, "schema": tag})
    if one.method == "POST":
        key = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}
        about = "The same request again with this is answered as it was, and not done again."
        made.append(
            {"name": "Idempotency-Key", "in": "header", "description": about, "schema": key}
        )
    return made


def _responses(one: Route, operation: Operation, by_type: Mapping[type, Schema]) -> Schema:
    schema: Schema = {"type": "object"}
    if isinstance(operation.answer, str):
        schema = _page(operation.answer)
    elif operation.answers:
        schema = _any_of(operation.answers, by_type)
    good = {
        "description": HTTPStatus(operation.status).phrase,
        "content": {JSON: {"schema": schema}},
    }
    if one.versioned and one.path.endswith("<id>"):
        good["headers"] = {"ETag": {"description": "Its version.", "schema": TEXT}}
    if one.path == "/metrics":
        good["content"] = {"text/plain": {"schema": TEXT}}
    made: Schema = {str(operation.status): good}
    if one.path == "/readyz":
        made["503"] = {**good, "description": "Not ready"}
    refusals = {400} if one.open else set(REFUSALS)
    if one.versioned and one.method == "GET":
        made["304"] = {"description": "It is as If-None-Match says"}
    elif one.versioned:
        refusals.add(412)
    if one.method == "POST":
        refusals.update(POST_REFUSALS)
    if "<id>" in one.path:
        refusals.add(404)
    for status in sorted(refusals):
        made.setdefault(str(status), {"$ref": "#/components/responses/Problem"})
    return made


def _any_of(types: Sequence[type], by_type: Mapping[type, Schema]) -> Schema:
    schemas = [by_type[one] for one in types]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _page(name: str) -> Schema:
    return {
        "type": "object",
        "required": [name, "next"],
        "properties": {
            name: {"type": "array", "items": {"type": "object"}},
            "next": {"type": ["string", "null"]},
        },
    }


def _problem_response() -> Schema:
    return {
        "description": "Why it was not done",
        "content": {CONTENT_TYPE: {"schema": {"$ref": REFERENCE.format(name="Problem")}}},
    }
