"""One carrier link without the gateway: bind, submit, print the answer and the report, unbind.

Run a gateway to talk to first:

    smsgw simulate --protocol cmpp --port 7890 --login 901234 --secret s3cret
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

import smsgw
from smsgw import Coding, Inbound, Segment


async def main(reactor: Any, port: int = 7890) -> None:
    link = smsgw.connect(
        protocol="cmpp",
        host="127.0.0.1",
        port=port,
        login="901234",
        secret="s3cret",
        reactor=reactor,
    )
    reported: Deferred[None] = Deferred()

    def inbound(batch: list[Inbound]) -> None:
        for item in batch:
            print("report" if item.report else "message", item.report or item.message)
            item.acknowledge(0)  # only once it is safely stored, in a program that keeps things
            if item.report and not reported.called:
                reported.callback(None)

    link.on_inbound = inbound
    text = "三号演播室 19:30 直播".encode("utf-16-be")
    result = await link.submit(Segment("13800001001", "10690001", Coding.UCS2, text))
    print(result.disposition.value, result.carrier_message_id)
    await reported
    await link.stop()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *map(int, sys.argv[1:2]))))
