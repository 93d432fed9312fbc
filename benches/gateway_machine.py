"""What a figure was measured on: interpreter and its build, databases, cores, load, disk."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sysconfig
import tempfile
import time
from pathlib import Path

import psycopg

SHOWN = ("server_version", "fsync", "synchronous_commit")


def environment(folder: Path, server: str = "") -> str:
    """Return one line for the head of a table.

    Args:
        folder: Where the databases go: its disk is timed.
        server: The PostgreSQL server that takes part, "" when none does.
    """
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return (
        f"CPython {platform.python_version()} ({'optimised' if optimised else 'plain'} build,"
        f" {platform.python_compiler()}), {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f};"
        f" {databases(server)}; 4 KiB pwrite + fdatasync {fsync_ms(folder):.2f} ms"
    )


def databases(server: str) -> str:
    """Return which databases these are, with what makes their commits durable."""
    told = f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL"
    if server:
        with psycopg.connect(server) as connection:
            shown = [connection.execute(f"SHOW {word}").fetchone() for word in SHOWN]
        version, fsync, commit = [str(one[0]) for one in shown if one is not None]
        told += f"; PostgreSQL {version}, fsync={fsync}, synchronous_commit={commit}"
    return told


def fsync_ms(folder: Path) -> float:
    """Return the median time of writing 4 KiB and syncing it."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as timed:
        for place in range(200):
            started = time.perf_counter()
            os.pwrite(timed.fileno(), b"x" * 4096, place * 4096)
            os.fdatasync(timed.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000
