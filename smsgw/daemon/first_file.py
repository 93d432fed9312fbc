"""A first ``smsgw.toml``: its text, and what the configuration's own rules say of it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smsgw.daemon.config import load
from smsgw.daemon.sheets import SHEETS, Item, Sheet
from smsgw.errors import ConfigError, ConfigErrors

Values = dict[str, Any]

PRIVATE = 0o600
TOKEN_FILE = "api.token"
STAND_IN_TOKEN = "a-token-not-made-yet"

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,9}")

_HEAD = """\
# Made by `smsgw init`. Every other section and key: examples/smsgw.toml, docs/operations.md.
#
#   smsgw check -c {name}     what is wrong with it, or every value in force
#   smsgw run   -c {name}     run the gateway

[gateway]
database = "smsgw.db"                     # SQLite file, relative to this file

[http]
listen = "127.0.0.1:8080"                 # another address than this machine's needs `allow`

# Who may use the HTTP API and the command line: Authorization: Bearer TOKEN.
[tokens.{name_of_account}]
token = "{token}"
account = {account}
"""


class Link:
    """One link while it is being asked about.

    Args:
        name: In the file.
        protocol: Its protocol.

    Attributes:
        values: Key to value, of what was answered.
    """

    def __init__(self, name: str, protocol: str) -> None:
        self.name = name
        self.protocol = protocol
        self.values: Values = {}

    @property
    def sheet(self) -> Sheet:
        """What its carrier's sheet says."""
        return SHEETS[self.protocol]

    def lines(self, stand_ins: bool = False) -> list[str]:
        """Return its tables; ``stand_ins``: with what was not answered yet."""
        main = [f"[links.{_name(self.name)}]", f'protocol = "{self.protocol}"']
        listener: list[str] = []
        for item in self.sheet.items:
            value = self.values.get(item.key, item.stand_in if stand_ins else "")
            if value == "" and not (stand_ins and item.default is None):
                continue
            _, dot, key = item.key.partition(".")
            (listener if dot else main).append(_line(key or item.key, value, item.words))
        if listener:
            main += [
                "",
                "# Where the carrier connects to us for replies and status reports.",
                f"[links.{_name(self.name)}.listener]",
                *listener,
            ]
        return main


def value_of(item: Item, written: str) -> Any:
    """Return an answer as its key's kind of value; what is none the rules will name."""
    written = written.strip()
    if item.kind == "list":
        return [one for one in written.replace("，", ",").replace(",", " ").split() if one]
    if item.kind == "number" and _WHOLE.fullmatch(written):
        return int(written)
    if item.kind == "number" and _DECIMAL.fullmatch(written):
        return float(written)
    return written


def text_of(name: str, account: str, links: list[Link], token: str, stand_ins: bool = False) -> str:
    """Return the file."""
    parts = [
        _HEAD.format(name=name, account=_text(account), name_of_account=_name(account), token=token)
    ]
    for link in links:
        rule = f"# ---- {link.sheet.title} "
        parts.append("\n".join([f"{rule:-<100}", *link.lines(stand_ins)]) + "\n")
    return "\n".join(parts)


def problems_of(text: str, folder: Path, environ: Mapping[str, str]) -> list[ConfigError]:
    """Return what is wrong with the text of a configuration in a folder.

    Raises:
        OSError: Nothing can be written there.
    """
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".smsgw-", suffix=".toml") as file:
        file.write(text.encode())
        file.flush()
        try:
            load(Path(file.name), environ)
        except ConfigErrors as errors:
            return list(errors.problems)
    return []


def write(path: Path, text: str, *, force: bool, mode: int = 0o644) -> None:
    """Write a file whole or not at all.

    Raises:
        FileExistsError: It is there, and not to be replaced.
        OSError: It cannot be written.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".smsgw-", delete=False) as file:
        os.fchmod(file.fileno(), mode)
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path) if force else os.link(file.name, path)
        finally:
            Path(file.name).unlink(missing_ok=True)


def _line(key: str, value: Any, words: str) -> str:
    return f"{f'{key} = {_text(value)}':<41} # {words}"


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: Any) -> str:
    """Return a value as TOML writes it: as JSON does, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
