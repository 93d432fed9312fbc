"""``Idempotency-Key``: a POST that comes again with it is answered as it was, and not redone."""

from __future__ import annotations

import hashlib
from http import HTTPStatus

from smsgw.interfaces.http import etags
from smsgw.interfaces.http.calls import Call, Reply, Route
from smsgw.interfaces.http.problems import invalid
from smsgw.services.idempotency import Answer, Asked, IdempotencyKeys
from smsgw.store.idempotency import KeyRow

KEY_CHARACTERS = 128
HEADER = "Idempotency-Key"


async def answer(keys: IdempotencyKeys, key: str, target: bytes, route: Route, call: Call) -> Reply:
    """Return what an endpoint comes to, or came to when the request was made before.

    Args:
        keys: What was done.
        key: As it was written in the header.
        target: Path and query as they were sent.
        route: Whose endpoint.
        call: The request.

    Raises:
        Problem: The key is none, or belongs to something else.
    """
    digest = hashlib.sha256(b"\0".join([route.method.encode(), target, call.body])).digest()
    asked = Asked(call.account, _checked(key), digest)

    recorded: Answer | None = None

    def settle(reply: Reply) -> KeyRow:
        nonlocal recorded
        recorded = _kept(etags.tagged(reply))
        return keys.row(asked, recorded)

    async def work() -> Answer:
        reply = await route.endpoint(call)
        if recorded is not None:
            return recorded
        done = _kept(etags.tagged(reply))  # it changed nothing, or what is harmless to do again
        await keys.keep(asked, done)
        return done

    call.settle = settle
    found = await keys.once(asked, work)
    headers = {**found.headers, "Idempotency-Replayed": "true"} if found.repeated else found.headers
    return Reply(found.body, found.status, headers)


def _kept(reply: Reply) -> Answer:
    return Answer(int(reply.status), reply.headers, reply.body(), secret=reply.secret)


def _checked(key: str) -> str:
    if not 1 <= len(key) <= KEY_CHARACTERS or not all("!" <= one <= "~" for one in key):
        problem = f"write 1 to {KEY_CHARACTERS} visible ASCII characters, such as a UUID"
        raise invalid(HEADER, problem, HTTPStatus.BAD_REQUEST)
    return key
