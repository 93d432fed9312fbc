"""The whole gateway inside an asyncio program: no daemon, no HTTP.

Run a carrier to talk to first:

    smsgw simulate --protocol cmpp --port 7890 --login 901234 --secret s3cret --reply 同意

Three things make Twisted and asyncio one: the asyncio reactor is installed on the running loop
before anything else of Twisted is imported, it is started by hand because the loop runs already,
and a Deferred is awaited as ``.asFuture(loop)``.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from twisted.internet import asyncioreactor

import smsgw
from smsgw.client import Event, Person, Step

PHONE = "13800001001"


def config(port: int, database: str) -> dict[str, Any]:
    """What a smsgw.toml would hold; smsgw.Gateway takes its path as well."""
    return {
        "gateway": {"database": database},
        "links": {
            "mobile": {
                "protocol": "cmpp",
                "host": "127.0.0.1",
                "port": port,
                "login": "901234",
                "secret": "s3cret",
                "access_number": "10690001",
            }
        },
    }


async def main(port: int, database: str) -> None:
    loop = asyncio.get_running_loop()
    asyncioreactor.install(loop)
    from twisted.internet import reactor as installed

    reactor: Any = installed
    reactor.startRunning(installSignalHandlers=False)

    gateway = smsgw.Gateway(config(port, database), reactor=reactor)
    closed = asyncio.Event()

    def happened(event: Event) -> None:
        if event.kind == "request.closed":
            closed.set()

    gateway.on_event(happened)
    gateway.on_inbound(lambda one: print("from the phone:", one.text))
    await gateway.start().asFuture(loop)
    asked = gateway.requests.create("采购三脚架", [Step([Person(PHONE, "台长")])])
    request_id = await asked.asFuture(loop)
    await asyncio.wait_for(closed.wait(), 10)
    request = await gateway.requests.show(request_id).asFuture(loop)
    print("outcome:", request.outcome)
    await gateway.stop().asFuture(loop)
    reactor.fireSystemEvent("shutdown")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
