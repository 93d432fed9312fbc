"""``smsgw token``: who may use the HTTP API; over it, or with ``-c`` on the database itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click
import msgspec

from smsgw.errors import ConfigError, SmsgwError, StoreError, ValidationError
from smsgw.interfaces.cli.client import Api, Failed, Invalid, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.program import Program
from smsgw.interfaces.cli.show import show_json, show_next, show_table

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from smsgw.services.access.book import Tokens

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_COLUMNS = ("id", "prefix", "name", "account", "roles", "state", "expires_at", "last_used_at")
_KEYS = (
    "id",
    "prefix",
    "name",
    "account",
    "state",
    "roles",
    "scopes",
    "networks",
    "rate",
    "daily",
    "expires_at",
    "version",
    "created_at",
    "created_by",
    "last_used_at",
    "revoked_at",
    "revoked_by",
)
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


class Place(Protocol):
    """Where tokens are kept."""

    def create(self, draft: Json) -> Json:
        """Make one."""
        ...

    def page(self, account: str | None, revoked: bool, limit: int, cursor: str | None) -> Json:
        """Return a page of a department's."""
        ...

    def show(self, token_id: str) -> Json:
        """Return one."""
        ...

    def change(self, token_id: str, change: Json) -> Json:
        """Change one."""
        ...

    def revoke(self, token_id: str) -> Json:
        """Refuse one from now on."""
        ...


class _Gateway:
    """Over the API of a running gateway."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def create(self, draft: Json) -> Json:
        return self._api.post("/v1/tokens", draft)

    def page(self, account: str | None, revoked: bool, limit: int, cursor: str | None) -> Json:
        asked = {"account": account, "limit": limit, "cursor": cursor}
        return self._api.get("/v1/tokens", asked | ({"revoked": "true"} if revoked else {}))

    def show(self, token_id: str) -> Json:
        return self._api.get(f"/v1/tokens/{token_id}")

    def change(self, token_id: str, change: Json) -> Json:
        return self._api.post(f"/v1/tokens/{token_id}/change", change)

    def revoke(self, token_id: str) -> Json:
        return self._api.post(f"/v1/tokens/{token_id}/revoke", {})


class _Console:
    """On the database of a configuration, while no gateway writes to its file."""

    def __init__(self, program: Program, path: Path) -> None:
        try:
            self._settings = program.load(path).gateway
        except ConfigError as error:
            raise Invalid(str(error)) from None

    def create(self, draft: Json) -> Json:
        from smsgw.services.access.book import CONSOLE, TokenDraft

        asked = _typed(draft, TokenDraft)
        return self._do(lambda tokens: tokens.create(CONSOLE, asked))

    def page(self, account: str | None, revoked: bool, limit: int, cursor: str | None) -> Json:
        before = None if cursor is None else _id(cursor)

        async def find(tokens: Tokens) -> Json:
            named = account or ""
            found = await tokens.list(named, revoked=revoked, before=before, limit=limit + 1)
            more = found[limit - 1]["id"] if len(found) > limit else None
            return {"tokens": found[:limit], "next": more}

        return self._do(find)

    def show(self, token_id: str) -> Json:
        return self._do(lambda tokens: tokens.show("", _id(token_id)))

    def change(self, token_id: str, change: Json) -> Json:
        from smsgw.services.access.book import CONSOLE, TokenChange

        asked = _typed(change, TokenChange)
        return self._do(lambda tokens: tokens.change(CONSOLE, _id(token_id), asked))

    def revoke(self, token_id: str) -> Json:
        from smsgw.services.access.book import CONSOLE

        return self._do(lambda tokens: tokens.revoke(CONSOLE, _id(token_id)))

    def _do(self, do: Callable[[Tokens], Coroutine[Deferred[Any], Any, Json]]) -> Json:
        from smsgw.services.access.console import at_console

        try:
            return at_console(self._settings.database, self._settings.node, do)
        except ValidationError as error:
            raise Invalid(str(error)) from None
        except StoreError as error:
            hint = "while a gateway runs on a file, leave -c away and use its API"
            raise Failed(
                f"{error}\n{hint}" if "writes to this file" in str(error) else str(error)
            ) from None
        except SmsgwError as error:
            raise Failed(str(error)) from None


def _place_options(command: F) -> F:
    """Decorate a command with where the tokens are: it gets place and as_json."""

    @click.option(
        "-c",
        "--config",
        "path",
        type=click.Path(path_type=Path),
        help="Work on this configuration's database itself, without a token.",
    )
    @api_options
    @wraps(command)
    def with_place(*args: Any, api: Api, path: Path | None, **kwargs: Any) -> Any:
        program = click.get_current_context().obj
        place = _Gateway(api) if path is None else _Console(program, path)
        return command(*args, place=place, **kwargs)

    return with_place  # type: ignore[return-value]


def _power_options(command: F) -> F:
    """Decorate a command with what a token may do."""
    for option in (
        click.option(
            "--expires",
            callback=lambda _, __, written: None if written is None else _time(written),
            help="A time, such as 2027-01-31T00:00+08:00, or a while from now: 90d, 12h.",
        ),
        click.option("--daily", type=int, help="Messages a day; 0 for no limit."),
        click.option("--rate", type=int, help="Requests a second; 0 for no limit."),
        click.option(
            "--from", "networks", multiple=True, help="Only from this network; repeatable."
        ),
        click.option("--scope", "scopes", multiple=True, help="Besides the roles; repeatable."),
        click.option("--role", "roles", multiple=True, help="What it may do; repeatable."),
    ):
        command = option(command)
    return command


@click.group(epilog=EPILOG)
def token() -> None:
    """Say who may use the HTTP API, and for what."""


@token.command(epilog=EPILOG)
@click.argument("name")
@click.option("--account", default="", help="Its department, such as tv/news.")
@_power_options
@_place_options
def create(place: Place, as_json: bool, **given: Any) -> None:
    """Make a token NAME; prints its id and the token, once."""
    made = place.create(_body(given))
    show_json(made) if as_json else click.echo(f"{made['id']} {made['token']}")


@token.command("list", epilog=EPILOG)
@click.option("--account", help="Only those of this department; over the API those below it too.")
@click.option("--revoked", is_flag=True, help="Those that were revoked too.")
@page_options
@_place_options
def list_(
    place: Place, account: str | None, revoked: bool, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List tokens, newest first."""
    page = place.page(account, revoked, limit, cursor)
    if as_json:
        show_json(page)
        return
    show_table(_COLUMNS, [[_cell(one[key]) for key in _COLUMNS] for one in page["tokens"]])
    show_next(page)


