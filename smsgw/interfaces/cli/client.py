"""The command line's client of the HTTP API: blocking, standard library only."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import IO, Any, TypeVar
from urllib.parse import urlencode

import click

DEFAULT_URL = "http://127.0.0.1:8080"
ANSWER_SECONDS = 30.0

Json = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])

_INVALID_STATUSES = frozenset({400, 413, 422})


class Failed(click.ClickException):
    """Ends the command with a line for each problem on standard error, and its exit code.

    Attributes:
        status: The HTTP status that the gateway answered with, or 0.
        retry_after: In how many seconds it said to try again, or None.
        errors: What it said of single fields.
    """

    exit_code = 1
    status = 0
    retry_after: float | None = None
    errors: Sequence[Json] = ()

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"smsgw: {line}", file=file, err=file is None)


class Invalid(Failed):
    """The gateway cannot accept what was asked as it is written."""

    exit_code = 2


class Unreachable(Failed):
    """No gateway answers."""

    exit_code = 3


class TimedOut(Failed):
    """What was waited for has not happened yet."""

    exit_code = 4


class Api:
    """A gateway's HTTP API.

    Args:
        url: Where it listens, without path.
        token: Bearer token, or "".
        timeout: Seconds to wait for one answer.
    """

    def __init__(self, url: str, token: str = "", timeout: float = ANSWER_SECONDS) -> None:
        if not url.startswith(("http://", "https://")):
            raise Invalid(f"--url {url}: write http://HOST:PORT or https://HOST:PORT")
        if not token.isascii() or not token.isprintable():
            raise Invalid("--token: has other characters than visible ASCII")
        self._token = token
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout
        # No proxy: the gateway is ours, and its messages are nobody else's.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def patient(self, seconds: float) -> Api:
        """Return the same API, waited for so long."""
        return Api(self._url, self._token, seconds)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._url

    def get(self, path: str, parameters: Mapping[str, object] | None = None) -> Json:
        """Return what is at a path; parameters that are None are left out."""
        given = {key: value for key, value in (parameters or {}).items() if value is not None}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path, None)

    def post(
        self,
        path: str,
        body: Json,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
    ) -> Json:
        """Ask for something new and return the answer.

        Args:
            path: Where.
            body: What.
            headers: Besides the usual ones.
            seconds: How long the answer may take; None for the usual time.
        """
        return self._call("POST", path, json.dumps(body).encode(), headers or {}, seconds)

    def look(self, path: str) -> tuple[int, str]:
        """Return the status and the text that are at a path, whatever the status is."""
        request = urllib.request.Request(self._url + path, headers=self._headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, response.read().decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        why = getattr(error, "reason", None) or error
        return Unreachable(f"the gateway at {self._url} cannot be reached: {why}")

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None,
        more: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> Json:
        headers = self._headers | ({"Content-Type": "application/json"} if body else {})
        headers |= more or {}
        request = urllib.request.Request(self._url + path, body, headers, method=method)
        try:
            with self._opener.open(request, timeout=seconds or self._timeout) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                refused = self._refused(error.code, error.read())
                refused.status = error.code
                refused.retry_after = _seconds(error.headers.get("Retry-After"))
                raise refused from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None
        except ValueError:
            raise Failed(f"what answers at {self._url} is not smsgw: it sent no JSON") from None
        if not isinstance(answer, dict):
            raise Failed(f"what answers at {self._url} is not smsgw: it sent no object")
        return answer

    def _refused(self, status: int, body: bytes) -> Failed:
        unknown = not self._token or b"is not known" in body  # else it says more than we could
        if status != HTTPStatus.UNAUTHORIZED or not unknown:
            return _refused(status, body)
        if self._token:
            return Failed("the gateway does not know this token; see smsgw token list")
        return Failed(
            "no token; give --token or SMSGW_TOKEN: one of the configuration's [tokens], "
            "or one that smsgw token create made"
        )


def api_options(command: F) -> F:
    """Decorate a command with ``--url``, ``--token``, ``--json``: it gets api and as_json."""

    @click.option(
        "--url", envvar="SMSGW_URL", default=DEFAULT_URL, show_default=True, help="The gateway."
    )
    @click.option("--token", envvar="SMSGW_TOKEN", default="", help="Bearer token (SMSGW_TOKEN).")
    @click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    @wraps(command)
    def with_api(*args: Any, url: str, token: str, **kwargs: Any) -> Any:
        return command(*args, api=Api(url, token), **kwargs)

    return with_api  # type: ignore[return-value]


def _refused(status: int, body: bytes) -> Failed:
    """What the gateway's problem means for the command."""
    kind = Invalid if status in _INVALID_STATUSES else Failed
    errors: list[Json] = []
    try:
        problem = json.loads(body)
        errors = problem.get("errors", [])
        lines = [_line(one) for one in errors] or [str(problem["detail"])]
    except (ValueError, KeyError, TypeError, AttributeError):
        errors, lines = [], [f"the gateway answered with status {status}"]
    refused = kind("\n".join(lines))
    refused.errors = errors
    return refused


def _seconds(written: str | None) -> float | None:
    return float(written) if written and written.isascii() and written.isdigit() else None


def _line(error: Json) -> str:
    return f"{error['field']}: {error['problem']}" if error["field"] else str(error["problem"])
