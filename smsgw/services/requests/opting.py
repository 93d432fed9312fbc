"""Words by which a phone opts out, and in again: ``T``, ``TD``, ``R``, ``退订``; ``恢复``.

Rules: written to our plain number, or to a department's own extension, it counts at once; to the
number of a question it may be a slip, so it is asked back first, and counts when it comes again
within a day. To a conversation, or as the word of a keyword service, it is theirs to read.
"""

from __future__ import annotations

from smsgw.services.folding import fold
from smsgw.services.questions import APPROVAL
from smsgw.services.requests.answering import ECHO_MS, answer_phone
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.matching import Match
from smsgw.store import inbox, opt_outs
from smsgw.store import requests as rows_of
from smsgw.store.inbox import InboundRow

OPTED_OUT, OPTED_IN = "opted_out", "opted_in"
"""Outcomes."""

AGAIN_MS = 86_400_000

OUT_TEXT = "已为您退订，此后不再发送通知和群发短信。如需恢复，请回复：恢复"
IN_TEXT = "已为您恢复接收短信。如需退订，请回复：T"


def settle(changes: Changes, inbound: InboundRow, found: Match) -> str:
    """Record that a phone opts out or in by what it wrote; "" when it does not.

    Args:
        changes: The transaction.
        inbound: What it wrote.
        found: What that is about.
    """
    said = fold(inbound.text, APPROVAL.vocabulary).text
    opts_out = said in APPROVAL.vocabulary.opt_outs
    if not opts_out and said not in APPROVAL.vocabulary.opt_ins:
        return ""
    account = _account(changes, inbound, found, opts_out)
    if account is None:
        return ""
    source = f"sms:{inbound.id}"
    phone = [inbound.sender]
    if opts_out:
        changed = opt_outs.add(changes.connection, phone, account, source, changes.now)
    else:
        changed = opt_outs.end_all(changes.connection, inbound.sender, account, source, changes.now)
        if not changed:
            return ""  # nothing to undo: it means something else
    if changed:
        _confirm(changes, inbound, account, OUT_TEXT if opts_out else IN_TEXT)
    return OPTED_OUT if opts_out else OPTED_IN


def _account(changes: Changes, inbound: InboundRow, found: Match, opts_out: bool) -> str | None:
    """Return whose messages it is about, "" for everybody's; None when it does not count."""
    if changes.tools.is_service(inbound.destination, inbound.text):
        return inbound.account if inbound.extension else None
    if not inbound.extension or found.how == "none":
        return inbound.account
    if opts_out and len(found.answers) == 1 and _said_before(changes, inbound):
        row = found.answers[0][0]
        return rows_of.account_of(changes.connection, row.request_id)
    return None


def _said_before(changes: Changes, inbound: InboundRow) -> bool:
    """Whether the last it wrote was such a word to the same number, and this is no echo of it."""
    earlier = inbox.page(changes.connection, before=inbound.id, sender=inbound.sender, limit=1)
    if not earlier or earlier[0].destination != inbound.destination:
        return False
    said = fold(earlier[0].text, APPROVAL.vocabulary).text
    passed = inbound.received_at - earlier[0].received_at
    return said in APPROVAL.vocabulary.opt_outs and ECHO_MS <= passed <= AGAIN_MS


def _confirm(changes: Changes, inbound: InboundRow, account: str, text: str) -> None:
    message = Outgoing(
        account=account,
        to=inbound.sender,
        text=text,
        access_number=inbound.access_number,
        extension="",
        expects_reply=False,
        request_id=None,
    )
    answer_phone(changes, inbound, message)