@token.command(epilog=EPILOG)
@click.argument("token_id", metavar="ID")
@_place_options
def show(place: Place, token_id: str, as_json: bool) -> None:
    """Show a token: what it may do, and when it was used last."""
    _show(place.show(token_id), as_json)


@token.command(epilog=EPILOG)
@click.argument("token_id", metavar="ID")
@_power_options
@click.option("--anywhere", is_flag=True, help="From any network.")
@click.option("--never-expires", is_flag=True, help="Without an end.")
@_place_options
def change(
    place: Place,
    token_id: str,
    as_json: bool,
    anywhere: bool,
    never_expires: bool,
    **given: Any,
) -> None:
    """Change what a token may do; what is not given stays."""
    body = _body(given)
    if anywhere:
        body["networks"] = []
    if never_expires:
        body["expires_at"] = None
    _show(place.change(token_id, body), as_json)


@token.command(epilog=EPILOG)
@click.argument("token_id", metavar="ID")
@_place_options
def revoke(place: Place, token_id: str, as_json: bool) -> None:
    """Refuse a token from now on; other processes do within 5 seconds."""
    shown = place.revoke(token_id)
    show_json(shown) if as_json else click.echo(f"{shown['id']} {shown['state']}")


def _body(given: Json) -> Json:
    """Return what was given, as the API has it."""
    expires = given.pop("expires")
    body = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in given.items()
        if value not in (None, "", ())
    }
    return body if expires is None else body | {"expires_at": expires}


def _time(written: str) -> str:
    """Return a time, or so long from now, as the API has it."""
    count, unit = written[:-1], _UNITS.get(written[-1:])
    if unit and count.isascii() and count.isdigit() and len(count) <= 6:
        return (datetime.now(UTC) + timedelta(**{unit: int(count)})).isoformat()
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(f"--expires {written}: write 90d, 12h, or a time with its offset")
    return moment.isoformat()


def _typed(body: Json, type_: type[T]) -> T:
    try:
        return msgspec.convert(body, type_)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None


def _id(written: str) -> int:
    if not (written.isascii() and written.isdigit()):
        raise Invalid(f"{written!r} is no id of a token; smsgw token list shows them")
    return int(written)


def _cell(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else value


def _show(shown: Json, as_json: bool) -> None:
    if as_json:
        show_json(shown)
        return
    show_table(["field", "value"], [[key, _cell(shown[key])] for key in _KEYS])
