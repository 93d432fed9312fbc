"""``[requests]`` of a configuration, in a whole gateway between three carriers."""

from __future__ import annotations

from tests.support.gateways import InsideTown
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

OFFICE = """
[requests]
accept_lost_extension = true
[requests.words.approval]
yes = ["准了"]
"""


class OfficeTown(InsideTown):
    """A town whose people have words of their own."""

    async def run(self) -> None:
        with self.config.open("a", encoding="utf-8") as file:
            file.write(OFFICE)
        await super().run()


@reactor_test
async def test_configured_words_decide_and_a_lost_extension_is_accepted(tmp_path):
    async with OfficeTown(tmp_path) as town:
        request_id = await town.ask(NUMBERS["cmpp"])
        town.carriers["cmpp"].send(NUMBERS["cmpp"], "10690001", "准了")
        one = await town.person(request_id, lambda person: person["decision"])
        assert (one["decision"], one["rule"]) == ("yes", "single:word")
