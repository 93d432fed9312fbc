"""``smsgw top``: links, lanes and rates of a running gateway, live."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from smsgw.interfaces.cli.board import CLASSES, Json, Look, board, reasons_of, values_of
from smsgw.interfaces.cli.client import Api, Failed, Unreachable, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table

if TYPE_CHECKING:
    from rich.console import RenderableType

ONCE_SECONDS = 1.0
"""Between the two looks of what is shown once: rates need some time."""

COLUMNS = (
    "link",
    "state",
    "binds",
    "window",
    "limit/s",
    "sent/s",
    "reports/s",
    "MO/s",
    *CLASSES,
    "oldest",
    "unknown",
    "limited by",
)


@click.command(epilog=EPILOG)
@click.option("--once", is_flag=True, help="Show it once and end, as without a terminal.")
@click.option(
    "--every",
    type=click.FloatRange(0.2, 60.0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Look again after so long.",
)
@api_options
def top(api: Api, as_json: bool, once: bool, every: float) -> None:
    """Watch links, lanes and rates live; q or Ctrl-C ends it.

    realtime, interactive, notice and bulk are segments that wait, by class; oldest is how long the
    one does that waits the longest. "limited by" is why the link sends no faster.
    """
    before = _look(api)
    if not (once or as_json) and sys.stdin.isatty() and sys.stdout.isatty():
        _watch(api, before, every)
        return
    time.sleep(min(every, ONCE_SECONDS))
    shown = board(before, _look(api))
    if as_json:
        show_json(shown)
        return
    show_table(COLUMNS, [_row(link) for link in shown["links"]])
    for line in _lines(shown):
        click.echo(line)


def _look(api: Api) -> Look:
    links = api.get("/v1/links")["links"]
    status, metrics = api.look("/metrics")
    if status != 200:
        raise Failed(f"{api.url}/metrics answered with status {status}")
    return Look(time.monotonic(), links, reasons_of(*api.look("/readyz")), values_of(metrics))


# ---- on a terminal -----------------------------------------------------------------------


def _watch(api: Api, before: Look, every: float) -> None:
    """Show the board until somebody has seen enough; a gateway that is away is waited for."""
    from rich.live import Live
    from rich.text import Text

    shown: RenderableType = Text(f"{api.url}: looking…")
    with _keys(), Live(shown, screen=True, auto_refresh=False) as live:
        live.refresh()
        try:
            while not _quit_within(every):
                try:
                    now = _look(api)
                    shown = _screen(api.url, board(before, now))
                    before = now
                except Unreachable as error:
                    shown = Text(str(error), style="red")
                live.update(shown, refresh=True)
        except KeyboardInterrupt:
            return


@contextmanager
def _keys() -> Iterator[None]:
    """Have each key reach us at once, unseen, and the terminal as it was afterwards."""
    import termios
    import tty

    settings = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)


def _quit_within(seconds: float) -> bool:
    """Wait so long; True as soon as somebody presses q."""
    import os
    import select

    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        readable, _, _ = select.select([sys.stdin], [], [], left)
        if readable:
            typed = os.read(sys.stdin.fileno(), 64)
            if not typed or b"q" in typed.lower():  # nothing: the terminal is gone
                return True
    return False


def _screen(url: str, shown: Json) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(*COLUMNS, title=f"{url}   {time.strftime('%H:%M:%S')}   q ends", expand=True)
    styles = {"up": "green", "down": "bold red", "stopped": "yellow", "stopping": "yellow"}
    for link in shown["links"]:
        cells = [Text("" if cell is None else str(cell)) for cell in _row(link)]
        cells[1].stylize(styles.get(link["state"], ""))
        table.add_row(*cells)
    lines = [Text(line) for line in _lines(shown)]
    lines[0].stylize("green" if shown["ready"] else "bold red")
    return Group(table, *lines)


# ---- words -------------------------------------------------------------------------------


def _row(link: Json) -> list[object]:
    lanes = link["classes"]
    return [
        link["name"],
        link["state"],
        f"{link['bound']}/{link['binds']}",
        f"{link['in_flight']}/{link['window']}",
        link["rate_limit"],
        link["submits_per_second"],
        link["reports_per_second"],
        link["inbound_per_second"],
        *(lanes[kind]["waiting"] for kind in CLASSES),
        _seconds(max(lanes[kind]["oldest_seconds"] for kind in CLASSES)),
        link["unknown"],
        link["limited_by"],
    ]


def _lines(shown: Json) -> list[str]:
    rates, hooks = shown["per_second"], shown["webhooks"]
    waiting = " · ".join(
        f"{kind} {lane['waiting']} ({_seconds(lane['oldest_seconds'])})"
        for kind, lane in shown["classes"].items()
        if lane["waiting"]
    )
    return [
        "ready" if shown["ready"] else f"not ready: {'; '.join(shown['reasons'])}",
        "a second: " + " · ".join(f"{name} {value:g}" for name, value in rates.items()),
        f"waiting: {waiting or 'nothing'}",
        f"webhooks: {hooks['waiting']} wait, the oldest {_seconds(hooks['oldest_seconds'])}"
        f" · {hooks['dead']} dead letters · {hooks['paused']} paused",
        f"requests open: {shown['requests_open']} · extensions in use: {shown['slots_in_use']}"
        f" · unknown outcomes: {shown['unknown']}",
        f"rows before the database: {shown['rows_queued']}"
        f" · longest hold-up of a minute: {shown['lag_seconds']:g} s",
    ]


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if hours < 1 else f"{hours:.1f} h"
