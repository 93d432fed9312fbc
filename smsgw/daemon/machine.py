"""Checks of the machine: versions, clock, files, limits. Nothing here asks the network."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smsgw.daemon.findings import Finding
from smsgw.daemon.settings import Config
from smsgw.errors import StoreError
from smsgw.store import census
from smsgw.store.database import read_once
from smsgw.store.sqlite import SQLITE_NEEDED
from smsgw.transport.certificates import ClientTls, ServerTls, valid_until
from smsgw.transport.link import china_now

PYTHON_NEEDED = (3, 11)

FREE_OCTETS_LEAST = 100 * 1024 * 1024
FREE_OCTETS_ENOUGH = 1024 * 1024 * 1024

SYNC_SECONDS_SLOW = 0.05
"""A commit waits for one; group commit makes up for some of it."""
SYNC_SECONDS_UNLIKELY = 0.00002
"""No disk is that fast: what it says is written is only in memory."""

FILES_BESIDES = 128
"""Open files that are no connections."""

CLOCK_UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2)."""

EXPIRES_SOON = timedelta(days=30)


def versions() -> Iterator[Finding]:
    """Check Python and SQLite."""
    found = platform.python_version()
    if sys.version_info < PYTHON_NEEDED:
        yield Finding("fail", "python", f"is {found}", "install 3.11 or newer")
    else:
        yield Finding("ok", "python", found)
    if sqlite3.sqlite_version_info < SQLITE_NEEDED:
        needed = ".".join(map(str, SQLITE_NEEDED))
        yield Finding(
            "fail", "sqlite", f"is {sqlite3.sqlite_version}", f"install {needed} or newer"
        )
    else:
        yield Finding("ok", "sqlite", sqlite3.sqlite_version)


def clock(now: datetime) -> Iterator[Finding]:
    """Check that the clock is right, as far as this machine knows.

    Args:
        now: The present time, aware.
    """
    if now.year < 2025:
        yield Finding("fail", "clock", f"shows {now:%Y-%m-%d}", "set it; run an NTP client")
        return
    china = china_now()
    shown = f"{china:%Y-%m-%d %H:%M:%S} China time, which logins carry whatever this machine's zone"
    state = _clock_state()
    if state == CLOCK_UNSYNCHRONISED:
        todo = "run chrony or another NTP client: carriers refuse logins minutes off"
        yield Finding("warn", "clock", f"is not synchronised; {shown}", todo)
    else:
        yield Finding("ok", "clock", shown)


def _clock_state() -> int | None:
    """Return what the kernel says of its clock; None where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None)
        return int(libc.adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return None


def folder(database: Path) -> Iterator[Finding]:
    """Check a database file's folder: rights, room, and how fast it keeps what is written."""
    where = database.parent
    if not where.is_dir():
        yield Finding("fail", "database", f"folder {where} does not exist", "create it")
        return
    if not os.access(where, os.W_OK | os.X_OK):
        todo = f"give it to the user who runs the gateway: chown USER {where}"
        yield Finding("fail", "database", f"folder {where} cannot be written", todo)
        return
    if database.exists():
        yield from private(database, "database", "has texts and phone numbers")
    free = shutil.disk_usage(where).free
    room = f"{free / 1e9:.1f} GB free on {where}"
    if free < FREE_OCTETS_LEAST:
        yield Finding("fail", "disk", room, "make room: a full disk takes no message")
    elif free < FREE_OCTETS_ENOUGH:
        yield Finding("warn", "disk", room, "make room, or see [retention]")
    else:
        yield Finding("ok", "disk", room)
    yield from _sync(where)


def _sync(where: Path) -> Iterator[Finding]:
    try:
        seconds = sync_seconds(where)
    except OSError as error:
        yield Finding("fail", "disk", f"cannot be written: {error.strerror}", "mend it")
        return
    shown = f"keeps what is written after {seconds * 1000:.2f} ms"
    if seconds > SYNC_SECONDS_SLOW:
        yield Finding("warn", "disk", shown, "use a faster one: every acceptance waits for it")
    elif seconds < SYNC_SECONDS_UNLIKELY:
        todo = "see that it is no memory disk, and that its cache survives a power cut"
        yield Finding("warn", "disk", f"{shown}, which no disk does", todo)
    else:
        yield Finding("ok", "disk", shown)


def sync_seconds(where: Path) -> float:
    """Return how long an fsync takes there: the middle one of five."""
    taken = []
    with tempfile.TemporaryFile(dir=where) as file:
        for _ in range(5):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return sorted(taken)[2]


