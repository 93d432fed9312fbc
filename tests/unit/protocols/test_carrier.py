"""Every carrier's record is complete enough that nothing above has to ask which one it is."""

from __future__ import annotations

import pytest

from smsgw.protocols.carrier import Carrier
from smsgw.protocols.registry import CARRIERS
from smsgw.protocols.session import Account


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
