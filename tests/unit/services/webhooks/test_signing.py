from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from smsgw.services.webhooks import signing
from tests.support.receivers import verified

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_the_signature_is_that_of_the_reference_libraries() -> None:
    """The vector of the libraries' own tests (standard-webhooks/standard-webhooks)."""
    made = signing.signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_receiver_in_the_documentation_knows_what_is_ours() -> None:
    text = (Path(__file__).parents[4] / "docs" / "webhooks.md").read_text("utf-8")
    names: dict[str, Any] = {}
    exec(text[text.index("import base64") :].split("\n```")[0], names)
    secret = signing.new_secret()
    headers = signing.headers([signing.new_secret(), secret], "msg_1", 1_800_000_000, BODY)
    assert names["is_ours"](secret, headers, BODY)
    assert not names["is_ours"](signing.new_secret(), headers, BODY)
    assert not names["is_ours"](secret, headers, BODY + b" ")


def test_a_secret_is_32_octets_and_never_the_same() -> None:
    one, other = signing.new_secret(), signing.new_secret()
    assert one != other
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one[6:])) == 32


def test_every_secret_in_force_signs() -> None:
    old, new, never = (signing.new_secret() for _ in range(3))
    headers = signing.headers([new, old], "msg_1", 1_800_000_000, BODY)
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1800000000"
    assert [verified(one, headers, BODY) for one in (old, new, never)] == [True, True, False]
    assert not verified(new, headers, BODY + b" ")
    assert not verified(new, headers | {"webhook-id": "msg_2"}, BODY)
    assert not verified(new, headers | {"webhook-timestamp": "1800000001"}, BODY)
