"""``smsgw stats``: how many messages, replies and requests there were, and what became of them."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table
from smsgw.interfaces.cli.times import moment


@click.command(epilog=EPILOG)
@click.option(
    "--since",
    metavar="TIME",
    callback=moment,
    help="From when on, such as 2026-11-22T09:00.  [default: a day before --until]",
)
@click.option("--until", metavar="TIME", callback=moment, help="Until when.  [default: now]")
@api_options
def stats(api: Api, since: str | None, until: str | None, as_json: bool) -> None:
    """Count messages by class, link and status, replies and requests; of 31 days at most."""
    answer = api.get("/v1/stats", {"since": since, "until": until})
    if as_json:
        show_json(answer)
        return
    show_table(["what", "of", "became", "count"], _rows(answer))


def _rows(answer: Json) -> list[list[object]]:
    rows: list[list[object]] = [["messages", "all", "accepted", answer["messages"]]]
    rows.append(["segments", "all", "accepted", answer["segments"]])
    for what in ("by_class", "by_link"):
        name = what.removeprefix("by_")
        for of, counts in answer[what].items():
            rows += [[name, of, status, count] for status, count in counts.items()]
    for what in ("inbound", "requests"):
        rows += [[what, "", outcome, count] for outcome, count in answer[what].items()]
    rows.append(["queued", "oldest", answer["oldest_queued_at"], ""])
    return rows
