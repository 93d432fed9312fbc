from __future__ import annotations

import gzip
import json
from urllib.request import Request, urlopen

from twisted.internet.threads import deferToThread

from tests.support.api import TOKEN, ApiServer
from tests.support.reactor import reactor_test

MESSAGE = {"to": "13800001001", "text": "您好" * 200}
GZIP = {"Content-Encoding": "gzip"}


def raw(url: str, takes: str) -> tuple[bytes, str | None, str | None]:
    """Return an answer as it comes, which treq would unpack."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": takes}
    with urlopen(Request(url, headers=headers)) as answer:
        return answer.read(), answer.headers["Content-Encoding"], answer.headers["Vary"]


@reactor_test
async def test_a_large_answer_is_packed_for_who_takes_it() -> None:
    async with ApiServer() as api:
        await api.post("/v1/messages", json=MESSAGE)
        url = api.url + "/v1/messages"
        plain, *told = await deferToThread(raw, url, "gzip;q=0")
        assert told == [None, "Accept-Encoding"]
        packed, *told = await deferToThread(raw, url, "gzip, br")
        assert told == ["gzip", "Accept-Encoding"]
        assert gzip.decompress(packed) == plain
        assert len(packed) < len(plain) / 2
        _, *told = await deferToThread(raw, api.url + "/healthz", "gzip")
        assert told == [None, None]


@reactor_test
async def test_a_packed_body_is_unpacked_and_a_bomb_refused() -> None:
    async with ApiServer() as api:
        body = gzip.compress(json.dumps(MESSAGE).encode())
        made = await api.post("/v1/messages", data=body, headers=GZIP)
        assert (made.status, made.json()) == (202, {"id": "1000"})
        assert api.front.sent[1000]["text"] == MESSAGE["text"]
        bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)
        refused = await api.post("/v1/messages", data=bomb, headers=GZIP)
        assert (refused.status, refused.json()["type"]) == (413, "urn:smsgw:problem:too-large")
        broken = await api.post("/v1/messages", data=body[:-3], headers=GZIP)
        assert broken.status == 400
        other = await api.post("/v1/messages", data=body, headers={"Content-Encoding": "br"})
        assert other.status == 415
        assert list(api.front.sent) == [1000]


@reactor_test
async def test_the_same_request_packed_and_plain_is_the_same() -> None:
    async with ApiServer() as api:
        body = json.dumps(MESSAGE).encode()
        key = {"Idempotency-Key": "k"}
        await api.post("/v1/messages", data=body, headers=key)
        again = await api.post("/v1/messages", data=gzip.compress(body), headers={**key, **GZIP})
        assert (again.status, again.header("Idempotency-Replayed")) == (202, "true")
