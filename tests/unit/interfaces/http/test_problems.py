from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import BadRequest

from smsgw.errors import NotFound, StoreError, ValidationError
from smsgw.interfaces.http.problems import Problem, problem_of


def answered(error: Exception) -> tuple[Problem, list[dict[str, Any]]]:
    logged: list[dict[str, Any]] = []
    return problem_of(Failure(error), Logger(observer=logged.append)), logged


def test_a_field_at_fault_is_named_beside_the_sentence() -> None:
    problem, logged = answered(ValidationError("to", "'12' is not a number"))
    assert json.loads(problem.body()) == {
        "type": "urn:smsgw:problem:invalid",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "to: '12' is not a number",
        "errors": [{"field": "to", "problem": "'12' is not a number"}],
    }
    assert logged == []


@pytest.mark.parametrize("error", [NotFound("no message 7"), BadRequest()])
def test_what_the_customer_can_mend_is_not_logged(error: Exception) -> None:
    problem, logged = answered(error)
    assert (problem.status, logged) == (404, [])


def test_what_is_wrong_inside_is_logged_under_the_id_in_the_answer() -> None:
    problem, (event,) = answered(RuntimeError("/etc/passwd"))
    assert problem.status == 500
    assert event["problem_id"] in problem.detail
    assert b"passwd" not in problem.body()


def test_a_database_that_is_away_is_one_line_of_the_log_without_traceback() -> None:
    problem, (event,) = answered(StoreError("the database is away: Connection refused"))
    assert problem.status == 503
    assert event["problem_id"] in problem.detail
    assert event["why"] == "the database is away: Connection refused"
    assert "log_failure" not in event
