"""What a link reports about itself; metrics and logs implement it."""

from __future__ import annotations

from typing import Protocol

from smsgw.errors import Disposition
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.states import Ending


class LinkObserver(Protocol):
    """Called once per batch or per change of state, never per octet."""

    def bound(self, link: str) -> None:
        """One more connection of ``link`` is logged in."""

    def unbound(self, link: str, ending: Ending) -> None:
        """A logged-in connection of ``link`` ended."""

    def bind_refused(self, link: str, kind: RefusalKind) -> None:
        """A login was refused."""

    def submits(self, link: str, disposition: Disposition, count: int) -> None:
        """So many submits got this outcome."""

    def not_taken(self, link: str, code: str, count: int) -> None:
        """So many submits were not accepted, with this code or for this reason of ours."""

    def unlisted(self, link: str, code: str) -> None:
        """An answer had a result that no table lists; ``other`` after very many different ones."""

    def inbound(self, link: str, kind: str, count: int) -> None:
        """So many ``mo`` or ``report`` came in."""

    def mistake(self, link: str, problem: str) -> None:
        """The peer sent something wrong."""


class Silent:
    """The observer of a link nobody watches."""

    def bound(self, link: str) -> None: ...

    def unbound(self, link: str, ending: Ending) -> None: ...

    def bind_refused(self, link: str, kind: RefusalKind) -> None: ...

    def submits(self, link: str, disposition: Disposition, count: int) -> None: ...

    def not_taken(self, link: str, code: str, count: int) -> None: ...

    def unlisted(self, link: str, code: str) -> None: ...

    def inbound(self, link: str, kind: str, count: int) -> None: ...

    def mistake(self, link: str, problem: str) -> None: ...
