"""Lists of a phone's open items: sent when it is unclear which is meant, as digests and reminders.

Every item keeps its number for a day (:mod:`smsgw.store.listed`), so that an answer to an older
list never means another item.
"""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.errors import Conflict
from smsgw.services.requests.asking import UNSENDABLE
from smsgw.services.requests.changes import Changes, Outgoing
from smsgw.services.requests.presets import LIST_SHOWN
from smsgw.store import listed
from smsgw.store import requests as rows_of
from smsgw.store.requests import AssignmentRow, RequestRow

LIFE_MS = 86_400_000
"""How long the numbers of a list stand for their items."""

NUMBER_MAX = 99

Items = dict[int, tuple[AssignmentRow, RequestRow]]
"""Open items by the number each is shown under."""


def numbers(changes: Changes, phone: str, access_number: str) -> dict[int, int]:
    """Return what the numbers a phone was shown stand for: ids of assignments."""
    return listed.numbers(changes.connection, phone, access_number, changes.now - LIFE_MS)


def numbered(still_open: list[tuple[AssignmentRow, RequestRow]], known: Mapping[int, int]) -> Items:
    """Give every open item its number: the one it was shown under, or one not in use.

    Of a phone that was shown 99 items within a day the others get none, until a day has passed.
    """
    number_of = {assignment_id: number for number, assignment_id in known.items()}
    free = (number for number in range(1, NUMBER_MAX + 1) if number not in known)
    found: Items = {}
    for row, request in still_open:
        number = number_of.get(row.id) or next(free, None)
        if number is not None:
            found[number] = (row, request)
    return dict(sorted(found.items()))


def text_of(changes: Changes, items: Items) -> str:
    """Return the list as people read it; of many the first ones."""
    requests = [request for _, request in items.values()]
    first = changes.preset_of(requests[0])
    mixed = any(one.preset != requests[0].preset for one in requests)
    subjects = [(number, request.subject) for number, (_, request) in items.items()]
    return first.listing(subjects, "待处理事项" if mixed else first.things)


def account_of(items: Items) -> str:
    """Return whose all the items are; "" when they are of several."""
    accounts = {request.account for _, request in items.values()}
    return accounts.pop() if len(accounts) == 1 else ""


def remember(changes: Changes, phone: str, access_number: str, items: Items) -> dict[int, int]:
    """Keep which number was shown for which item; returns those that were.

    Raises:
        Conflict: Another process shows this phone other items under these numbers.
    """
    shown = {number: row.id for number, (row, _) in list(items.items())[:LIST_SHOWN]}
    since = changes.now - LIFE_MS
    if not listed.show(changes.connection, phone, access_number, shown, changes.now, since):
        raise Conflict(f"{phone} is sent another list at this moment; look again")
    return shown


def send(
    changes: Changes, phone: str, account: str | None = None, *, urgent: bool = False
) -> int | None:
    """Send a phone the list of everything it has open; return the message's id.

    It goes out from the plain access number of the phone's own carrier.

    Args:
        changes: The transaction.
        phone: Normalised.
        account: Only its requests; None is anyone's.
        urgent: Whether it goes out in quiet hours too.

    Returns:
        None when there was nothing to send, or it could not be sent.
    """
    still_open = [
        (row, request)
        for row, request in rows_of.open_for(changes.connection, phone)
        if account in (None, request.account)
    ]
    try:
        access_number = changes.tools.composer.sender_for(phone)
        items = numbered(still_open, numbers(changes, phone, access_number))
        if not items:
            return None
        sent_at = changes.now if urgent else changes.tools.quiet.next_allowed(changes.now)
        message_id = changes.send(
            Outgoing(
                account=account_of(items),
                to=phone,
                text=text_of(changes, items),
                access_number=access_number,
                extension="",
                expects_reply=True,
                request_id=None,
                due_at=0 if sent_at <= changes.now else sent_at,
            )
        )
    except UNSENDABLE:
        return None
    shown = remember(changes, phone, access_number, items)
    about = {str(number): str(row_id) for number, row_id in shown.items()}
    changes.emit("reply.digest", message_id, account_of(items), phone=phone, items=about)
    return message_id