def limits(config: Config) -> Iterator[Finding]:
    """Check how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    listeners = sum(link.listener is not None for link in config.links.values())
    customers = sum(one.binds for one in config.northbound.customers)
    needed = FILES_BESIDES + config.http.connections + 64 * listeners + 2 * customers
    needed += sum(link.binds * len(link.account.logins) for link in config.links.values())
    if 0 <= soft < needed:
        todo = (
            f"raise it: LimitNOFILE={max(needed, 65536)} in the unit, or ulimit -n (at most {hard})"
        )
        yield Finding("warn", "open files", f"{soft} allowed, {needed} may be needed", todo)
    else:
        yield Finding("ok", "open files", f"{soft} allowed, {needed} may be needed")


def user() -> Iterator[Finding]:
    """Check who runs it, and say where its log goes."""
    if os.geteuid() == 0:
        todo = "run the gateway as a user of its own: it needs no right of root's"
        yield Finding("warn", "user", "is root", todo)
    else:
        yield Finding("ok", "user", f"number {os.geteuid()}")
    if Path("/run/systemd/system").exists():
        yield Finding("ok", "log", "JSON lines on standard error: journalctl -u smsgw -o cat")
    else:
        todo = "have whoever starts the gateway keep standard error"
        yield Finding("ok", "log", "JSON lines on standard error", todo)


def secrets(config: Config) -> Iterator[Finding]:
    """Check who can read the configuration, the secrets in files, and private keys."""
    values = tomllib.loads(config.path.read_text(encoding="utf-8"))
    found = list(dict.fromkeys(_secret_files(values, config.path.parent)))
    keys = [tls.key or tls.certificate for _, tls in _used(config) if tls.certificate is not None]
    good = True
    for file in dict.fromkeys([*found, *filter(None, keys)]):
        for finding in private(file, "secrets", "is a secret"):
            good = good and finding.level == "ok"
            if finding.level != "ok":
                yield finding
    if _inline(config):
        good = False
        yield from private(config.path, "secrets", "has secrets written in it")
    if good:
        yield Finding("ok", "secrets", f"{len(found)} files, read by nobody else")


def _secret_files(value: Any, where: Path) -> Iterator[Path]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _secret_files(one, where)
    elif isinstance(value, str) and value.startswith("file:"):
        yield where / value.removeprefix("file:")


def _inline(config: Config) -> bool:
    return any("written in the file" in warning for warning in config.warnings)


def private(file: Path, about: str, why: str) -> Iterator[Finding]:
    """Check that only its owner, and at most a group, can read a file."""
    try:
        mode = file.stat().st_mode & 0o777
    except OSError as error:
        yield Finding("fail", about, f"{file}: {error.strerror}", "mend it")
        return
    if mode & 0o007:
        said = f"{file} {why} and everybody on this machine can read it (mode {mode:04o})"
        yield Finding("warn", about, said, f"chmod 600 {file}")
    else:
        yield Finding("ok", about, f"{file}, mode {mode:04o}")


def certificates(config: Config, now: datetime) -> Iterator[Finding]:
    """Check until when our own certificates hold."""
    for about, tls in _used(config):
        if tls.certificate is None:
            continue
        until = valid_until(tls.certificate)
        said = f"{tls.certificate} holds until {until:%Y-%m-%d}"
        if until <= now:
            yield Finding("fail", about, said, "renew it; it is read again without a restart")
        elif until <= now + EXPIRES_SOON:
            yield Finding("warn", about, said, "renew it; it is read again without a restart")
        else:
            yield Finding("ok", about, said)


def _used(config: Config) -> Iterator[tuple[str, ClientTls | ServerTls]]:
    """Yield what is configured of TLS, and where."""
    if config.http.tls is not None:
        yield "http.tls", config.http.tls
    for name, link in config.links.items():
        if link.tls is not None:
            yield f"links.{name}.tls", link.tls
        if link.listener is not None and link.listener.tls is not None:
            yield f"links.{name}.listener.tls", link.listener.tls
    for door in config.northbound.doors:
        if door.tls is not None:
            yield f"northbound.{door.carrier.name}.tls", door.tls


def ids(config: Config, now: datetime) -> Iterator[Finding]:
    """Check that nothing in a database is newer than the clock."""
    place = config.gateway.database
    if isinstance(place, Path) and not place.exists():
        return
    try:
        newest = read_once(place, census.newest_id_at)
    except StoreError:
        return  # said elsewhere
    if newest is None:
        return
    at = datetime.fromtimestamp(newest / 1000, UTC)
    if at > now + timedelta(seconds=60):
        todo = "set the clock: what comes now gets times later than it is"
        yield Finding("warn", "clock", f"the database has ids of {at:%Y-%m-%d %H:%M:%S} UTC", todo)
