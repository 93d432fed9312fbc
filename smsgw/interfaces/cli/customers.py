"""``smsgw customers``: who binds to us."""

from __future__ import annotations

import click

from smsgw.interfaces.cli.client import Api, Json, api_options
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.show import show_json, show_table


@click.command(epilog=EPILOG)
@api_options
def customers(api: Api, as_json: bool) -> None:
    """Show who binds to us, over which connections, and what waits for them.

    "unanswered" are its submits that have no answer yet, "in flight" what it has not acknowledged,
    "waiting" that and what comes after it.
    """
    answer = api.get("/v1/customers")
    if as_json:
        show_json(answer)
        return
    show_table(
        [
            "customer",
            "protocol",
            "account",
            "extensions",
            "binds",
            "from",
            "unanswered",
            "in flight",
            "window",
            "rate",
            "waiting",
        ],
        [
            [
                one["name"],
                one["protocol"],
                one["account"],
                ", ".join(one["extensions"]),
                f"{len(one['binds'])} of {one['binds_max']}",
                ", ".join(bind["host"] for bind in one["binds"]),
                _sum(one, "unanswered"),
                _sum(one, "in_flight"),
                one["window"],
                one["rate"],
                one["waiting"],
            ]
            for one in answer["customers"]
        ],
    )


def _sum(customer: Json, key: str) -> int:
    return sum(bind[key] for bind in customer["binds"])
