"""One call of the API: what came in, checked and typed, and what goes back.

Endpoints are ``async def endpoint(call) -> Reply``; nothing of klein or twisted.web reaches them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from twisted.internet.defer import Deferred

from smsgw.errors import NotFound
from smsgw.interfaces.http.problems import Problem, invalid
from smsgw.services.access.callers import Caller
from smsgw.store.idempotency import KeyRow, Once

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
ID_MAX = 2**63 - 1

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class EmptyBody(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing."""


@dataclass(slots=True)
class Call:
    """What one request asks.

    Attributes:
        account: The department it is about; "" where the endpoint is open to all.
        path: The variables of the path.
        query: Parameter to its values.
        body: The octets of the body.
        caller: Who asks.
        below: The departments below ``account``.
        settle: Makes a reply what is recorded of it under the request's Idempotency-Key, in the
            commit of what the endpoint changes; None without a key.
        finished: Gives a Deferred that fails when the client hangs up; None where nobody can.
        accept: What content the client takes, as it says; "" for anything.
        conditional: Whether it is to be done only to what is as the client knows it (If-Match).
        expected: The version that the client knows; None for any.
    """

    account: str
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: bytes
    caller: Caller = field(default_factory=Caller)
    below: Sequence[str] = ()
    settle: Callable[[Reply], KeyRow] | None = None
    finished: Callable[[], Deferred[None]] | None = None
    accept: str = ""
    conditional: bool = False
    expected: int | None = None

    def settling(self, answer: Callable[[T], Reply]) -> Once[T] | None:
        """Return what records the reply that something leads to; None when it need not be."""
        settle = self.settle
        return None if settle is None else lambda found: settle(answer(found))

    def version(self, given: int | None = None) -> int | None:
        """Return the version that If-Match asks for, or the body; None for any.

        Raises:
            Problem: 422 when both do, and not for the same.
        """
        if self.expected is None:
            return given
        if given is not None and given != self.expected:
            raise invalid("version", "is not the one of If-Match; leave one of them out")
        return self.expected

    def json(self, type_: type[T]) -> T:
        """Return the body as ``type_``.

        Raises:
            Problem: 400 when it is no JSON, 422 when a field is wrong.
        """
        try:
            return msgspec.json.decode(self.body, type=type_)
        except msgspec.ValidationError as error:
            raise _wrong_field(error, type_) from None
        except RecursionError:
            problem = "the body is nested too deeply"
            raise invalid("", problem, HTTPStatus.BAD_REQUEST) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = f"the body is not JSON: {error}" if self.body else "the body is empty"
            raise invalid("", problem, HTTPStatus.BAD_REQUEST) from None

    def nothing(self) -> None:
        """Check that the body has nothing in it.

        Raises:
            Problem: As of :meth:`json`.
        """
        if self.body:
            self.json(EmptyBody)

    def parameters(self, *known: str) -> dict[str, str]:
        """Return the parameters of the query, each at most once and none but ``known``."""
        for name, values in self.query.items():
            if name not in known:
                expected = ", ".join(known) or "none"
                raise bad_parameter(name, f"unknown parameter; known: {expected}")
            if len(values) > 1:
                raise bad_parameter(name, "is given more than once")
            if "\0" in values[0]:
                raise bad_parameter(name, "has a NUL character; leave it out")
        return {name: values[0] for name, values in self.query.items()}

    def id(self, noun: str) -> int:
        """Return the ``id`` of the path; what cannot be one is not found."""
        written = self.path["id"]
        if not _is_id(written):
            raise NotFound(f"no {noun} {written[:40]!r}")
        return int(written)


@dataclass(slots=True)
class Reply:
    """What goes back.

    Attributes:
        content: Made JSON, unless it is octets already.
        status: As in HTTP.
        headers: Besides those of every answer.
        secret: Whether it is shown once: no Idempotency-Key brings it back.
        version: Of what it shows; None where that has none.
    """

    content: Any
    status: int = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)
    secret: bool = False
    version: int | None = None

    def body(self) -> bytes:
        """Return the octets."""
        content = self.content
        return content if isinstance(content, bytes) else _encode(content)


Endpoint = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """Where an endpoint is found.

    Attributes:
        method: GET or POST.
        path: ``<id>`` stands for one variable segment.
        endpoint: What answers.
        scope: What the token must have (:mod:`smsgw.services.access.roles`); without one nobody
            is let in.
        open: Whether it needs no token.
        versioned: Whether what it shows has an ETag, or what it does takes If-Match.
    """

    method: str
    path: str
    endpoint: Endpoint
    scope: str = ""
    open: bool = False
    versioned: bool = False


def limit_of(parameters: Mapping[str, str]) -> int:
    """Return the page size that the parameter ``limit`` asks for."""
    written = parameters.get("limit", str(LIMIT_DEFAULT))
    if not _is_id(written) or not 1 <= int(written) <= LIMIT_MAX:
        raise bad_parameter("limit", f"{written[:20]!r} is no number from 1 to {LIMIT_MAX}")
    return int(written)


