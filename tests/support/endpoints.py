"""The endpoints of the HTTP API called as functions, without klein and without a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.http.problems import problem_of
from tests.support.memory import result_of


class Endpoints:
    """Calls what a path leads to, as an account."""

    def __init__(self, routes: Sequence[Route], account: str) -> None:
        self.account = account
        self._routes = [
            (route.method, re.compile(route.path.replace("<id>", "(?P<id>[^/]+)")), route)
            for route in routes
        ]

    def call(
        self, method: str, path: str, body: Any = None, *, account: str = "", **query: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, content and headers."""
        found = ((route, p.fullmatch(path)) for known, p, route in self._routes if known == method)
        route, place = next((route, place) for route, place in found if place)
        octets = b"" if body is None else json.dumps(body).encode()
        given = {name: [value] for name, value in query.items()}
        call = Call(account or self.account, place.groupdict(), given, octets)
        try:
            reply: Reply = result_of(Deferred.fromCoroutine(route.endpoint(call)))  # type: ignore[arg-type]
        except Exception:
            problem = problem_of(Failure(), Logger())
            return problem.status, json.loads(bytes(problem.body())), {}
        return int(reply.status), json.loads(reply.body()), reply.headers

    def get(self, path: str, **query: str) -> Any:
        """Return what is there."""
        status, content, _ = self.call("GET", path, **query)
        assert status == 200, content
        return content

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """Return the content of an answer that is no refusal."""
        status, content, _ = self.call("POST", path, body, **options)
        assert status < 300, content
        return content

    def refused(self, path: str, body: Any = None, **options: Any) -> tuple[int, str, str]:
        """Return status, first field at fault ("" for none) and problem of a refused call."""
        status, content, _ = self.call("POST", path, body, **options)
        assert status >= 400, content
        first = content.get("errors", [{"field": "", "problem": content["detail"]}])[0]
        return status, first["field"], first["problem"]
