"""``smsgw customers``: who binds to us, as a table and as JSON."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.cli.test_commands import rows, smsgw
from tests.support.customers import CustomerTown
from tests.support.daemon import TOKEN
from tests.support.reactor import reactor_test


@reactor_test
async def test_customers_are_listed_with_their_connections(tmp_path: Any) -> None:
    async with CustomerTown(tmp_path) as town:
        await town.customer("smpp")
        result = await smsgw(town.url, "customers", token=TOKEN)
        assert result.exit_code == 0, result.stderr
        columns, *shown = rows(result)
        found = [dict(zip(columns, row, strict=True)) for row in shown]
        by_name = {one["customer"]: one for one in found}
        assert (by_name["smpp"]["binds"], by_name["smpp"]["from"]) == ("1 of 1", "127.0.0.1")
        assert (by_name["cmpp"]["binds"], by_name["cmpp"]["waiting"]) == ("0 of 1", "0")
        result = await smsgw(town.url, "customers", "--json", token=TOKEN)
        assert len(json.loads(result.stdout)["customers"]) == 2
