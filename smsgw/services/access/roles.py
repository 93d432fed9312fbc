"""What a token may do: scopes, one for each kind of thing, and roles, which are several scopes.

A scope is about the data of the token's department (:mod:`smsgw.services.access.departments`),
unless it says "all". An endpoint names the one it needs; ``docs/access.md`` has the table.
"""

from __future__ import annotations

from collections.abc import Iterable

from smsgw.errors import ValidationError

SCOPES = {
    "messages:read": "see messages and what became of them",
    "messages:send": "send messages, and cancel them",
    "inbound:read": "see what phones sent",
    "inbound:write": "note what of it was read",
    "conversations:read": "see conversations",
    "conversations:write": "open conversations, write in them, end them",
    "requests:read": "see requests, their answers, saved flows and stand-ins",
    "requests:create": "ask people, ask again, withdraw and close",
    "requests:decide": "decide and delegate in place of a phone",
    "requests:manage": "save flows, and say who answers for whom",
    "events:read": "read events",
    "stats:read": "see how many messages, replies and requests there were",
    "webhooks:read": "see webhooks and their dead letters",
    "webhooks:write": "make, change, pause, test and replay webhooks",
    "slots:read": "see which extensions are in use",
    "routes:read": "ask which links a message would take",
    "audit:read": "read the audit chain and the evidence of requests",
    "optouts:read": "see all opt-outs",
    "optouts:write": "add and take back opt-outs, for all",
    "data:export": "be given all that is held of a phone, of all departments",
    "data:erase": "erase a phone, in all departments",
    "holds:read": "see all that is on hold",
    "holds:write": "put on hold and end holds, for all",
    "tokens:read": "see tokens",
    "tokens:write": "make, change and revoke tokens",
    "links:read": "see all links, why they are slow, and who binds to us",
    "links:control": "stop, start and try links, for all",
    "links:trace": "see what goes over links, texts and phones included",
    "gateway:control": "read the configuration again, drain",
    "reports:read": "see all reports that match no message",
    "ported:read": "see all ported numbers",
    "ported:write": "change ported numbers, for all",
}
"""Every scope, and what it allows."""

_VIEWER = {
    "messages:read",
    "inbound:read",
    "conversations:read",
    "requests:read",
    "events:read",
    "stats:read",
    "slots:read",
    "routes:read",
}
_SENDER = _VIEWER | {"messages:send", "inbound:write", "conversations:write", "requests:create"}
_APPROVER = {"requests:read", "requests:decide"}

ROLES: dict[str, frozenset[str]] = {
    "viewer": frozenset(_VIEWER),
    "sender": frozenset(_SENDER),
    "approver": frozenset(_APPROVER),
    "department-admin": frozenset(
        {
            *_SENDER,
            *_APPROVER,
            "requests:manage",
            "webhooks:read",
            "webhooks:write",
            "audit:read",
            "tokens:read",
            "tokens:write",
        }
    ),
    "operator": frozenset(
        {
            "links:read",
            "links:control",
            "gateway:control",
            "reports:read",
            "routes:read",
            "ported:read",
            "ported:write",
            "optouts:read",
            "optouts:write",
            "slots:read",
            "stats:read",
        }
    ),
    "auditor": frozenset(
        {*_VIEWER, "webhooks:read", "audit:read", "holds:read", "optouts:read", "tokens:read"}
    ),
    "admin": frozenset(SCOPES),
}
"""Every role and its scopes. An operator sees no text and no answer; a sender decides nothing."""

ADMIN = "admin"


def scopes_of(roles: Iterable[str], scopes: Iterable[str]) -> frozenset[str]:
    """Return all scopes of some roles, and of some scopes besides; unknown ones give nothing."""
    found = {scope for scope in scopes if scope in SCOPES}
    return frozenset(found.union(*(ROLES.get(role, frozenset()) for role in roles)))


def check(roles: Iterable[str], scopes: Iterable[str]) -> None:
    """Check that there are such roles and scopes.

    Raises:
        ValidationError: One is unknown.
    """
    for field, names, known in (("roles", roles, ROLES), ("scopes", scopes, SCOPES)):
        for place, name in enumerate(names):
            if name not in known:
                problem = f"{name[:40]!r} is none of {', '.join(known)}"
                raise ValidationError(f"{field}[{place}]", problem)
