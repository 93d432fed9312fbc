"""Which links people stopped, on both databases."""

from __future__ import annotations

from sqlalchemy import Connection

from smsgw.store import stopped_links
from smsgw.store.stopped_links import StoppedLinkRow
from tests.support.reactor import reactor_test
from tests.support.stores import Place, opened

FIRST = StoppedLinkRow("cmcc", "zhang", 1_795_000_000_000)


@reactor_test
async def test_a_stop_is_kept_as_it_was_recorded_first_until_the_start(place: Place) -> None:
    def work(connection: Connection) -> None:
        assert stopped_links.stopped(connection) == {}
        assert stopped_links.stop(connection, FIRST)
        assert not stopped_links.stop(connection, StoppedLinkRow("cmcc", "li", 2))
        assert stopped_links.stop(connection, StoppedLinkRow("cucc", "li", 3))
        assert list(stopped_links.stopped(connection)) == ["cmcc", "cucc"]
        assert stopped_links.start(connection, "cucc")
        assert not stopped_links.start(connection, "cucc")

    async with opened(place) as database:
        await database.writer.run(work)
    async with opened(place) as database:
        assert await database.read(stopped_links.stopped) == {"cmcc": FIRST}
