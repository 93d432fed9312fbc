"""Posts of a gateway are believed, and nobody else's; signatures are made here on their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from smsgw import model
from smsgw.client import ClientError
from smsgw.client.webhooks import NotGenuine, verify
from smsgw.services.queries import event_json
from smsgw.services.webhooks import signing

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NOW = 1795341138
EVENT = {
    "id": "912278806251700224",
    "at": "2026-11-22T09:50:16.730+00:00",
    "account": "newsroom",
    "kind": "request.closed",
    "subject_id": "912278806239117312",
    "data": {"outcome": "approved", "text": "同意"},
}
BODY = json.dumps({"events": [EVENT]}, ensure_ascii=False).encode()


def sign(body: bytes = BODY, key: bytes = KEY, at: object = NOW, name: str = "msg_1") -> str:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    mac.update(name.encode() + b"." + str(at).encode() + b"." + body)
    return "v1," + base64.b64encode(mac.digest()).decode()


def post(signature: str | None = None, at: object = NOW, name: str = "msg_1") -> dict[str, str]:
    return {
        "Webhook-Id": name,
        "Webhook-Timestamp": str(at),
        "Webhook-Signature": signature or sign(at=at, name=name),
        "Content-Type": "application/json",
    }


def test_what_the_gateway_posts_is_believed():
    (event,) = verify(post(), BODY, SECRET, now=NOW)
    assert (event.id, event.kind) == (EVENT["id"], "request.closed")
    assert event.account == "newsroom"
    assert event.subject_id == EVENT["subject_id"]
    assert event.data == {"outcome": "approved", "text": "同意"}
    assert event.at.isoformat() == "2026-11-22T09:50:16.730000+00:00"


def test_what_our_own_sender_signs_is_believed_during_a_rotation_too():
    sent = model.Event("message.sent", 7, "oa", {"to": "13800001001"}, 5, NOW * 1000)
    body = json.dumps({"events": [event_json(sent)]}).encode()
    headers = signing.headers([signing.new_secret(), SECRET], "msg_5", NOW, body)
    (event,) = verify(headers, body, SECRET, now=NOW)
    assert (event.id, event.kind, event.subject_id) == ("5", "message.sent", "7")
    assert event.account == "oa"
    assert (event.data, event.at.timestamp()) == ({"to": "13800001001"}, NOW)


def test_the_example_of_the_specification_is_believed():
    """Source: the reference test of the specification's own libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    # Genuine, and not one of ours: it has no events.
    with pytest.raises(NotGenuine, match="missing required field `events`"):
        verify(headers, body, secret, now=1614265330)


@pytest.mark.parametrize(
    "signature",
    [
        f"{sign(key=b'old' * 8)} {sign()}",
        f"{sign()} {sign(key=b'new' * 8)}",
        f"v1a,AAAA {sign()}",
        f"v1,not-base64! {sign()}",
        f"  {sign()}  ",
    ],
)
def test_one_of_several_signatures_is_enough(signature):
    assert len(verify(post(signature), BODY, SECRET, now=NOW)) == 1


@pytest.mark.parametrize(
    "signature",
    [
        sign(key=b"another key of 24 octets"),
        sign(body=BODY + b" "),
        sign(at=NOW + 1),
        sign(name="msg_2"),
        sign().replace("v1,", "v2,"),
        sign().removeprefix("v1,"),
        "v1,",
        "v1,\xff",
        " ",
    ],
)
def test_any_other_signature_is_refused(signature):
    with pytest.raises(NotGenuine, match="no signature fits"):
        verify(post(signature), BODY, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_header_is_named(name):
    headers = post()
    del headers[name]
    with pytest.raises(NotGenuine, match=f"no header {name.lower()}"):
        verify(headers, BODY, SECRET, now=NOW)


@pytest.mark.parametrize("age", [-300, 300])
def test_a_post_within_five_minutes_is_taken(age):
    assert verify(post(), BODY, SECRET, now=NOW + age)


@pytest.mark.parametrize("age", [-301, 301])
def test_an_older_or_a_future_one_is_refused(age):
    with pytest.raises(NotGenuine, match=f"posted {age} s ago, limit 300 s"):
        verify(post(), BODY, SECRET, now=NOW + age)


def test_the_tolerance_can_be_another():
    assert verify(post(), BODY, SECRET, now=NOW + 900, tolerance=1000)


def test_our_own_clock_is_looked_at_unless_given():
    with pytest.raises(NotGenuine, match=r"posted .* s ago"):
        verify(post(at=1), BODY, SECRET)


@pytest.mark.parametrize("at", ["", "now", "1e9", "-5", "１７９", "9" * 20])
def test_a_time_that_is_none_is_refused(at):
    with pytest.raises(NotGenuine, match="webhook-timestamp is not seconds"):
        verify(post(at=at), BODY, SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"events":[{}]}'])
def test_a_signed_body_that_is_none_of_ours_is_refused(body):
    with pytest.raises(NotGenuine, match="the body is not what a gateway posts"):
        verify(post(sign(body)), body, SECRET, now=NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", SECRET.removeprefix("whsec_"), "whsec_%%%"])
def test_a_secret_that_is_none_is_our_own_mistake(secret):
    with pytest.raises(ValueError, match="secret: write the webhook's"):
        verify(post(), BODY, secret, now=NOW)


def test_not_genuine_is_an_error_of_the_client():
    assert issubclass(NotGenuine, ClientError)
