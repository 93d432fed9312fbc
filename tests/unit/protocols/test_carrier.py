"""Every carrier's record is complete enough that nothing above has to ask which one it is."""

from __future__ import annotations

import pytest

from smsgw.model import Segment
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Account, Role, Side
from tests.support.session_pair import WALL


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_a_carrier_names_itself_as_it_is_registered(carrier: Carrier) -> None:
    assert CARRIERS[carrier.name] is carrier
    assert carrier.codec.protocol == carrier.name
    assert carrier.title
    assert 0 < carrier.port < 65536


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_an_account_of_a_carrier_speaks_a_version_its_codec_knows(carrier: Carrier) -> None:
    assert issubclass(carrier.account, Account)
    account = carrier.account(name="901234", secret="1234")  # type: ignore[call-arg]
    assert account.version in carrier.codec.tables


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_result_zero_is_acceptance_and_an_unknown_one_is_explained(carrier: Carrier) -> None:
    assert carrier.classify(0).disposition.value == "accepted"
    assert "9999" in carrier.classify(9999).text


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_sessions_of_a_carrier_know_their_role_side_and_secrets(carrier: Carrier) -> None:
    make = carrier.sessions(lambda: WALL, Side.GATEWAY, {"901234": "1234"}.get)
    account = carrier.account(name="901234", secret="1234")  # type: ignore[call-arg]
    session = make(account, Role.SERVER)
    assert (session.role, session.side, session.wall()) == (Role.SERVER, Side.GATEWAY, WALL)
    assert session.secrets("901234") == "1234"
    assert carrier.sessions(lambda: WALL)(account, Role.CLIENT).secrets("901234") is None


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_either_the_gateway_makes_ids_or_the_submit_is_its_own(carrier: Carrier) -> None:
    account = carrier.account(name="901234", secret="1234")  # type: ignore[call-arg]
    segment = Segment(to="13800001001", source="1069", coding=0, content=b"x")
    submit = carrier.to_submit(account, account.version, segment)
    assert bool(carrier.message_id) != bool(carrier.submit_id(submit))
