"""``smsgw webhooks``: where events are posted to, and whether they arrive."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Failed, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

_COLUMNS = ("id", "url", "state", "delivered_at", "failing_since", "problem", "dead_events")
_KEYS = (
    "id",
    "url",
    "kinds",
    "state",
    "reason",
    "created_at",
    "cursor",
    "delivered_at",
    "failing_since",
    "attempts",
    "next_attempt_at",
    "problem",
    "old_secret_until",
    "dead_events",
    "replays",
)
_LETTER = ("id", "after", "until", "events", "failing_since", "why", "at")


@click.group(epilog=EPILOG)
def webhooks() -> None:
    """Have events posted to a URL, and see whether they arrive."""


@webhooks.command(epilog=EPILOG)
@click.argument("target", metavar="URL")
@click.option("--kind", "kinds", multiple=True, help="Only these, such as request.*; repeatable.")
@api_options
def add(api: Api, target: str, kinds: tuple[str, ...], as_json: bool) -> None:
    """Have events posted to URL from now on; prints the id and the secret, once."""
    made = api.post("/v1/webhooks", {"url": target, "kinds": list(kinds)})
    show_json(made) if as_json else click.echo(f"{made['id']} {made['secret']}")


@webhooks.command("list", epilog=EPILOG)
@page_options
@api_options
def list_(api: Api, limit: int, cursor: str | None, as_json: bool) -> None:
    """List webhooks, newest first."""
    page = api.get("/v1/webhooks", {"limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    show_table(_COLUMNS, [[one.get(key) for key in _COLUMNS] for one in page["webhooks"]])
    show_next(page)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@api_options
def show(api: Api, webhook_id: str, as_json: bool) -> None:
    """Show a webhook: how far it is, and what is wrong."""
    _show(api.get(f"/v1/webhooks/{webhook_id}"), as_json)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@click.option("--to", "target", metavar="URL", help="Post there.")
@click.option("--kind", "kinds", multiple=True, help="Only these; repeatable.")
@click.option("--all-kinds", is_flag=True, help="All kinds.")
@api_options
def change(
    api: Api,
    webhook_id: str,
    target: str | None,
    kinds: tuple[str, ...],
    all_kinds: bool,
    as_json: bool,
) -> None:
    """Post somewhere else, or other kinds of events."""
    body: Json = {} if target is None else {"url": target}
    if kinds or all_kinds:
        body["kinds"] = list(kinds)
    _show(api.post(f"/v1/webhooks/{webhook_id}/change", body), as_json)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@api_options
def remove(api: Api, webhook_id: str, as_json: bool) -> None:
    """Forget a webhook, its dead letters too."""
    gone = api.post(f"/v1/webhooks/{webhook_id}/remove", {})
    show_json(gone) if as_json else click.echo(f"{webhook_id} removed")


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@api_options
def test(api: Api, webhook_id: str, as_json: bool) -> None:
    """Post an event webhook.test now; fails when it is not taken."""
    outcome = api.post(f"/v1/webhooks/{webhook_id}/test", {})
    if as_json:
        show_json(outcome)
    if not outcome["delivered"]:
        raise Failed(outcome["problem"])
    if not as_json:
        click.echo(f"{outcome['status']} in {outcome['seconds']:.3f} s")


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@api_options
def pause(api: Api, webhook_id: str, as_json: bool) -> None:
    """Post nothing until it is resumed; events wait."""
    _state(api.post(f"/v1/webhooks/{webhook_id}/pause", {}), as_json)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@api_options
def resume(api: Api, webhook_id: str, as_json: bool) -> None:
    """Go on; one that fails is tried again at once."""
    _state(api.post(f"/v1/webhooks/{webhook_id}/resume", {}), as_json)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@click.option(
    "--overlap",
    type=float,
    metavar="SECONDS",
    help="How long the old secret signs as well.  [default: a day]",
)
@api_options
def rotate(api: Api, webhook_id: str, overlap: float | None, as_json: bool) -> None:
    """Sign with a new secret; prints it, once."""
    body = {} if overlap is None else {"overlap": overlap}
    made = api.post(f"/v1/webhooks/{webhook_id}/rotate", body)
    show_json(made) if as_json else click.echo(made["secret"])


@webhooks.command("dead", epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@page_options
@api_options
def dead(api: Api, webhook_id: str, limit: int, cursor: str | None, as_json: bool) -> None:
    """List what could not be delivered in a day."""
    page = api.get(f"/v1/webhooks/{webhook_id}/dead-letters", {"limit": limit, "cursor": cursor})
    if as_json:
        show_json(page)
        return
    show_table(_LETTER, [[one.get(key) for key in _LETTER] for one in page["dead_letters"]])
    show_next(page)


@webhooks.command(epilog=EPILOG)
@click.argument("webhook_id", metavar="ID")
@click.option("--after", metavar="EVENT", help="Events newer than this one.")
@click.option("--since", metavar="TIME", help="Or since then, such as 2026-11-22T09:00+08:00.")
@click.option("--until", metavar="EVENT", help="Up to this event.")
@click.option("--dead", "dead_letter", metavar="LETTER", help="Or this dead letter, or all.")
@api_options
def replay(
    api: Api,
    webhook_id: str,
    after: str | None,
    since: str | None,
    until: str | None,
    dead_letter: str | None,
    as_json: bool,
) -> None:
    """Have events delivered again, beside the new ones."""
    asked = {"after": after, "since": since, "until": until, "dead_letter": dead_letter}
    body = {key: value for key, value in asked.items() if value is not None}
    shown = api.post(f"/v1/webhooks/{webhook_id}/replay", body)
    show_json(shown) if as_json else click.echo(f"{shown['id']} replays {shown['replays']}")


def _state(shown: Json, as_json: bool) -> None:
    show_json(shown) if as_json else click.echo(f"{shown['id']} {shown['state']}")


def _show(shown: Json, as_json: bool) -> None:
    if as_json:
        show_json(shown)
        return
    rows = [[key, ", ".join(shown[key]) if key == "kinds" else shown[key]] for key in _KEYS]
    show_table(["field", "value"], rows)
