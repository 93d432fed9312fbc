"""Reads one inbound message and does everything that follows, in one transaction.

Rules: an inbound message is handled once, however often it is given. We ask back once per item, and
once a day about what came without its extension; what stays unclear is a person's to read (event
``request.unclear``). A batch answer (``1 3 5 同意``) is recorded for each item and confirmed once.
"""

from __future__ import annotations

from smsgw.errors import Conflict, NotFound
from smsgw.services import conversations, ledger
from smsgw.services.ledger import CONVERSATION
from smsgw.services.requests import counting, listing, opting
from smsgw.services.requests.answering import (
    ECHO_MS,
    answer_phone,
    heard_us,
    same_before,
)
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.matching import (
    Match,
    match,
)
from smsgw.services.requests.one_reply import MADE, REPEAT_WINDOW_MS, Reply
from smsgw.store import inbox
from smsgw.store.inbox import InboundRow


def settle(changes: Changes, inbound_id: int) -> str:
    """Handle an inbound message unless it was handled before; return its outcome.

    Outcomes: ``decided``, ``noted`` (recorded, the question stays open), ``transferred``,
    ``unconfirmed`` (a consent that needs more), ``asked_back``, ``listed``, ``unclear`` (for a
    person), ``repeated``, ``already`` (they had answered), ``late`` (decided without them),
    ``stranger``, ``opted_out``, ``opted_in``, ``inbox``, and of conversations ``replied`` and
    ``late``.

    Raises:
        NotFound: No such inbound message.
        Conflict: Another process handles it; undo the transaction and look again.
    """
    inbound = inbox.get(changes.connection, inbound_id)
    if inbound is None:
        raise NotFound(f"inbound {inbound_id}: not recorded")
    if inbound.handled_at is not None:
        return inbound.outcome
    changes.actor = inbound.sender
    if inbound.extension:
        number = inbound.access_number, inbound.extension
        found = ledger.find(changes.connection, inbound.sender, *number, changes.now)
        if found is not None and found.slot.owner == CONVERSATION:
            return conversations.take(changes, inbound, found)
        if found is None:
            presets = changes.tools.presets
            (counted,) = counting.settle(changes.connection, presets, [inbound], changes.now)
            if counted:
                return counted
    return _settle(changes, inbound, match(changes, inbound))


def _settle(changes: Changes, inbound: InboundRow, found: Match) -> str:
    request_id = assignment_id = account = None
    if opted := opting.settle(changes, inbound, found):
        outcome = opted
    elif found.answers:
        made = [Reply(changes, inbound, found.how, *one) for one in found.answers]
        replies = list({one.row.id: one for one in made}.values())
        accounts = {one.rows.request.account for one in replies}
        account = accounts.pop() if len(accounts) == 1 else None
        if len(replies) == 1:
            request_id, assignment_id = replies[0].rows.request.id, replies[0].row.id
            outcome = replies[0].settle()
            replies[0].say()
        else:
            outcome = _settle_batch(changes, inbound, replies)
    elif found.how == "several":
        outcome = _list(changes, inbound, found)
    else:
        outcome = "inbox"
    if not inbox.mark_handled(
        changes.connection,
        inbound.id,
        outcome,
        changes.now,
        request_id=request_id,
        assignment_id=assignment_id,
        account=account,
    ):
        raise Conflict(f"inbound {inbound.id}: another process has handled it meanwhile")
    return outcome


def _settle_batch(changes: Changes, inbound: InboundRow, replies: list[Reply]) -> str:
    """Record an answer to several items, each by itself, and confirm them in one message."""
    before = same_before(changes, inbound, REPEAT_WINDOW_MS)
    is_new = any(one.row.state == "asked" for one in replies)  # of another list, perhaps
    if before is not None and before.outcome in MADE and not is_new:
        return "repeated"
    outcomes = []
    for one in replies:
        one.reload()  # an item before may have changed the request that this one belongs to
        outcomes.append(one.settle())
    said = [one.said for one in replies if one.said]
    first = replies[0].rows.request
    same = all(one.rows.request.account == first.account for one in replies)
    if said:
        message = Outgoing(
            account=first.account if same else "",
            to=inbound.sender,
            text="\n".join(said),
            access_number=inbound.access_number,
            extension=inbound.extension,
            expects_reply=False,
            request_id=None,
        )
        answer_phone(changes, inbound, message)
    return "decided" if "decided" in outcomes else outcomes[0]


def _list(changes: Changes, inbound: InboundRow, found: Match) -> str:
    """Ask which of several items is meant; once, then it is a person's to read."""
    before = inbox.page(changes.connection, before=inbound.id, sender=inbound.sender, limit=1)
    day_ago = inbound.received_at - listing.LIFE_MS
    asked = before and before[0].outcome == "listed" and before[0].received_at > day_ago
    echoed = (
        before
        and before[0].outcome in ("listed", "repeated")
        and before[0].text == inbound.text
        and inbound.received_at - before[0].received_at < ECHO_MS
        and not heard_us(changes, inbound)
    )
    if echoed:
        return "repeated"
    account = listing.account_of(found.choices)
    if not asked and found.choices and _send_list(changes, inbound, found, account):
        return "listed"
    changes.emit("reply.unclear", inbound.id, account, phone=inbound.sender, text=inbound.text)
    return "unclear"


def _send_list(changes: Changes, inbound: InboundRow, found: Match, account: str) -> bool:
    message = Outgoing(
        account=account,
        to=inbound.sender,
        text=listing.text_of(changes, found.choices),
        access_number=inbound.access_number,
        extension="",
        expects_reply=True,
        request_id=None,
    )
    if not answer_phone(changes, inbound, message):
        return False
    shown = listing.remember(changes, inbound.sender, inbound.access_number, found.choices)
    items = {str(number): str(row_id) for number, row_id in shown.items()}
    changes.emit("reply.listed", inbound.id, account, phone=inbound.sender, items=items)
    return True
