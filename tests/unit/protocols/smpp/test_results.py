"""command_status: what each code means for a message."""

from __future__ import annotations

import pytest
import smpplib.consts

from smsgw.errors import Disposition
from smsgw.protocols.carrier import ResultKind
from smsgw.protocols.events import RefusalKind
from smsgw.protocols.smpp import constants
from smsgw.protocols.smpp.results import RESULTS, classify, refusal_kind


def test_every_code_of_smpplib_is_in_the_table_and_no_other() -> None:
    codes = {
        value
        for name, value in vars(smpplib.consts).items()
        if name.startswith("SMPP_ESME_") and isinstance(value, int)
    }
    assert set(RESULTS) == codes


@pytest.mark.parametrize(
    ("code", "disposition"),
    [
        (constants.ROK, Disposition.ACCEPTED),
        (0x08, Disposition.RETRY),
        (0x14, Disposition.RETRY),
        (0x58, Disposition.RETRY),
        (0x64, Disposition.RETRY),
        (constants.RINVDSTADR, Disposition.FINAL),
        (0x65, Disposition.FINAL),
        (0xFE, Disposition.FINAL),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(code: int, disposition: Disposition) -> None:
    assert classify(code).disposition is disposition


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x00, ResultKind.OK),
        (0x14, ResultKind.THROTTLE),
        (0x58, ResultKind.THROTTLE),
        (0x0B, ResultKind.NUMBER),
        (0x0A, ResultKind.SOURCE),
        (0x0E, ResultKind.AUTH),
        (0x400, ResultKind.VENDOR),
    ],
)
def test_a_code_says_what_it_is_about(code: int, kind: ResultKind) -> None:
    assert classify(code).kind is kind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x0D, RefusalKind.SECRET),
        (0x0E, RefusalKind.SECRET),
        (0x05, RefusalKind.BUSY),
        (0x03, RefusalKind.VERSION),
        (0x400, RefusalKind.OTHER),
    ],
)
def test_a_refused_login_is_about_something(code: int, kind: RefusalKind) -> None:
    assert refusal_kind(code) is kind


def test_a_code_in_no_table_is_tried_again_and_named_both_ways() -> None:
    result = classify(0x400)
    assert result.disposition is Disposition.RETRY
    assert result.text == "status 1024 (0x00000400), in no table"


@pytest.mark.parametrize("name", [name for name in vars(constants) if name.startswith("R")])
def test_a_named_status_is_smpplibs(name: str) -> None:
    if name.isupper() and not name.startswith(("RESPONSE", "RECEIPT")):
        assert getattr(constants, name) == getattr(smpplib.consts, f"SMPP_ESME_{name}")


@pytest.mark.parametrize("ours", [name for name in vars(constants) if name.startswith("STATE_")])
def test_a_named_message_state_is_smpplibs(ours: str) -> None:
    theirs = f"SMPP_MESSAGE_{ours}"
    assert getattr(constants, ours) == getattr(smpplib.consts, theirs)