def cursor_of(parameters: Mapping[str, str], name: str = "cursor") -> int | None:
    """Return the id that a cursor stands for, or None at the beginning."""
    written = parameters.get(name)
    if written is None:
        return None
    if not _is_id(written):
        raise bad_parameter(name, "use the value of `next` from the page before")
    return int(written)


def id_of(parameters: Mapping[str, str], name: str) -> int | None:
    """Return the id that a parameter is, or None without it."""
    written = parameters.get(name)
    if written is not None and not _is_id(written):
        raise bad_parameter(name, f"{written[:40]!r} is no id; write it as the API gave it")
    return None if written is None else int(written)


def one_of(parameters: Mapping[str, str], name: str, allowed: Sequence[str]) -> str | None:
    """Return a parameter that must be one of ``allowed``, or None."""
    written = parameters.get(name)
    if written is not None and written not in allowed:
        raise bad_parameter(name, f"{written[:40]!r} is none of {', '.join(allowed)}")
    return written


def page(name: str, found: Sequence[Mapping[str, Any]], limit: int) -> Reply:
    """Return one page of a list of which ``limit + 1`` were asked for."""
    shown = found[:limit]
    more = len(found) > limit
    return Reply({name: shown, "next": shown[-1]["id"] if more else None})


def number_of(name: str, written: str) -> int:
    """Return the id written in a field of the body.

    Raises:
        Problem: 422 when it is none.
    """
    if not _is_id(written):
        raise invalid(name, f"{written[:40]!r} is no id; write it as the API gave it")
    return int(written)


def bad_parameter(name: str, problem: str) -> Problem:
    """Return the problem of one parameter of the query."""
    return invalid(name, problem, HTTPStatus.BAD_REQUEST)


def _is_id(written: str) -> bool:
    return written.isascii() and written.isdigit() and len(written) <= 19 and int(written) <= ID_MAX


_NAMED_FIELD = re.compile(r"(required|unknown) field `([^`]*)`")


def _wrong_field(error: msgspec.ValidationError, type_: Any) -> Problem:
    """msgspec says ``… - at `$.messages[0].to```; a field is written ``messages[0].to``."""
    text, _, path = str(error).partition(" - at `$")
    parts = [path.removesuffix("`").removeprefix(".").replace("[...]", "")]  # which key, it lacks
    if wrong := _WRONG_CHOICE.fullmatch(text):
        text = f"{wrong[1]} is none of {', '.join(_allowed(type_, parts[0]))}"
    if named := _NAMED_FIELD.search(text):  # missing or unknown: msgspec names it in the text
        parts.append(named[2])
        text = "is missing" if named[1] == "required" else "unknown field"
    name = ".".join(filter(None, parts))
    return invalid(name, _in_words(text) if name else f"the body {_in_words(text)}")


def _allowed(type_: Any, path: str) -> list[str]:
    """Return what the enum at a path such as ``steps[0].on_deadline`` may be."""
    kinds = _kinds(inspect.type_info(type_))
    for name, _ in _PATH.findall(path):
        kinds = [inner for kind in kinds for one in _parts(kind, name) for inner in _kinds(one)]
    return [
        str(member.value)
        for kind in kinds
        if isinstance(kind, inspect.EnumType)
        for member in kind.cls
    ]


def _kinds(type_: inspect.Type) -> list[inspect.Type]:
    """Return the members of a union, and of any other type itself."""
    return list(type_.types) if isinstance(type_, inspect.UnionType) else [type_]


def _parts(type_: inspect.Type, name: str) -> list[inspect.Type]:
    """Return the types of the field ``name``; "" is any entry of a list."""
    if isinstance(type_, inspect.StructType):
        return [field.type for field in type_.fields if field.encode_name == name]
    return [type_.item_type] if isinstance(type_, inspect.ListType) and not name else []


def _in_words(text: str) -> str:
    """Return what msgspec expects as something to do."""
    if wrong := _WRONG_LIMIT.fullmatch(text):
        type_, of_length, sign, limit = wrong.groups()
        short = sign.startswith(">")
        least = "more than" if sign == ">" else "at least" if short else "at most"
        if not of_length:
            number = f"{float(limit):.15g}"
            return f"is too {'small' if short else 'large'}; write {least} {number}"
        unit = "entries" if type_ == "array" else "characters"
        if short and limit == "1":
            return "is empty"
        return f"is too {'short' if short else 'long'}; write {least} {limit} {unit}"
    if wrong := _WRONG_TYPE.fullmatch(text):
        wanted = " or ".join(_TYPES.get(type_, type_) for type_ in wrong[1].split(" | "))
        return f"is {_TYPES.get(wrong[2], wrong[2])}; write {wanted}"
    if text.startswith("Invalid RFC3339"):
        return f"is no time; write it like {_TIME}"
    return text.replace("`", "'")


_TIME = "2026-11-22T18:00:00+08:00"
_PATH = re.compile(r"\.?([^.\[\]]+)|\[[^\]]*\]()")
_WRONG_LIMIT = re.compile(r"Expected `([^`]*)` (of length )?([<>]=?) (\S+)")
_WRONG_TYPE = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_WRONG_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
_TYPES = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "datetime": f"a time like {_TIME}",
}
