"""``smsgw bench``: what this machine can do, in a few seconds, without a gateway or a network."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table
from smsgw.protocols import cmpp
from smsgw.text.segmentation import plan

TEXT = "三号演播室 19:30 直播，请提前半小时到场"
LONG = TEXT * 8
PAGE = 4096
"""Octets that a commit writes at least."""

AT_ONCE = 200
"""Calls between looks at the clock."""


@click.command(epilog=EPILOG)
@click.option(
    "--folder",
    default=".",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Where the database would be.",
)
@click.option(
    "--seconds", default=1.0, type=click.FloatRange(0.01, 60), help="For each measurement."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def bench(folder: Path, seconds: float, as_json: bool) -> None:
    """Measure this machine: how fast one core codes PDUs and texts, and the disk makes durable.

    A message is accepted when it is durable, many in one commit: so "durable" bounds how long an
    answer takes, not how many messages a second there are. Run it while the machine is idle.
    """
    submit = cmpp.Submit30(
        src_id="10690001042",
        dest_terminal_id=["13800001001"],
        msg_fmt=8,
        msg_content=TEXT.encode("utf-16-be"),
    )
    frame = cmpp.encode(submit)
    found = {
        "encode": _rate(lambda: cmpp.encode(submit), seconds),
        "decode": _rate(lambda: cmpp.decode(frame), seconds),
        "split": _rate(lambda: plan(LONG, 8), seconds),
    }
    median, worst = _durable(folder, seconds)
    if as_json:
        rates = {f"{name}_per_second": round(rate) for name, rate in found.items()}
        disk = {"durable_seconds": median, "durable_worst_seconds": worst}
        machine = {"python": platform.python_version(), "cores": os.cpu_count()}
        show_json({**machine, **rates, **disk})
        return
    rows = [
        ("python", f"{platform.python_version()}, {os.cpu_count()} cores"),
        ("PDUs encoded", f"{found['encode']:,.0f} a second"),
        ("PDUs decoded", f"{found['decode']:,.0f} a second"),
        ("long texts split", f"{found['split']:,.0f} a second"),
        ("durable", f"{median * 1000:.2f} ms, at worst {worst * 1000:.2f} ms"),
    ]
    show_table(["what", "how fast"], rows)


def _rate(call: Callable[[], object], seconds: float) -> float:
    """Return how often a second a call is done."""
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for _ in range(AT_ONCE):
            call()
        count += AT_ONCE
    return count / spent


def _durable(folder: Path, seconds: float) -> tuple[float, float]:
    """Return the median and the longest of the seconds until a page is on the disk."""
    took: list[float] = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            until = time.perf_counter() + seconds
            while not took or time.perf_counter() < until:
                began = time.perf_counter()
                os.pwrite(file.fileno(), os.urandom(PAGE), len(took) % 64 * PAGE)
                os.fdatasync(file.fileno())
                took.append(time.perf_counter() - began)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from None
    return statistics.median(took), max(took)
