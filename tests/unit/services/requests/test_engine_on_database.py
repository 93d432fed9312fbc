"""The engine on the real database: its writer thread, savepoints and readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.defer import gatherResults

from smsgw.errors import Conflict
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.drafts import RequestDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.store import inbox
from smsgw.store.database import Database
from tests.support.reactor import reactor_test
from tests.support.requests import ACCESS, ANN, BOB, RecordingComposer, asking
from tests.support.store import inbound_row


@reactor_test
async def test_replies_and_api_decisions_of_one_moment_decide_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "smsgw.db", reactor)  # type: ignore[arg-type]
    database.open()
    try:
        composer = RecordingComposer(database.ids)
        kinds: list[str] = []
        engine = RequestEngine(
            database,
            Tools(database.ids, composer),
            reactor,  # type: ignore[arg-type]
            lambda event: kinds.append(event.kind),
        )
        request = await engine.create(
            "office", RequestDraft(subject="采购", steps=[asking(ANN, BOB)])
        )
        shown = await engine.show(request)
        ann = shown["steps"][0]["assignees"][0]
        row = inbound_row(
            database.ids,
            sender=ANN,
            access_number=ACCESS,
            extension=ann["extension"],
            destination=ann["sender_number"],
        )
        await database.writer.run(lambda connection: inbox.insert_inbound(connection, row, []))
        late = engine.decide(request, int(ann["id"]), "no")
        outcomes = await gatherResults([engine.reply(row), engine.reply(row)])
        await late
        assert outcomes == ["already", "already"]
        shown = await engine.show(request)
        assert (shown["outcome"], shown["version"]) == ("rejected", 2)
        assert len(shown["steps"][0]["assignees"][0]["answers"]) == 2
        with pytest.raises(Conflict):
            await engine.decide(request, int(ann["id"]), "yes")
        assert kinds.count("request.closed") == 1
        assert await engine.list(state="closed") != []
    finally:
        await database.close()
