"""What every call has in common, without I/O: the request, its answer, and when it is tried again.

A call is a generator of :class:`httpx.Request` (send it) and :class:`Pause` (wait), and a list or a
stream one that yields :class:`Found` besides. ``smsgw.client.blocking`` and
``smsgw.client.asynchronous`` do what they say, and nothing else.
"""

from __future__ import annotations

import inspect
import os
import random
import ssl
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import update_wrapper
from http import HTTPStatus
from typing import Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx
import msgspec

import smsgw
from smsgw.client.errors import ApiError, FieldProblem, Unreachable

DEFAULT_URL = "http://127.0.0.1:8080"
PAGE_ROWS = 100

TRIES_AGAIN = 5
FIRST_PAUSE = 0.25
"""Seconds before the second try; they double with each further one."""

LONGEST_PAUSE = 30.0
"""Seconds that a ``Retry-After`` may say to be waited for; a longer one is the caller's to wait."""

TRIED_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """One item of a list or a stream."""

    item: T


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The end of a call, and what it returns."""

    value: T


Step: TypeAlias = httpx.Request | Pause
Work: TypeAlias = Generator[Step, httpx.Response, T]
Stream: TypeAlias = Generator[Step | Found[T], httpx.Response, None]
Outcome: TypeAlias = httpx.Response | httpx.TransportError | None

S = TypeVar("S")


def advance(work: Generator[S, httpx.Response, T], outcome: Outcome) -> S | Done[T]:
    """Go on with a call, given what became of its last step; None for a step without an answer."""
    try:
        if outcome is None:
            return next(work)
        if isinstance(outcome, Exception):
            return work.throw(outcome)
        return work.send(outcome)
    except StopIteration as end:
        return Done(end.value)


class Core:
    """Makes requests for one gateway and reads its answers.

    Args:
        url: Where it listens; None is ``SMSGW_URL``, or this machine.
        token: Its bearer token; None is ``SMSGW_TOKEN``.
        timeout: Seconds to wait for one answer.
        clock: Seconds from any start, that nobody sets.
        chance: A number from 0 up to 1.
        account: The department that all calls are about; None for the token's own.

    Raises:
        ValueError: There is no token, or url or token cannot be used.
    """

    def __init__(
        self,
        url: str | None,
        token: str | None,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        account: str | None = None,
    ) -> None:
        self.url = _checked_url(url or os.environ.get("SMSGW_URL") or DEFAULT_URL)
        token = _checked_token(token or os.environ.get("SMSGW_TOKEN") or "")
        self.clock = clock
        self._chance = chance
        self._headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": f"smsgw/{smsgw.__version__}",
            "Accept-Encoding": "gzip",
        }
        self._timeout = timeout
        self._always = {} if account is None else {"account": account}

    # ---- calls ---------------------------------------------------------------------------

    def get(
        self,
        path: str,
        type_: type[T],
        parameters: Mapping[str, str | None] | None = None,
        *,
        wait: float = 0.0,
    ) -> Work[T]:
        """Read what is at a path.

        Args:
            path: Where.
            type_: What comes back.
            parameters: Of the query; those that are None are left out.
            wait: Seconds that the gateway takes besides, where it was asked to wait.
        """
        given = {key: value for key, value in (parameters or {}).items() if value is not None}
        request = self._request("GET", path, self._headers, params=given, wait=wait)
        return self._answer((yield from self._exchange(request)), type_)

    def post(
        self, path: str, type_: type[T], body: object = None, key: str | None = None
    ) -> Work[T]:
        """Ask for something new.

        Args:
            path: Where.
            type_: What comes back.
            body: What is made JSON; of an object those members that are not None.
            key: The caller's own idempotency key; one is made unless given.
        """
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex
            if key is None
            else _visible("idempotency_key", key),
        }
        if isinstance(body, Mapping):
            body = {name: value for name, value in body.items() if value is not None}
        request = self._request("POST", path, headers, content=msgspec.json.encode(body or {}))
        return self._answer((yield from self._exchange(request)), type_)

    def pages(
        self,
        path: str,
        name: str,
        type_: type[T],
        parameters: Mapping[str, str | None] | None = None,
    ) -> Stream[T]:
        """Read a list to its end, page by page, each when its first item is wanted."""
        rows: msgspec.json.Decoder[list[T]] = msgspec.json.Decoder(list[type_])  # type: ignore[valid-type]
        cursor: str | None = None
        while True:
            asked = {**(parameters or {}), "limit": str(PAGE_ROWS), "cursor": cursor}
            page = yield from self.get(path, dict[str, msgspec.Raw], asked)
            for row in rows.decode(page[name]):
                yield Found(row)
            cursor = msgspec.json.decode(page["next"], type=str | None)
            if cursor is None:
                return

    # ---- one exchange --------------------------------------------------------------------

    def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        wait: float = 0.0,
    ) -> httpx.Request:
        timeout = httpx.Timeout(self._timeout, read=self._timeout + wait)
        return httpx.Request(
            method,
            self.url + path,
            headers=headers,
            params={**self._always, **(params or {})} or None,
            content=content,
            extensions={"timeout": timeout.as_dict()},
        )

    def _exchange(self, request: httpx.Request) -> Work[httpx.Response]:
        """Send until there is an answer that stays.

        The key in a POST's headers keeps what is sent again from being done again.
        """
        tries = 0
        while True:
            wait: float | None = None
            try:
                response = yield request
            except httpx.TransportError as error:
                if tries == TRIES_AGAIN:
                    why = str(error) or type(error).__name__
                    problem = f"the gateway at {self.url} cannot be reached: {why}"
                    raise Unreachable(problem) from error
            else:
                wait = _retry_after(response)
                if tries == TRIES_AGAIN or not _passes(response.status_code, wait):
                    return response
            # All those who were turned away together come back one by one.
            spread = FIRST_PAUSE * 2**tries
            yield Pause((spread / 2 if wait is None else wait) + spread / 2 * self._chance())
            tries += 1

    def _answer(self, response: httpx.Response, type_: type[T]) -> T:
        if not response.is_success:
            raise _refused(response, self.url)
        try:
            return msgspec.json.decode(response.content, type=type_)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = f"what answers at {self.url} is not a gateway that this client knows: {error}"
            raise ApiError(response.status_code, "", problem) from error


def describe(method: Callable[..., object], call: Callable[..., object], many: str = "") -> None:
    """Make a method look as people use it: what the call says, without what the client gives it.

    Args:
        method: A client's.
        call: What it does.
        many: How a list or a stream comes, such as ``Iterator``.
    """
    _, *parameters = inspect.signature(call).parameters.values()
    item = call.__annotations__["return"].partition("[")[2].removesuffix("]")
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    shown = inspect.Signature(
        [own, *parameters], return_annotation=f"{many}[{item}]" if many else item
    )
    update_wrapper(method, call)
    vars(method)["__signature__"] = shown
    del vars(method)["__wrapped__"]  # whoever looks there sees the call again


def trusted_by(url: str) -> ssl.SSLContext:
    """Return who may vouch for a gateway: the system's authorities (``SSL_CERT_FILE``)."""
    if url.startswith("https:"):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which nothing uses; it costs 20 ms less


