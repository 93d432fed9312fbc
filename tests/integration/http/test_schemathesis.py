"""The API called with what its own OpenAPI document allows, and with what it does not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks
from twisted.internet.threads import deferToThread

from tests.support.api import TOKEN, ApiServer
from tests.support.reactor import reactor_test

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
SOME = ("/v1/messages", "/v1/events", "/v1/ported")
"""What the quick test calls: making up values takes longest."""

TAKES_NOTHING = {"/healthz", "/readyz", "/metrics", "/openapi.json"}


def called(
    url: str, document: dict[str, Any], examples: int, places: tuple[str, ...]
) -> Counter[str]:
    """Call every endpoint so many times with good values and with bad ones; count the answers."""
    schema = schemathesis.openapi.from_dict(document)
    answers: Counter[str] = Counter()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    limits = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def call(case: schemathesis.Case) -> None:
        if case.query and "wait" in case.query:
            del case.query["wait"]  # it would
        answer = case.call_and_validate(base_url=url, headers=headers, checks=CHECKS)
        answers[f"{answer.status_code // 100}xx"] += 1

    for found in schema.get_all_operations():
        operation = found.ok()
        if not operation.path.startswith(places):
            continue
        for mode in GenerationMode:
            if mode is GenerationMode.NEGATIVE and operation.path in TAKES_NOTHING:
                continue
            limits(given(case=operation.as_strategy(generation_mode=mode))(call))()
    return answers


async def run(examples: int, places: tuple[str, ...]) -> Counter[str]:
    async with ApiServer() as api:
        api.site.api._check_open = lambda: None  # POST /v1/drain must not end the others
        document = json.loads((await api.get("/openapi.json", token=None)).content)
        return await deferToThread(called, api.url, document, examples, places)


@reactor_test(seconds=240)
async def test_every_answer_is_one_that_the_document_has() -> None:
    answers = await run(3, SOME)
    assert answers["2xx"] > 3


@pytest.mark.long
@reactor_test(seconds=1200)
async def test_every_answer_is_one_that_the_document_has_at_length() -> None:
    answers = await run(100, ("/",))
    print(f"{sum(answers.values()) * len(CHECKS)} checks: {dict(answers)}")
    assert answers["2xx"] > 500
