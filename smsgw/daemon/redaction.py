"""What may leave the house in a support bundle: no secret, no phone's number, no text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from smsgw.daemon.settings import Config
from smsgw.store.address import Server

MASK = "***"

ANYWHERE_CHARACTERS = 6
"""A secret that is so long is no part of other words."""

_PHONE = re.compile(
    r"(?<![0-9])((?:(?:\+|00)?86)?(?:1[3-9][0-9]|1[04][0-9]{3}))[0-9]{4}([0-9]{4})(?![0-9])"
)
"""A number of 11 digits, or of 13 for IoT, with or without country code."""

_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}){16,}(?![0-9A-Za-z])")
"""Octets, perhaps a PDU's: an id of a carrier is shorter."""

_PLAIN = re.compile(r"[A-Za-z0-9_.:/\[\]@+%-]{1,64}")
"""A name, an address, a code: one word that is no text."""

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|[^\x00-\x7f]+")
_FRAME = re.compile(r'  File "[^"\n]*", line \d+, in \S+')
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?=:|$)")

KEPT_KEYS = frozenset({"time", "level", "event", "from", "link"})
SENTENCE_KEYS = frozenset({"why", "problem", "reason"})
"""Sentences of ours, which may quote somebody."""


class Redactor:
    """Masks what must not leave.

    Args:
        secrets: Every secret that is known; empty ones do not count.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(filter(None, set(secrets)), key=len, reverse=True)
        words = [json.dumps(one)[1:-1] for one in longest_first] + longest_first
        forms = dict.fromkeys(map(_form, words))
        self._secrets = re.compile("|".join(forms)) if forms else None

    def clean(self, text: str) -> str:
        """Return a text of ours with secrets, numbers and octets masked."""
        if self._secrets is not None:
            text = self._secrets.sub(MASK, text)
        text = _HEX.sub(lambda found: f"({len(found[0]) // 2} octets)", text)
        return _PHONE.sub(r"\1****\2", text)

    def log_line(self, line: str) -> str:
        """Return a line of the log with what is no text; "" for what is no line of ours."""
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            return ""
        if not isinstance(values, dict):
            return ""
        kept = {key: _value(key, value) for key, value in values.items()}
        return self.clean(json.dumps(kept, ensure_ascii=False))


def _form(secret: str) -> str:
    """Return what finds a secret; a short one only where it is a word of its own."""
    if len(secret) >= ANYWHERE_CHARACTERS:
        return re.escape(secret)
    return rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])"


def _value(key: str, value: Any) -> Any:
    if isinstance(value, bool | int | float) or value is None:
        return value
    if not isinstance(value, str):
        return MASK
    if key == "failure":
        return list(_frames(value))
    if key in SENTENCE_KEYS:
        return _QUOTED.sub("…", value)
    if key in KEPT_KEYS or (key != "text" and _PLAIN.fullmatch(value)):
        return value
    return f"({len(value)} characters)"


def _frames(traceback: str) -> Iterator[str]:
    """Yield where an exception came from, and its kind; not what it said."""
    for line in traceback.splitlines():
        found = _FRAME.match(line) or _RAISED.match(line)
        if found:
            yield found[0].strip()


def secrets_of(config: Config) -> Iterator[str]:
    """Yield every secret in a configuration."""
    for token in config.tokens:
        yield token.token
    for link in config.links.values():
        yield link.account.secret
        if link.listener is not None:
            yield link.listener.account.secret
        if link.proxy is not None:
            yield link.proxy.password
    for customer in config.northbound.customers:
        yield customer.login.secret
    if isinstance(config.gateway.database, Server):
        yield config.gateway.database.password
