"""``smsgw bundle``: everything that helps to find a fault, and nothing that is anybody's secret.

A .tar.gz of small files, made of what is known to be harmless rather than by striking out: events
without what they say, counts in the place of rows, log lines without texts. ``manifest.json`` in it
lists them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import platform
import sqlite3
import sys
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import click

import smsgw
from smsgw.daemon import doctor, reach
from smsgw.daemon.config import effective
from smsgw.daemon.redaction import Redactor, secrets_of
from smsgw.daemon.settings import Config
from smsgw.errors import StoreError
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option
from smsgw.services.queries import iso
from smsgw.store import census
from smsgw.store.database import read_once

EVENTS = 500
LINES = 2000
LINE_CHARACTERS_MAX = 20_000

PACKAGES = ("twisted", "klein", "sqlalchemy", "alembic", "psycopg", "msgspec", "pyopenssl", "click")

REDACTED = (
    "secrets are ***, phones' numbers 138****5678; texts, what events say, octets of PDUs and"
    " what log lines quote are left out"
)


@click.command(epilog=EPILOG)
@config_option()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new file; default smsgw-bundle-TIME.tar.gz here.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path, dir_okay=False, exists=True, readable=True),
    help="Take the last lines of this log file too.",
)
@click.option("--lines", default=LINES, show_default=True, help="How many.")
@click.option("--api", "url", help="Where the gateway's API is, when it runs; else http.listen.")
@click.option("--token", envvar="SMSGW_TOKEN", default="", help="Its token, for links' states.")
def bundle(
    path: Path, out: Path | None, log: Path | None, lines: int, url: str | None, token: str
) -> None:
    """Collect what helps to find a fault into one file, for whoever helps you.

    Configuration, versions, schema, links, metrics, what the doctor says, counts of rows, recent
    events without what they say, the end of a log. Secrets, numbers and texts are not in it; look
    into it all the same before you give it away.
    """
    now = datetime.now(UTC)
    target = out or Path(f"smsgw-bundle-{now:%Y%m%dT%H%M%S}.tar.gz")
    findings, config = doctor.configuration(path)
    redactor = Redactor([*(secrets_of(config) if config is not None else ()), token])
    files: dict[str, str] = {"versions.json": _json(_versions())}
    if config is not None:
        findings += doctor.examine(config)
        files |= _files(config, url, token)
    files["doctor.txt"] = "".join(f"{one.line()}\n" for one in findings)
    files = {name: redactor.clean(text) for name, text in files.items()}
    if log is not None:
        files["log.jsonl"] = "".join(_log(log, max(0, lines), redactor))
    try:
        write(target, files, now)
    except FileExistsError:
        click.echo(f"smsgw: {target}: is there already; name a new file with --out", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"smsgw: {target}: cannot be written: {error.strerror}", err=True)
        sys.exit(1)
    click.echo(f"{target}: {', '.join(sorted(files))}; {REDACTED}")


def write(target: Path, files: dict[str, str], now: datetime) -> None:
    """Write texts into a new archive, with their manifest, for its owner's eyes.

    Raises:
        OSError: It cannot be written, or there is such a file.
    """
    octets = {name: text.encode("utf-8", "replace") for name, text in sorted(files.items())}
    listed = [
        {"name": name, "octets": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in octets.items()
    ]
    manifest = {"made_at": now.isoformat(timespec="seconds"), "redacted": REDACTED, "files": listed}
    octets["manifest.json"] = _json(manifest).encode()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=now.timestamp()) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        for name, data in octets.items():
            member = tarfile.TarInfo(f"smsgw-bundle/{name}")
            member.size, member.mtime, member.mode = len(data), int(now.timestamp()), 0o600
            archive.addfile(member, io.BytesIO(data))


# ---- inside ------------------------------------------------------------------------------


def _versions() -> dict[str, Any]:
    return {
        "smsgw": smsgw.__version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _files(config: Config, url: str | None, token: str) -> dict[str, str]:
    """Return what a good configuration leads to, each a file; what cannot be had says why."""
    place, address = config.gateway.database, url or reach.url_of(config, config.http.listen)
    if isinstance(place, Path) and not place.exists():
        return {"config.json": _json(effective(config))}
    wanted: dict[str, Callable[[], str]] = {
        "config.json": lambda: _json(effective(config)),
        "schema.json": lambda: _json(read_once(place, census.look)._asdict()),
        "tables.json": lambda: _json(read_once(place, census.rows)),
        "events.jsonl": partial(_events, config),
        "metrics.txt": lambda: reach.ask(f"{address}/metrics").decode("utf-8", "replace"),
        "links.json": lambda: _links(address, token),
    }
    return {name: _or_why(make) for name, make in wanted.items()}


def _or_why(make: Callable[[], str]) -> str:
    try:
        return make()
    except (StoreError, OSError, ValueError) as error:
        return f"not to be had: {error}\n"


def _events(config: Config) -> str:
    found = read_once(config.gateway.database, partial(census.recent_events, limit=EVENTS))
    shown = [{**one, "at": iso(one["at"])} for one in found]
    return "".join(json.dumps(one) + "\n" for one in shown)


def _links(address: str, token: str) -> str:
    if not token:
        return "not to be had: no token was given\n"
    return _json(json.loads(reach.ask(f"{address}/v1/links", token)))


def _log(file: Path, lines: int, redactor: Redactor) -> Iterator[str]:
    """Yield the last lines of a log, those of ours; how many others there were comes last."""
    with open(file, encoding="utf-8", errors="replace") as log:
        last = deque((line[:LINE_CHARACTERS_MAX] for line in log), lines)
    others = 0
    for line in last:
        clean = redactor.log_line(line)
        others += not clean
        if clean:
            yield f"{clean}\n"
    if others:
        yield json.dumps({"event": "bundle.left_out", "lines": others}) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n"
