"""Reads one TOML table key by key: checks, converts, and remembers every problem it meets.

A reader never stops at the first mistake: it notes it under the dotted path of the key and hands
back a stand-in, so that one run shows all there is to mend. Whoever reads a file calls
:meth:`Problems.check` at the end. This module knows no key of ours.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from smsgw.errors import ConfigError, ConfigErrors
from smsgw.transport.peers import Network

T = TypeVar("T")

HOST_CHARACTERS_MAX = 253
SHOWN_CHARACTERS = 40

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)")
_ADDRESS = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_INLINE_WARNING = "written in the file itself; write file:NAME or env:VARIABLE instead"


class Problems:
    """What was found wrong so far, and what is only worth a warning."""

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []
        self.warnings: list[str] = []

    def add(self, path: str, problem: str) -> None:
        """Note an error."""
        self.errors.append(ConfigError(path, problem))

    def warn(self, path: str, problem: str) -> None:
        """Note something that works and should be changed."""
        self.warnings.append(f"{path}: {problem}")

    def check(self) -> None:
        """Raise everything noted, if anything is."""
        if self.errors:
            raise ConfigErrors(self.errors)


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Section:
    """One table of the file.

    Args:
        values: As tomllib read them.
        path: Its dotted path; "" for the whole file.
        problems: Where mistakes are noted.
        folder: What relative paths are relative to.
        environ: Where ``env:`` secrets are.
    """

    def __init__(
        self,
        values: dict[str, Any],
        path: str,
        problems: Problems,
        folder: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.values = values
        self.path = path
        self.problems = problems
        self.folder = folder
        self.environ = environ
        self._known: set[str] = set()

    def at(self, key: str) -> str:
        """Return the dotted path of a key."""
        return f"{self.path}.{key}" if self.path else key

    def add(self, key: str, problem: str) -> None:
        """Note a problem of one key."""
        self.problems.add(self.at(key), problem)

    def has(self, key: str) -> bool:
        """Whether the file has the key; makes the key a known one."""
        self._known.add(key)
        return key in self.values

    def section(self, key: str) -> Section:
        """Return a table inside this one; an empty one when the file has none."""
        value = self._take(key, {}, dict, "a table")
        return Section(value, self.at(key), self.problems, self.folder, self.environ)

    def named_sections(self, key: str) -> Iterator[tuple[str, Section]]:
        """Return the tables of ``[key.NAME]`` in the order of the file, with their names."""
        group = self.section(key)
        for name in group.values:
            section = group.section(name)
            if _NAME.fullmatch(name) is None:
                group.add(name, "a name has 1 to 64 letters, digits, _ or -")
            yield name, section

    def text(
        self, key: str, default: str | None = None, *, digits: bool = False, blank: bool = True
    ) -> str:
        """Return a text; ``digits``: of digits only; without a default it is required."""
        value: str = self._take(key, default, str, "a text in quotes")
        if key in self.values and isinstance(self.values[key], str):
            if digits and value and not (value.isascii() and value.isdigit()):
                self.add(key, f"{value!r} has other characters than digits")
            elif not value and (default is None or not blank):
                self.add(key, "is empty")
        return value

    def integer(
        self, key: str, default: int | None = None, low: int = 0, high: int | None = None
    ) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self._take(key, default, int, "a whole number")
        return int(self._within(key, value, low, high))

    def number(self, key: str, default: float | None = None, low: float = 0.0) -> float:
        """Return a number that is at least ``low``."""
        value = self._take(key, default, (int, float), "a number")
        return float(self._within(key, _finite(value), low, None))

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        return bool(self._take(key, default, bool, "true or false"))

    def duration(self, key: str, default: float | None = None, low: float = 0.0) -> float:
        """Return seconds, written as a number or as "30s", "5m", "72h"."""
        value = self._take(key, default, (int, float, str), 'seconds or "30s", "5m", "72h"')
        if isinstance(value, str):
            match = _DURATION.fullmatch(value.strip())
            if match is None:
                self.add(key, f'{value!r} is no duration; write seconds or "30s", "5m", "72h"')
                return default or low
            value = float(match[1]) * _UNITS[match[2]]
        return float(self._within(key, _finite(value), low, None))

    def choice(self, key: str, allowed: Sequence[T], default: T | None = None) -> T:
        """Return one of the allowed values; without a default it is required."""
        self._known.add(key)
        if key not in self.values:
            if default is not None:
                return default
            self.add(key, f"is missing; write one of {_listed(allowed)}")
            return allowed[0]
        value = self.values[key]
        for one in allowed:
            if one == value and not isinstance(value, bool):
                return one
        self.add(key, f"{value!r} is none of {_listed(allowed)}")
        return allowed[0]

    def choices(self, key: str, allowed: Sequence[str]) -> tuple[str, ...]:
        """Return a list of some of the allowed values; empty when the file has none."""
        values = self.texts(key)
        for value in values:
            if value not in allowed:
                self.add(key, f"{value!r} is none of {_listed(allowed)}")
        return tuple(dict.fromkeys(value for value in values if value in allowed))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty when the file has none."""
        values = self._take(key, [], list, 'a list of texts: ["a", "b"]')
        if all(isinstance(value, str) for value in values):
            return tuple(values)
        self.add(key, 'write a list of texts: ["a", "b"]')
        return ()

    def networks(self, key: str) -> tuple[Network, ...]:
        """Return a list of networks (``10.0.0.0/8``; one address is a network of one)."""
        found: list[Network] = []
        for value in self.texts(key):
            try:
                found.append(ipaddress.ip_network(value))
            except ValueError as error:
                self.add(key, f'{error}; write a network as "10.0.0.0/8", or one address')
        return tuple(found)

    def address(self, key: str, default: str | None = None) -> Address:
        """Return where to listen: ``127.0.0.1:8080``, ``[::1]:8080``; port 0 is any free one."""
        value = self.text(key, default, blank=False)
        match = _ADDRESS.fullmatch(value)
        host = (match[1] or match[2]).replace("localhost", "127.0.0.1") if match else ""
        try:
            host = str(ipaddress.ip_address(host))
        except ValueError:
            match = None
        if match is None or int(match[3]) > 65535:
            if value:
                self.add(key, f'{value!r} is no address to listen on; write "127.0.0.1:8080"')
            return Address("127.0.0.1", 0)
        return Address(host, int(match[3]))

    def host(self, key: str) -> str:
        """Return where to connect: a name or an address."""
        value = self.text(key)
        if value and not _is_host(value):
            hint = 'write "gateway.example" or "192.0.2.1"'
            self.add(key, f"{_shortened(value)!r} is no host name and no address; {hint}")
        return value

    def secret(self, key: str) -> str:
        """Return a secret from ``env:VARIABLE``, ``file:NAME``, or the value itself (warns)."""
        value = self._secret(key)
        if not value.isascii():
            self.add(key, "has characters that are not ASCII; peers would read them differently")
            return ""
        return value

    def _secret(self, key: str) -> str:
        value = self.text(key)
        kind, _, name = value.partition(":")
        if kind == "env":
            found = self.environ.get(name)
            if not found:
                self.add(key, f"the environment variable {name!r} is not set or empty")
            return found or ""
        if kind == "file":
            return self._secret_file(key, name)
        if value:
            self.problems.warn(self.at(key), _INLINE_WARNING)
        return value

    def finish(self) -> None:
        """Note every key of the file that nobody asked for."""
        for key in self.values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                hint = f"did you mean {near[0]}?" if near else _possible(self._known)
                self.add(key, f"unknown key; {hint}")

    def _secret_file(self, key: str, name: str) -> str:
        path = self.folder / name
        try:
            found = path.read_text(encoding="utf-8").strip("\r\n")
            if path.stat().st_mode & 0o007:
                hint = f"everybody on this machine may open {path}; chmod 600 {path}"
                self.problems.warn(self.at(key), hint)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self.add(key, f"cannot read {path}: {why}")
            return ""
        if not found:
            self.add(key, f"{path} is empty")
        return found

    def _take(self, key: str, default: Any, kind: Any, written: str) -> Any:
        self._known.add(key)
        blank = kind[0]() if isinstance(kind, tuple) else kind()
        if key not in self.values:
            if default is None:
                self.add(key, f"is missing; write {written}")
                return blank
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.add(key, f"{value!r} is not {written}")
            return blank if default is None else default
        return value

    def _within(self, key: str, value: Any, low: float, high: float | None) -> Any:
        wrong = value != value or value < low or (high is not None and value > high)
        if wrong and key in self.values:
            upper = f" to {high}" if high is not None else " or more"
            self.add(key, f"{self.values[key]!r} is impossible; write {low:g}{upper}")
        return low if wrong else value


def _finite(value: float) -> float:
    """A number as a float; what is none that one can count with becomes NaN."""
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        pass
    else:
        return True
    try:
        name = value.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError:
        return False
    labels = name.split(".")
    return (
        len(name) <= HOST_CHARACTERS_MAX
        and all(map(_LABEL.fullmatch, labels))
        and not labels[-1].isdigit()  # an address with a mistake in it
    )


def _shortened(value: str) -> str:
    return value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _possible(known: set[str]) -> str:
    return f"known here: {', '.join(sorted(known))}" if known else "nothing is known here"
