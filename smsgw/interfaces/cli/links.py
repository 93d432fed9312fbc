"""``smsgw links``: the carriers and whether they are up; stopping and starting them."""

from __future__ import annotations

import time
from urllib.parse import quote

import click

from smsgw.interfaces.cli.client import Api, Json, TimedOut, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table

STOPPED_WITHIN = 40.0
"""Seconds that a stop takes at most, and some more: 25 s for answers, 5 s for an unbind."""

LOOK_SECONDS = 0.25


class _Links(click.Group):
    """A group that loads what needs twisted or the protocols only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), "selftest", "trace"})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "selftest":
            from smsgw.interfaces.cli.selftest import selftest

            return selftest
        if cmd_name == "trace":
            from smsgw.interfaces.cli.link_trace import trace

            return trace
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Links, invoke_without_command=True, epilog=EPILOG)
@api_options
@click.pass_context
def links(context: click.Context, api: Api, as_json: bool) -> None:
    """Show the carriers, whether they are up, and why they send no faster.

    "answer" is how long a carrier takes to answer a submit, smoothed.
    """
    if context.invoked_subcommand is None:
        _list(api, as_json)


@links.command("list", epilog=EPILOG)
@api_options
def list_links(api: Api, as_json: bool) -> None:
    """List the carriers; smsgw links alone does the same."""
    _list(api, as_json)


def _list(api: Api, as_json: bool) -> None:
    answer = api.get("/v1/links")
    if as_json:
        show_json(answer)
        return
    show_table(
        [
            "link",
            "protocol",
            "state",
            "binds",
            "in flight",
            "window",
            "answer",
            "queued",
            "limited by",
            "report ids",
            "reason",
        ],
        [
            [
                one["name"],
                one.get("protocol"),
                one.get("state"),
                _bound(one),
                one.get("in_flight"),
                one.get("window"),
                _answer(one),
                one.get("queue", {}).get("queued"),
                _limit(one),
                one.get("report_ids"),
                _reasons(one),
            ]
            for one in answer["links"]
        ],
    )


@links.command(epilog=EPILOG)
@click.argument("name")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is unbound.")
@api_options
def stop(api: Api, as_json: bool, name: str, no_wait: bool) -> None:
    """Stop a link until it is started again, over restarts too.

    It finishes what is in flight and unbinds. What waits for it takes other links of its route;
    what expects a reply waits until it is started.
    """
    state = api.post(f"/v1/links/{quote(name, safe='')}/stop", {})
    until = time.monotonic() + STOPPED_WITHIN
    while state["state"] == "stopping" and not no_wait:
        if time.monotonic() > until:
            raise TimedOut(f"link {name} is stopping; smsgw links shows how far it is")
        time.sleep(LOOK_SECONDS)
        found = api.get("/v1/links")["links"]
        state = next((one for one in found if one["name"] == name), {"state": "gone"})
    _show_state(state, name, as_json)


@links.command(epilog=EPILOG)
@click.argument("name")
@api_options
def start(api: Api, as_json: bool, name: str) -> None:
    """Start a link that was stopped; one that runs goes on.

    One that still finishes what is in flight starts when that is done.
    """
    path = f"/v1/links/{quote(name, safe='')}/start"
    state = api.post(path, {}, seconds=STOPPED_WITHIN)
    if state["state"] == "down" and not as_json:
        click.echo(f"link {name}: started, and dials; smsgw links shows when it is up")
    else:
        _show_state(state, name, as_json)


def _show_state(state: Json, name: str, as_json: bool) -> None:
    if as_json:
        show_json(state)
    else:
        click.echo(f"link {name}: {state['state']}")


def _reasons(link: Json) -> str:
    if (stopped := link.get("stopped")) is not None:
        return f"stopped by {stopped['by']} {stopped['at']}"
    said = [bind.get(key) for bind in link.get("binds", []) for key in ("reason", "note")]
    return "; ".join(filter(None, said))


def _answer(link: Json) -> str:
    seconds = link.get("answer_seconds")
    return f"{seconds * 1000:.0f} ms" if seconds else ""


def _limit(link: Json) -> str:
    limit = link.get("limited_by") or {}
    if limit.get("cause") == "not bound":
        return "not bound"  # the reasons follow, each with its bind
    return ": ".join(filter(None, (limit.get("cause"), limit.get("detail"))))


def _bound(link: Json) -> str:
    binds = link.get("binds", [])
    bound = sum(bind.get("phase") == "bound" for bind in binds)
    return f"{bound} of {len(binds)}"
