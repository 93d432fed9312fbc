"""Every carrier's record is complete enough that nothing above has to ask which one it is."""

from __future__ import annotations

import contextlib

import pytest

from smsgw.errors import EncodeError
from smsgw.model import Segment
from smsgw.protocols.account import Account
from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.states import Role, Side
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


@pytest.mark.parametrize("secret", ["s3cret", "密码", "\udcff", "\ud800" * 40])
@pytest.mark.parametrize("name", ["901234", "电信", "\udcff", "9" * 40])
@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_a_login_that_cannot_be_written_is_an_encode_error_and_nothing_else(
    carrier: Carrier, name: str, secret: str
) -> None:
    account = carrier.account(name=name, secret=secret)  # type: ignore[call-arg]
    session = carrier.sessions(lambda: WALL)(account, Role.CLIENT)
    with contextlib.suppress(EncodeError):
        session.bind(0.0)
    server = carrier.sessions(lambda: WALL, Side.GATEWAY, lambda name: secret)
    good = carrier.account(name="901234", secret="1234")  # type: ignore[call-arg]
    client, gateway = carrier.sessions(lambda: WALL)(good, Role.CLIENT), server(good, Role.SERVER)
    client.bind(0.0)
    gateway.connected(0.0)
    gateway.receive_data(client.data_to_send(), 0.0)
    assert gateway.closed


@pytest.mark.parametrize("carrier", CARRIERS.values(), ids=CARRIERS.keys())
def test_a_login_goes_both_ways_unless_its_account_says_otherwise(carrier: Carrier) -> None:
    account = carrier.account(name="901234", secret="1234")  # type: ignore[call-arg]
    assert (account.sends, account.receives) == (True, True)
