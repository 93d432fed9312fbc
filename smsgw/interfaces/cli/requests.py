"""``smsgw requests``: ask people, and see what they answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from smsgw.interfaces.cli.audit import evidence
from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.drafts import draft_options, person, request_body
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

_LISTED = ("id", "subject", "preset", "state", "outcome", "reference", "created_at")
_SHOWN = (
    *("id", "type", "preset", "subject", "body", "state", "outcome", "reference", "deadline"),
    *("confirmation", "allow_change", "urgent", "version", "created_at", "closed_at"),
)

version_option = click.option(
    "--version", type=int, metavar="N", help="Only if this is still the request's version."
)


@click.group(epilog=EPILOG)
def requests() -> None:
    """Ask people, and see what they answered."""


requests.add_command(evidence)


@requests.command(epilog=EPILOG)
@draft_options
@api_options
def new(api: Api, as_json: bool, **written: Any) -> None:
    """Ask people; prints the request's id."""
    answer = api.post("/v1/requests", request_body(written))
    if as_json:
        show_json(answer)
    else:
        click.echo(answer["id"])


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@api_options
def show(api: Api, request_id: str, as_json: bool) -> None:
    """Show a request, whom it asks and what they answered."""
    request = api.get(f"/v1/requests/{request_id}")
    if as_json:
        show_json(request)
        return
    _show_request(request)
    _show_steps(request)
    _show_people(request)
    _show_answers(request)


@requests.command("list", epilog=EPILOG)
@click.option("--state", type=click.Choice(["open", "closed", "withdrawn", "expired"]))
@click.option("--reference", help="Only with this reference.")
@page_options
@api_options
def list_(
    api: Api,
    state: str | None,
    reference: str | None,
    limit: int,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List requests, newest first."""
    asked = {"state": state, "reference": reference, "limit": limit, "cursor": cursor}
    page = api.get("/v1/requests", asked)
    if as_json:
        show_json(page)
        return
    show_table(_LISTED, [[one.get(key) for key in _LISTED] for one in page["requests"]])
    show_next(page)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.argument("assignment_id", metavar="ASSIGNEE")
@click.argument("decision", metavar="ANSWER")
@click.option("--reason", default="", help="Why.")
@version_option
@api_options
def decide(
    api: Api,
    request_id: str,
    assignment_id: str,
    decision: str,
    reason: str,
    version: int | None,
    as_json: bool,
) -> None:
    """Answer in the name of ASSIGNEE (their id in `show`); ANSWER is an allowed answer's key."""
    body: Json = {"assignment_id": assignment_id, "decision": decision, "reason": reason}
    _change(api, request_id, "decisions", {**body, "version": version}, as_json)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.argument("assignment_id", metavar="ASSIGNEE")
@click.argument("to", metavar="NAME:PHONE", type=person)
@version_option
@api_options
def delegate(
    api: Api, request_id: str, assignment_id: str, to: Json, version: int | None, as_json: bool
) -> None:
    """Give the place of ASSIGNEE (their id in `show`) to somebody else, who is asked."""
    body = {"assignment_id": assignment_id, "to": to, "version": version}
    _change(api, request_id, "delegations", body, as_json)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.option("--reason", default="", help="Why.")
@version_option
@api_options
def withdraw(api: Api, request_id: str, reason: str, version: int | None, as_json: bool) -> None:
    """End a request that need not be decided any more."""
    _change(api, request_id, "withdraw", {"reason": reason, "version": version}, as_json)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@version_option
@api_options
def close(api: Api, request_id: str, version: int | None, as_json: bool) -> None:
    """End a survey or a vote with what was answered until now."""
    _change(api, request_id, "close", {"version": version}, as_json)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.option("--to", "assignment_id", metavar="ASSIGNEE", help="Only this one (the id in `show`).")
@api_options
def resend(api: Api, request_id: str, assignment_id: str | None, as_json: bool) -> None:
    """Ask again who has not answered."""
    _change(api, request_id, "resend", {"assignment_id": assignment_id}, as_json)


@requests.command(epilog=EPILOG)
@click.argument("phone")
@api_options
def digest(api: Api, phone: str, as_json: bool) -> None:
    """Send PHONE the list of all it has open."""
    answer = api.post("/v1/digests", {"phone": phone})
    if as_json:
        show_json(answer)
    else:
        click.echo("sent" if answer["sent"] else "nothing is open")


def _change(api: Api, request_id: str, call: str, body: Json, as_json: bool) -> None:
    """Change a request, and print what it came to."""
    request = api.post(f"/v1/requests/{request_id}/{call}", body)
    if as_json:
        show_json(request)
    else:
        click.echo(f"{request['id']} {request.get('outcome') or request['state']}")


def _show_request(request: Json) -> None:
    rows: list[tuple[str, object]] = [(key, request.get(key)) for key in _SHOWN]
    if request["applicant"]:
        rows.append(("applicant", _who(request["applicant"])))
    rows += [(f"vote {key}", _flat(value)) for key, value in (request["vote"] or {}).items()]
    show_table(["field", "value"], rows)


def _show_steps(request: Json) -> None:
    keys = ("rule", "state", "outcome", "deadline")
    rows = [
        [
            int(step["position"]) + 1,
            step["name"],
            *(step.get(key) for key in keys),
            ", ".join(f"{one['label']} {one['count']}" for one in step["answers"]),
            ", ".join(f"{after:g} s" for after in step["reminders"]),
            ", ".join(f"{one['after']:g} s {_who(one)}" for one in step["escalation"]),
        ]
        for step in request["steps"]
    ]
    show_table(["step", "name", *keys, "tally", "reminders", "escalation"], rows, "steps")


def _show_people(request: Json) -> None:
    people = [one for step in request["steps"] for one in step["assignees"]]
    names = {one["id"]: _who(one) for one in people}
    keys = ("id", "name", "phone", "sender_number", "state", "prompt_status", "reminded")
    rows = [
        [
            int(step["position"]) + 1,
            *(one.get(key) for key in keys),
            one["decision"] or one["progress"],
            one["reason"],
            one["rule"],
            _history(one, names),
        ]
        for step in request["steps"]
        for one in step["assignees"]
    ]
    columns = ["step", "id", "name", "phone", "sender", "state", "prompt", "reminded", "answer"]
    show_table([*columns, "reason", "matched by", "in place of"], rows, "people")


def _show_answers(request: Json) -> None:
    keys = ("at", "channel", "actor", "decision", "reason", "text", "rule", "anomaly")
    rows = [
        [_who(one), *(given.get(key) for key in keys), "yes" if given["counted"] else "no"]
        for step in request["steps"]
        for one in step["assignees"]
        for given in one["answers"]
    ]
    if rows:
        show_table(["who", *keys, "counted"], rows, "answers")


def _history(one: Json, names: Mapping[str, str]) -> str:
    """Whose place somebody took, and who gave it to them."""
    if one["role"] != "assignee":
        return str(one["role"])
    if not one["delegated_from"]:
        return ""
    return f"{names[one['delegated_from']]} (by {one['delegated_by']})"


def _who(one: Json) -> str:
    return str(one["name"] or one["phone"])


def _flat(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value
