"""Links that people stop and start, between simulated carriers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory

from smsgw.errors import Conflict, NotFound
from smsgw.simulator.ismg import Behaviour
from tests.integration.services.test_failover import PHONE, TwoCarriers, two_carriers
from tests.support.gateways import ACCOUNT, Inside, InsideTown, message
from tests.support.raw_peer import until
from tests.support.reactor import reactor_test


def state_of(town: Inside, name: str) -> dict[str, Any]:
    return next(one for one in town.gateway.links() if one["name"] == name)


async def stopped(town: Inside, name: str, actor: str = "zhang") -> dict[str, Any]:
    """Stop a link, and wait until it is unbound."""
    await town.gateway.control.stop(name, actor)
    await until(lambda: state_of(town, name)["state"] == "stopped")
    return state_of(town, name)


@reactor_test
async def test_a_stopped_link_unbinds_says_who_stopped_it_and_carries_nothing(
    tmp_path: Path,
) -> None:
    async with two_carriers(tmp_path) as town:
        shown = await stopped(town, "first")
        assert (shown["up"], shown["stopped"]["by"]) == (False, "zhang")
        assert [bind["phase"] for bind in shown["binds"]] == ["stopped"]
        assert state_of(town, "second")["state"] == "up"
        assert town.metric("smsgw_links_stopped", link="first") == 1
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE)])
        assert (await town.become(message_id, "delivered"))["link"] == "second"

        started = await town.gateway.control.start("first", "li")
        assert (started["state"], started["stopped"]) == ("down", None)
        await until(lambda: state_of(town, "first")["state"] == "up")
        (message_id,) = await town.gateway.send(ACCOUNT, [message(PHONE)])
        assert (await town.become(message_id, "delivered"))["link"] == "first"
        actions = "action LIKE 'link.%'"
        assert await town.count("audit", f"{actions} AND actor IN ('zhang', 'li')") == 2
        assert town.metric("smsgw_links_stopped", link="first") == 0


@reactor_test
async def test_stopping_waits_for_answers_and_what_waits_leaves_by_the_other_at_once(
    tmp_path: Path,
) -> None:
    async with two_carriers(tmp_path) as town:
        first = town.carriers["first"]
        first.behaviour = Behaviour(answer_after=1.5, report_after=60)
        window = state_of(town, "first")["window"]
        outgoing = [message(PHONE, f"第{number}条") for number in range(2 * window)]
        ids = await town.gateway.send(ACCOUNT, outgoing)
        await until(lambda: state_of(town, "first")["in_flight"] == window)
        state = await town.gateway.control.stop("first", "zhang")
        assert state["state"] == "stopping"
        rest = [await town.become(one, "delivered") for one in ids[window:]]
        assert {one["link"] for one in rest} == {"second"}
        await until(lambda: state_of(town, "first")["state"] == "stopped")
        for one in ids[:window]:
            shown = await town.become(one, "sent")
            assert shown["link"] == "first"
        assert len(first.submits) == window
        assert len(town.carriers["second"].submits) == window


@reactor_test
async def test_what_expects_a_reply_waits_for_the_stopped_link(tmp_path: Path) -> None:
    async with InsideTown(tmp_path) as town:
        await stopped(town, "mobile")
        asked = message(PHONE, "请答复", expects_reply=True)
        (message_id,) = await town.gateway.send(ACCOUNT, [asked])
        assert (await town.gateway.records.message(ACCOUNT, message_id))["status"] == "queued"
        await town.gateway.control.start("mobile", "zhang")
        await town.become(message_id, "delivered")


@reactor_test
async def test_a_stop_survives_a_restart_until_the_link_is_started(tmp_path: Path) -> None:
    town = TwoCarriers({})
    await town.start(tmp_path)
    await stopped(town, "first")
    await town.close()
    await town.open(tmp_path / "smsgw.toml")
    await until(lambda: state_of(town, "second")["up"])
    shown = state_of(town, "first")
    assert (shown["state"], shown["stopped"]["by"]) == ("stopped", "zhang")
    assert shown["limited_by"] == {"cause": "not bound", "detail": "stopped by zhang"}
    assert not town.carriers["first"]._bound
    await town.gateway.control.start("first", "li")
    await until(lambda: state_of(town, "first")["up"])
    await town.stop()


@pytest.mark.long
@reactor_test
async def test_stopping_twice_keeps_who_did_it_first_and_starting_a_running_link_is_no_change(
    tmp_path: Path,
) -> None:
    async with two_carriers(tmp_path) as town:
        await stopped(town, "first")
        await town.gateway.control.stop("first", "li")
        assert state_of(town, "first")["stopped"]["by"] == "zhang"
        assert (await town.gateway.control.start("second", "li"))["state"] == "up"
        assert await town.count("audit", "action LIKE 'link.%'") == 1
        with pytest.raises(NotFound, match="links are: first, second"):
            await town.gateway.control.stop("third", "li")
        with pytest.raises(NotFound, match="third"):
            await town.gateway.control.start("third", "li")


@pytest.mark.long
@reactor_test
async def test_a_start_right_after_a_stop_comes_after_it(tmp_path: Path) -> None:
    async with two_carriers(tmp_path) as town:
        await town.gateway.control.stop("first", "zhang")
        await town.gateway.control.start("first", "zhang")
        await until(lambda: state_of(town, "first")["state"] == "up")
        assert town.metric("smsgw_links_stopped", link="first") == 0


@pytest.mark.long
@reactor_test
async def test_a_link_whose_port_is_taken_stays_stopped(tmp_path: Path) -> None:
    async with InsideTown(tmp_path) as town:
        number = town.gateway.listener_port("unicom")
        await stopped(town, "unicom")
        port = await TCP4ServerEndpoint(reactor, number, interface="127.0.0.1").listen(Factory())
        with pytest.raises(Conflict, match="link unicom: its port cannot be opened"):
            await town.gateway.control.start("unicom", "zhang")
        assert state_of(town, "unicom")["state"] == "stopped"
        stopping: Deferred[None] | None = port.stopListening()
        if stopping is not None:
            await stopping
        await town.gateway.control.start("unicom", "zhang")
        await until(lambda: state_of(town, "unicom")["up"])


@pytest.mark.long
@reactor_test
async def test_a_gateway_whose_links_are_all_stopped_is_not_ready(tmp_path: Path) -> None:
    async with two_carriers(tmp_path) as town:
        await stopped(town, "first")
        assert await town.gateway.readiness() == []
        await stopped(town, "second")
        assert await town.gateway.readiness() == ["no link is up"]
