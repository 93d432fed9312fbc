"""``/v1/routes/explain``: which links a message would take; ``/v1/ported``: ported numbers."""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from smsgw.errors import ValidationError
from smsgw.interfaces.http.calls import Call, Reply, Route, bad_parameter, limit_of, one_of
from smsgw.model import MessageClass
from smsgw.routing.numbers import normalise
from smsgw.routing.ported import entry_of, fields_of
from smsgw.services.gateway import Gateway

NUMBERS_MAX = 1000


class PortedBody(msgspec.Struct, forbid_unknown_fields=True):
    """One ported number as it is written in JSON; what is empty has its default."""

    phone: str
    operator: str
    source: str = ""
    learned_at: str = ""
    expires_at: str = ""


class ImportBody(msgspec.Struct, forbid_unknown_fields=True):
    """Several, recorded all or none."""

    numbers: Annotated[list[PortedBody], msgspec.Meta(min_length=1, max_length=NUMBERS_MAX)]


class ForgetBody(msgspec.Struct, forbid_unknown_fields=True):
    """Numbers to go by their prefix again."""

    phones: Annotated[list[str], msgspec.Meta(min_length=1, max_length=NUMBERS_MAX)]


def routes(front: Gateway) -> list[Route]:
    """Return the endpoints."""

    async def explained(call: Call) -> Reply:
        parameters = call.parameters("to", "class", "expect_reply")
        if "to" not in parameters:
            raise bad_parameter("to", "is missing; write the phone")
        message_class = one_of(parameters, "class", list(MessageClass)) or MessageClass.NOTICE
        expects_reply = one_of(parameters, "expect_reply", ["true", "false"]) == "true"
        found = front.explain(
            call.account,
            parameters["to"],
            message_class=MessageClass(message_class),
            expects_reply=expects_reply,
        )
        return Reply(found)

    async def listed(call: Call) -> Reply:
        parameters = call.parameters("cursor", "limit")
        limit = limit_of(parameters)
        found = await front.ported.page(parameters.get("cursor", ""), limit + 1)
        shown = [fields_of(number) for number in found[:limit]]
        more = len(found) > limit
        return Reply({"numbers": shown, "next": shown[-1]["phone"] if more else None})

    async def imported(call: Call) -> Reply:
        now = int(time.time() * 1000)
        numbers = []
        for index, one in enumerate(call.json(ImportBody).numbers):
            try:
                numbers.append(entry_of(msgspec.structs.asdict(one), now))
            except ValidationError as error:
                raise ValidationError(f"numbers[{index}].{error.field}", error.problem) from error

        def recorded(count: int) -> Reply:
            return Reply({"imported": count, "skipped": len(numbers) - count})

        return recorded(await front.ported.put(numbers, call.settling(recorded)))

    async def forgotten(call: Call) -> Reply:
        written = call.json(ForgetBody).phones
        phones = [normalise(one, f"phones[{index}]") for index, one in enumerate(written)]
        return _forgotten(await front.ported.forget(phones, call.settling(_forgotten)))

    return [
        Route("GET", "/v1/routes/explain", explained, "routes:read"),
        Route("GET", "/v1/ported", listed, "ported:read"),
        Route("POST", "/v1/ported", imported, "ported:write"),
        Route("POST", "/v1/ported/forget", forgotten, "ported:write"),
    ]


def _forgotten(count: int) -> Reply:
    return Reply({"forgotten": count})
