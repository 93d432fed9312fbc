"""``smsgw requests``: ask people, and see what they answered."""

from __future__ import annotations

from collections.abc import Sequence

import click

from smsgw.interfaces.cli.audit import evidence
from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.messages import page_options
from smsgw.interfaces.cli.show import show_json, show_next, show_table

RULES = ("all", "any")


@click.group(epilog=EPILOG)
def requests() -> None:
    """Ask people, and see what they answered."""


requests.add_command(evidence)


@requests.command(epilog=EPILOG)
@click.option("--subject", required=True, help="What is to be decided, in one line.")
@click.option("--body", default="", help="Everything they need to know.")
@click.option(
    "--approver",
    "approvers",
    multiple=True,
    metavar="NAME:PHONE",
    help="Whom to ask; repeat it for several people in one step.",
)
@click.option(
    "--rule",
    type=click.Choice(RULES),
    default="all",
    show_default=True,
    help="Whether all approvers must agree, or any one of them.",
)
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="[RULE=]NAME:PHONE,NAME:PHONE…",
    help="A whole step instead of --approver; repeat it for steps one after the other.",
)
@click.option("--ref", default="", help="Your own reference.")
@api_options
def new(
    api: Api,
    subject: str,
    body: str,
    approvers: Sequence[str],
    rule: str,
    steps: Sequence[str],
    ref: str,
    as_json: bool,
) -> None:
    """Ask for an approval; prints the request's id."""
    if bool(approvers) == bool(steps):
        raise click.UsageError("give --approver (one step) or --step (several), and not both")
    drafts = [_step(one) for one in steps] or [_draft(rule, approvers, "--approver")]
    answer = api.post(
        "/v1/requests",
        {
            "preset": "approval",
            "subject": subject,
            "body": body,
            "steps": drafts,
            "reference": ref,
        },
    )
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
    keys = ("id", "subject", "state", "outcome", "reference", "created_at", "closed_at")
    show_table(["field", "value"], [[key, request.get(key)] for key in keys])
    show_table(
        ["step", "rule", "name", "phone", "sender", "prompt", "answer", "reason", "matched by"],
        [_assignee_row(step, one) for step in request["steps"] for one in step["assignees"]],
    )


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
    keys = ("id", "subject", "state", "outcome", "reference", "created_at")
    show_table(keys, [[one.get(key) for key in keys] for one in page["requests"]])
    show_next(page)


@requests.command(epilog=EPILOG)
@click.argument("request_id", metavar="ID")
@click.argument("assignment_id", metavar="ASSIGNEE")
@click.argument("decision", type=click.Choice(["yes", "no"]))
@click.option("--reason", default="", help="Why.")
@api_options
def decide(
    api: Api, request_id: str, assignment_id: str, decision: str, reason: str, as_json: bool
) -> None:
    """Answer in the name of ASSIGNEE (the id that `show --json` gives)."""
    body: Json = {"assignment_id": assignment_id, "decision": decision, "reason": reason}
    request = api.post(f"/v1/requests/{request_id}/decisions", body)
    if as_json:
        show_json(request)
    else:
        click.echo(f"{request['id']} {request.get('outcome') or request['state']}")


def _step(written: str) -> Json:
    rule, equals, people = written.partition("=")
    if not equals:
        rule, people = "all", written
    if rule not in RULES:
        raise click.BadParameter(f"{rule!r} is none of {', '.join(RULES)}", param_hint="--step")
    return _draft(rule, people.split(","), "--step")


def _draft(rule: str, people: Sequence[str], hint: str) -> Json:
    return {"rule": rule, "assignees": [_assignee(one, hint) for one in people]}


def _assignee(written: str, hint: str) -> Json:
    name, colon, phone = written.replace("\uff1a", ":").rpartition(":")
    if not colon or not phone.strip():
        raise click.BadParameter(f"{written!r}: write NAME:PHONE", param_hint=hint)
    return {"name": name.strip(), "phone": phone.strip()}


def _assignee_row(step: Json, one: Json) -> list[object]:
    keys = ("name", "phone", "sender_number", "prompt_status", "decision", "reason", "rule")
    return [int(step["position"]) + 1, step["rule"], *(one.get(key) for key in keys)]