def segment(written: str) -> str:
    """Return a text as one segment of a path."""
    return quote(written, safe="")


class _Problem(msgspec.Struct):
    """RFC 9457."""

    type: str
    detail: str = ""
    errors: list[FieldProblem] = []


def _refused(response: httpx.Response, url: str) -> ApiError:
    status = response.status_code
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = f"what answers at {url} answered with status {status}, and is not a gateway"
        return ApiError(status, "", detail, (), _retry_after(response))
    kind = problem.type.rpartition(":")[2]
    return ApiError(status, kind, problem.detail, problem.errors, _retry_after(response))


def _passes(status: int, wait: float | None) -> bool:
    """Tell whether a refusal passes soon; a conflict does where the first try is under way."""
    if wait is not None and wait > LONGEST_PAUSE:
        return False
    return status in TRIED_AGAIN or (status == HTTPStatus.CONFLICT and wait is not None)


def _retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of ``Retry-After``; a date, which no gateway writes, is passed over."""
    written = response.headers.get("retry-after", "").strip()
    return float(written) if written.isascii() and written.isdigit() else None


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url {url!r}: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"url {url!r}: write http://HOST:PORT or https://HOST:PORT")
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    if not token:
        raise ValueError("no token; give one of the gateway's configuration, or set SMSGW_TOKEN")
    return _visible("token", token)


def _visible(name: str, value: str) -> str:
    """Return what goes into a header."""
    if not value or not all("!" <= char <= "~" for char in value):
        raise ValueError(f"{name}: write visible ASCII characters only")
    return value
