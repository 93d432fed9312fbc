from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger

from smsgw.services.figures import Pool
from smsgw.services.survey import LOOK_SECONDS, Survey
from smsgw.store.database import Database
from tests.support.delivery import opened, quiet, started_clock
from tests.support.reactor import reactor_test


class Slots:
    """Extensions in use, as a test says."""

    busiest = 3

    def ranges(self, connection: object) -> list[dict[str, Any]]:
        return [
            {
                "access_number": "10690001",
                "plans": ["default", "vote"],
                "extensions": 1000,
                "most": self.busiest,
            }
        ]


def made(database: Database, clock: Clock) -> Survey:
    return Survey(database, Slots(), clock)  # type: ignore[arg-type]


@reactor_test
async def test_it_looks_at_the_start_and_every_half_minute(tmp_path: Path) -> None:
    clock = started_clock()
    async with opened(tmp_path) as database:
        survey = made(database, clock)
        assert survey.stored.octets == 0
        await survey.start()
        assert survey.stored.pools == [Pool("10690001", "default/vote", 1000, 3)]
        assert survey.stored.octets > 100_000
        assert (survey.stored.octets_free or 0) > 0
        survey._slots.busiest = 7  # type: ignore[attr-defined]
        clock.advance(LOOK_SECONDS)
        await quiet(database)
        assert [pool.busiest for pool in survey.stored.pools] == [7]
        survey.stop()
        assert clock.getDelayedCalls() == []


@reactor_test
async def test_a_database_in_trouble_leaves_what_was_known_and_is_asked_again(
    tmp_path: Path,
) -> None:
    clock = started_clock()
    logged: list[str] = []
    async with opened(tmp_path) as database:
        survey = made(database, clock)
        survey.log = Logger(observer=lambda event: logged.append(str(event["event"])))  # type: ignore[misc]
        await survey.start()
        before = survey.stored
        rename = "ALTER TABLE segment RENAME TO {}"
        await database.writer.run(lambda c: c.exec_driver_sql(rename.format("hidden")))
        clock.advance(LOOK_SECONDS)
        await quiet(database)
        assert (survey.stored, logged) == (before, ["survey.not_read"])
        await database.writer.run(
            lambda c: c.exec_driver_sql("ALTER TABLE hidden RENAME TO segment")
        )
        clock.advance(LOOK_SECONDS)
        await quiet(database)
        assert (survey.stored is not before, logged) == (True, ["survey.not_read"])
        survey.stop()
        survey.stop()  # twice does no harm
