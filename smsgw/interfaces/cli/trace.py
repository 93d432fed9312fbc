"""``smsgw msg trace``: what became of one message, moment by moment, on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table

_OF_ALL = ("to", "reference")
"""What the data of every event of a message says, and the head does too."""


class Moment(NamedTuple):
    """Something that happened."""

    at: str
    what: str


@click.command(epilog=EPILOG)
@click.argument("message_id", metavar="ID")
@api_options
def trace(api: Api, message_id: str, as_json: bool) -> None:
    """Show everything that happened to a message, in order.

    Who asked for it, its links, each part's submits with the carrier's answer and report, its
    events, what the phone wrote back, whether the webhooks were told, and what customers who bind
    to the gateway are still to be brought.
    """
    found = api.get(f"/v1/messages/{message_id}/trace")
    if as_json:
        show_json(found)
        return
    message = found["message"]
    show_table(["field", "value"], _head(found), f"message {message['id']}")
    show_table(
        ["at", "after", "what"],
        [[_clock(one.at), _after(message, one.at), one.what] for one in moments(found)],
        "what happened",
    )
    keys = ("part", "state", "link", "attempts", "carrier_message_id", "stat", "error", "octets")
    show_table(keys, [[one.get(key) for key in keys] for one in message["segments"]], "parts")
    columns = ("event", "webhook", "host", "state", "tries", "next try", "problem")
    show_table(columns, [_delivery(one) for one in found["deliveries"]], "webhooks")
    if found["customers"]:
        owed = [_owed(one) for one in found["customers"]]
        show_table(("customer", "is to get", "state", "since"), owed, "customers")
    if not found["events_complete"]:
        click.echo("there may be more events than these: the message is older than many", err=True)


def moments(found: Json) -> list[Moment]:
    """Return everything with a time, in order; what one moment brought stays together."""
    message = found["message"]
    known = [
        Moment(message["created_at"], _accepted(found)),
        *(moment for one in message["segments"] for moment in _of_segment(one)),
        *(Moment(one["at"], _told(one)) for one in found["events"]),
        *(Moment(one["received_at"], _reply(one)) for one in found["replies"]),
    ]
    return sorted(known, key=lambda one: datetime.fromisoformat(one.at))


def _head(found: Json) -> list[tuple[str, object]]:
    message, now = found["message"], found["route_now"]
    parts = f"{message['parts']} of {message['coding']}"
    status = f"{message['status']} {message['reason'] and '(' + message['reason'] + ')'}"
    head: list[tuple[str, object]] = [
        ("status", status.strip()),
        ("to", message["to"]),
        ("from", message["sender_number"]),
        ("text", message["text"]),
        ("parts", parts),
        ("class", message["class"]),
        ("account", found["account"]),
        ("reference", message["ref"]),
        ("send at", message["send_at"]),
        ("valid until", message["valid_until"]),
        ("link", message["link"]),
        ("left links", ", ".join(found["links_left"])),
        ("operator", message["operator"]),
        ("routed now", ", ".join(one["name"] for one in now["links"]) or now.get("refused")),
        ("because", now["why"]),
    ]
    doubtful = [str(one["part"]) for one in message["segments"] if one["possible_duplicate"]]
    if doubtful:
        head.append(("may come twice", "part " + ", ".join(doubtful)))
    return [(name, value) for name, value in head if value]


def _accepted(found: Json) -> str:
    reference = found["message"]["ref"]
    return f"accepted for {found['account']}" + (f", reference {reference}" if reference else "")


def _of_segment(one: Json) -> Iterator[Moment]:
    part = f"part {one['part']}/{one['total']}"
    if one["sent_at"]:
        tries = f", try {one['attempts']}" if one["attempts"] > 1 else ""
        answer = one["carrier_message_id"]
        got = f"answered with id {answer}" if answer else "no id in answer"
        yield Moment(one["sent_at"], f"{part} submitted over {one['link']}{tries}; {got}")
    if one["final_at"]:
        stat = " ".join(filter(None, (one["stat"], one["error"])))
        yield Moment(one["final_at"], f"{part} {one['state']}" + (f": {stat}" if stat else ""))


def _told(event: Json) -> str:
    told = {key: value for key, value in event["data"].items() if key not in _OF_ALL}
    if event["kind"] == "message.rerouted":
        return f"takes link {told['link']} in the place of {told['from']}: {told['why']}"
    data = ", ".join(f"{key} {value}" for key, value in told.items())
    return f"event {event['id']} {event['kind']}" + (f": {data}" if data else "")


def _reply(inbound: Json) -> str:
    outcome = f" ({inbound['outcome']})" if inbound["outcome"] else ""
    return f"reply {inbound['id']} over {inbound['link']}{outcome}: {inbound['text']}"


def _delivery(one: Json) -> list[object]:
    tries = one["attempts"] or None
    due = one["next_attempt_at"] and _clock(one["next_attempt_at"])
    return [one["kind"], one["webhook_id"], one["host"], one["state"], tries, due, one["problem"]]


def _owed(one: Json) -> list[object]:
    what = "the report" if one["kind"] == "report" else f"reply {one['subject_id']}"
    if one["number"] > 1:
        what = f"{one['number']} {'reports' if one['kind'] == 'report' else f'parts of {what}'}"
    if one["failures_only"]:
        what += ", if it fails"
    return [one["customer"], what, one["state"], _clock(one["since"])]


def _clock(at: str) -> str:
    return datetime.fromisoformat(at).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]


def _after(message: Json, at: str) -> str:
    """Return how long after its acceptance something happened."""
    since = datetime.fromisoformat(at) - datetime.fromisoformat(message["created_at"])
    return f"{since.total_seconds():+.3f} s"
