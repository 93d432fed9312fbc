"""What becomes of a submit: the carrier's answers explained, and the results no carrier gave.

The latter have codes below 0, which no protocol uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted.logger import Logger

from smsgw.errors import Disposition, EncodeError
from smsgw.model import SubmitResult
from smsgw.protocols.carrier import Result, ResultKind
from smsgw.protocols.events import ResponseLost, SubmitAnswered
from smsgw.transport.observer import LinkObserver

NO_ANSWER = -1
NOT_SENDABLE = -2
NOT_SENT = -3

_OURS = {NO_ANSWER: "no answer", NOT_SENDABLE: "not sendable", NOT_SENT: "not sent"}

UNLISTED_MAX = 100
"""Unlisted codes of one link that are told apart; a peer that makes them up must not fill us."""

OTHER_CODES = "other"

NO_RESULTS: Mapping[int, Result] = MappingProxyType({})
"""What a link's configuration says about results when it says nothing."""


class ResultTable:
    """A link's result codes: its own table first, then its carrier's.

    Args:
        link: The link's name.
        classify: The carrier's table.
        own: What the link's configuration says about some codes.
        observer: Told each answer whose code is in neither table.
    """

    log = Logger()

    def __init__(
        self,
        link: str,
        classify: Callable[[int], Result],
        own: Mapping[int, Result],
        observer: LinkObserver,
    ) -> None:
        self._link = link
        self._classify = classify
        self._own = dict(own)
        self._observer = observer
        self._unlisted: set[int] = set()

    def result(self, event: SubmitAnswered) -> SubmitResult:
        """Return what a carrier's answer to a submit means."""
        code = event.code
        means = self._own.get(code)
        if means is None:
            means = self._classify(code)
            if means.kind is ResultKind.VENDOR and means.disposition is Disposition.RETRY:
                self._note_unlisted(code)
        text, disposition, kind = means
        if kind is ResultKind.REPEATED and event.again and disposition is Disposition.FINAL:
            # It is about a later copy; what the carrier did with the first one, nobody knows.
            text, disposition = f"{text}: of a copy sent again", Disposition.UNKNOWN
        return SubmitResult(code, disposition, event.carrier_message_id, text, kind)

    def _note_unlisted(self, code: int) -> None:
        label = str(code)
        if code not in self._unlisted:
            if len(self._unlisted) < UNLISTED_MAX:
                self._unlisted.add(code)
                self.log.warn(
                    "link {link}: result {code} is in no table, so such submits are tried again;"
                    " once you know what it means, say so in [links.{link}.results]",
                    event="link.result_unlisted",
                    link=self._link,
                    code=code,
                )
            else:
                label = OTHER_CODES
        self._observer.unlisted(self._link, label)


def name_of(code: int) -> str:
    """Return what a submit's code is counted by: the carrier's number, or our words."""
    return _OURS.get(code) or str(code)


def unanswered(event: ResponseLost) -> SubmitResult:
    """Return the result of a submit without an answer; one that never left may be sent again."""
    if not event.written:
        text = "the connection was lost before it was sent"
        return SubmitResult(NOT_SENT, Disposition.RETRY, "", text)
    known = event.carrier_message_id
    return SubmitResult(NO_ANSWER, Disposition.UNKNOWN, known, "no answer came")


def not_sendable(error: EncodeError) -> SubmitResult:
    """Return the result of a segment that does not fit the carrier's PDU."""
    return SubmitResult(NOT_SENDABLE, Disposition.FINAL, "", str(error))
