"""What an error says is what a person reads: it names the thing, the limit and what was given."""

from __future__ import annotations

import pickle

import pytest

from smsgw import errors


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errors.ConfigError("links.cmcc.secret", "missing"), "links.cmcc.secret: missing"),
        (errors.ConfigError("", "no file"), "no file"),
        (errors.ValidationError("to", "is no number"), "to: is no number"),
        (errors.ValidationError("", "is no object"), "is no object"),
        (
            errors.EncodeError("dest_terminal_id", "21 octets", "22 octets"),
            "dest_terminal_id: 22 octets, limit 21 octets",
        ),
        (
            errors.PduError("CMPP_SUBMIT", "msg_length", 12, "too short"),
            "CMPP_SUBMIT.msg_length at offset 12: too short",
        ),
        (
            errors.PduError("CMPP_SUBMIT", "", 12, "3 octets left"),
            "CMPP_SUBMIT at offset 12: 3 octets left",
        ),
        (
            errors.BindRefused(3, "authentication failed"),
            "login refused with status 3 (authentication failed)",
        ),
    ],
)
def test_an_error_says_what_which_and_the_limit(error: Exception, text: str) -> None:
    assert str(error) == text


def test_every_error_can_be_caught_as_one() -> None:
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(found) > 15
    assert all(issubclass(cls, errors.SmsgwError) for cls in found)


def test_an_error_keeps_its_parts_for_programs() -> None:
    config = errors.ConfigError("daemon.listen", "no port")
    refused = errors.BindRefused(4, "version too high")
    pdu = errors.PduError("CMPP_SUBMIT", "msg_id", 12, "short", command_id=4)
    assert (config.path, config.problem) == ("daemon.listen", "no port")
    assert (refused.code, refused.text) == (4, "version too high")
    assert (pdu.command, pdu.field, pdu.offset, pdu.command_id) == ("CMPP_SUBMIT", "msg_id", 12, 4)
    assert errors.EncodeError("a", "1", "2").limit == "1"
    assert errors.ValidationError("to", "x").field == "to"


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigError("links.one", "no"),
        errors.ValidationError("to", "no number"),
        errors.EncodeError("service_id", "10 octets", "11 octets"),
        errors.PduError("CMPP_SUBMIT", "msg_id", 12, "short", 4),
        errors.BindRefused(3, "authentication failed"),
        errors.WindowFull("16 requests are unanswered"),
    ],
)
def test_an_error_survives_pickling(error: errors.SmsgwError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)
