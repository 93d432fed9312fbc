"""``smsgw request-types``: flows saved by name, so that a form's type maps to its steps."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from smsgw.interfaces.cli.client import Api, Invalid, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

_LISTED = ("name", "version", "preset", "steps", "updated_at")


@click.group("request-types", epilog=EPILOG)
def request_types() -> None:
    """Save flows by name; `requests new --type NAME` uses them."""


@request_types.command("list", epilog=EPILOG)
@page_options
@api_options
def list_(api: Api, limit: int, cursor: str | None, as_json: bool) -> None:
    """List saved flows by name."""
    page = api.get("/v1/request-types", {"limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    rows = []
    for one in page["types"]:
        flow = one["flow"]
        steps = len(flow.get("steps", []))
        rows.append(
            [one["name"], one["version"], flow.get("preset", "approval"), steps, one["updated_at"]]
        )
    show_table(_LISTED, rows)
    show_next(page)


@request_types.command(epilog=EPILOG)
@click.argument("name")
@api_options
def show(api: Api, name: str, as_json: bool) -> None:
    """Show a saved flow."""
    saved = api.get(_path(name))
    if as_json:
        show_json(saved)
        return
    flow: Json = saved["flow"]
    steps = flow.pop("steps", [])
    rows = [[key, saved[key]] for key in ("name", "version", "updated_at")]
    rows += [[key, _short(value)] for key, value in flow.items()]
    show_table(["field", "value"], rows)
    show_table(
        ["step", "name", "rule", "people", "more"],
        [
            [place, step.pop("name", ""), step.pop("rule", ""), _people(step), _short(step)]
            for place, step in enumerate(steps, 1)
        ],
        "steps",
    )


@request_types.command(epilog=EPILOG)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--version",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only over this version; 0: only if there is none yet.",
)
@api_options
def save(api: Api, name: str, file: Path, version: int | None, as_json: bool) -> None:
    """Save the flow in FILE (.toml or .json) under NAME; prints its version.

    FILE has what `POST /v1/requests` takes, without subject, reference and deadline; what
    `show --json` prints can be saved again.
    """
    saved = api.post("/v1/request-types", {"name": name, "flow": _read(file), "version": version})
    if as_json:
        show_json(saved)
    else:
        click.echo(f"{saved['name']} {saved['version']}")


@request_types.command(epilog=EPILOG)
@click.argument("name")
@api_options
def remove(api: Api, name: str, as_json: bool) -> None:
    """Forget a saved flow; requests made from it stay as they are."""
    removed = api.post(f"{_path(name)}/remove", {})
    if as_json:
        show_json(removed)
    else:
        click.echo(f"{removed['name']} removed")


def _path(name: str) -> str:
    return f"/v1/request-types/{quote(name, safe='')}"


def _read(file: Path) -> Json:
    """Return the flow in a file; one that ``show --json`` printed has it inside."""
    try:
        text = file.read_text(encoding="utf-8")
        found: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, not TOML, not JSON
        kind = "TOML" if file.suffix == ".toml" else "JSON"
        raise Invalid(f"{file} is not {kind}: {error}") from None
    if not isinstance(found, dict):
        raise Invalid(f"{file}: write an object")
    inside = found.get("flow", found)
    flow: Json = json.loads(json.dumps(inside if isinstance(inside, dict) else found, default=str))
    return flow


def _people(step: Json) -> str:
    return ", ".join(one.get("name") or one["phone"] for one in step.pop("assignees", []))


def _short(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)
