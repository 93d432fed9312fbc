"""Who opted out, as one process knows it while it reads."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smsgw.model import MessageClass
from smsgw.services.opt_outs import LOOK_SECONDS, OptOuts
from smsgw.store import opt_outs
from smsgw.store.opt_outs import OptOutRow
from tests.support.memory import result_of

ANN = "13800001001"


class Pending:
    """A database whose answers come when a test says so, in any order."""

    def __init__(self) -> None:
        self.reads: list[Deferred[list[OptOutRow]]] = []

    @property
    def writer(self) -> Any:
        return self

    async def run(self, work: object, rows: int = 1) -> bytes | int:
        return bytes(32) if work is opt_outs.key else 1

    def read(self, fn: object) -> Any:
        self.reads.append(Deferred())
        return self.reads[-1]


def test_what_was_read_before_a_change_never_undoes_it() -> None:
    store, clock = Pending(), Clock()
    who = OptOuts(store, clock)
    started = Deferred.fromCoroutine(who.start())
    store.reads.pop().callback([])
    result_of(started)
    clock.advance(LOOK_SECONDS)
    changed = Deferred.fromCoroutine(who.remove([ANN], "", "root"))
    (look,) = store.reads  # the change is read after what is being read
    look.callback([OptOutRow(1, ANN, "", "sms:1", 5)])
    store.reads[-1].callback([OptOutRow(2, ANN, "", "api:root", 5, 6)])
    result_of(changed)
    who.check(ANN, "tv", MessageClass.BULK)
    assert len(who) == 0
    who.stop()
