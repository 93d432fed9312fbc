"""Where a database is: a file, or a PostgreSQL server's. It imports no database library."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from smsgw.errors import ConfigError

SCHEMES = ("postgresql", "postgres")
PORT = 5432
OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding", "target_session_attrs")
"""Connection parameters of libpq that may follow after a question mark."""

HOW = 'write "postgresql://user@host:port/name"'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database of a PostgreSQL server.

    Attributes:
        host: Its name or address; "" for the socket on this machine.
        port: Its port.
        name: Which of its databases.
        user: The role.
        password: The role's password; "" when it needs none. It is in no text made of this.
        options: Connection parameters and their values (:data:`OPTIONS`).
    """

    host: str
    port: int
    name: str
    user: str
    password: str = dataclasses.field(default="", repr=False)
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Server:
        """Return what ``postgresql://user:password@host:port/name?sslmode=…`` says.

        Raises:
            ConfigError: It cannot be used; the text is not repeated, as it may hold a password.
        """
        try:
            parts = urlsplit(text)
            port = parts.port or PORT
            options = tuple(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            raise ConfigError("database", f"is no address of a database; {HOW}") from None
        name, user = parts.path.removeprefix("/"), unquote(parts.username or "")
        if parts.scheme not in SCHEMES or not name or "/" in name or not user or parts.fragment:
            lacks = "; the name is missing" if not name else "; the user is missing" * (not user)
            raise ConfigError("database", f"is no address of a database; {HOW}{lacks}")
        for option, _ in options:
            if option not in OPTIONS:
                raise ConfigError(
                    "database", f"option {option!r} is none of {', '.join(OPTIONS)}; {HOW}"
                )
        return cls(
            host=parts.hostname or "",
            port=port,
            name=unquote(name),
            user=user,
            password=unquote(parts.password or ""),
            options=options,
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = f"?{urlencode(self.options)}" if self.options else ""
        name, user = quote(self.name, safe=""), quote(self.user, safe="")
        return f"postgresql://{user}@{host}:{self.port}/{name}{options}"


Where = Path | Server


def where(text: Path | Server | str) -> Where:
    """Return where a text says: an address that names its scheme, or else a file.

    Raises:
        ConfigError: It names a scheme, and is no good address.
    """
    if isinstance(text, Path | Server):
        return text
    scheme, is_address, _ = text.partition("://")
    if is_address and scheme not in SCHEMES:
        raise ConfigError("database", f"{scheme!r} is no database we know; {HOW}, or a file's path")
    return Server.parse(text) if text.split(":", 1)[0] in SCHEMES else Path(text)
