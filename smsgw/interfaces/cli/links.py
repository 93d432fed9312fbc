"""``smsgw links``: the carriers and whether they are up."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table


@click.command(epilog=EPILOG)
@api_options
def links(api: Api, as_json: bool) -> None:
    """Show the carriers, whether they are up, and why they send no faster.

    "answer" is how long a carrier takes to answer a submit, smoothed.
    """
    answer = api.get("/v1/links")
    if as_json:
        show_json(answer)
        return
    show_table(
        [
            "link",
            "protocol",
            "up",
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
                "yes" if one.get("up") else "no",
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


def _reasons(link: Json) -> str:
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
