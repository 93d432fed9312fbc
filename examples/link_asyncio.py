"""One carrier link in an asyncio program: the same link, on the asyncio reactor.

Run a gateway to talk to first:

    smsgw simulate --protocol cmpp --port 7890 --login 901234 --secret s3cret --reply 同意

Three things make the two worlds one: the asyncio reactor is installed on the running loop before
anything else of Twisted is imported, it is started by hand because the loop runs already, and a
Deferred is awaited as ``.asFuture(loop)``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet import asyncioreactor

import smsgw
from smsgw import Coding, Inbound, Segment


@asynccontextmanager
async def twisted_reactor() -> AsyncIterator[Any]:
    """Twisted's reactor on the running loop, for the length of the program."""
    asyncioreactor.install(asyncio.get_running_loop())
    from twisted.internet import reactor as installed

    reactor: Any = installed
    reactor.startRunning(installSignalHandlers=False)
    try:
        yield reactor
    finally:
        reactor.fireSystemEvent("shutdown")


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    async with twisted_reactor() as reactor:
        link = smsgw.connect(
            protocol="cmpp",
            host="127.0.0.1",
            port=port,
            login="901234",
            secret="s3cret",
            reactor=reactor,
        )
        inbound: asyncio.Queue[Inbound] = asyncio.Queue()

        def take(batch: list[Inbound]) -> None:
            for item in batch:
                inbound.put_nowait(item)

        link.on_inbound = take
        phones = ["13800001001", "13800001002", "13800001003"]
        text = "三号演播室 19:30 直播".encode("utf-16-be")
        results = await asyncio.gather(
            *(
                link.submit(Segment(phone, "10690001", Coding.UCS2, text)).asFuture(loop)
                for phone in phones
            )
        )
        for phone, result in zip(phones, results, strict=True):
            print(phone, result.disposition.value, result.carrier_message_id)
        for _ in phones:
            item = await asyncio.wait_for(inbound.get(), 10)
            print("report" if item.report else "message", item.report or item.message)
            item.acknowledge(0)  # only once it is safely stored, in a program that keeps things
        await link.stop().asFuture(loop)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7890))
