from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import func, select
from twisted.logger import LogEvent, Logger, formatEvent

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import Event, MessageClass
from smsgw.services.ledger import SlotPlan, SlotPlans
from smsgw.services.requests import engine
from smsgw.services.requests.changes import Tools
from smsgw.services.requests.drafts import Person, RequestDraft, StepDraft
from smsgw.services.requests.engine import RequestEngine
from smsgw.store import slots
from smsgw.store.schema import metadata
from tests.support.requests import ACCESS, ANN, BOB, EVE, Office, asking, result_of


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


def rows_stored(office: Office) -> int:
    with office.store.transaction() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        )


def test_creating_asks_the_first_steps_assignees_only(office: Office) -> None:
    office.create((ANN, BOB), (EVE,), reference="r-1", body="摄像机两台")
    assert [one.to for one in office.composer.sent] == [ANN, BOB]
    prompt = office.prompt_to(ANN)
    assert prompt.text == "待审批：采购申请\n摄像机两台\n回复 同意 或 不同意+原因"
    assert (prompt.account, prompt.access_number, prompt.reference) == ("office", ACCESS, "r-1")
    assert prompt.expects_reply
    assert prompt.message_class is MessageClass.INTERACTIVE
    assert len(prompt.extension) == 3
    assert len(office.composer.dispatched) == 2
    assert office.kinds() == [
        *["request.created", "request.step_opened"],
        *["conversations.opened"] * 2,
    ]


def test_phones_are_normalised_and_served_by_their_own_number() -> None:
    office = Office(numbers={ANN: "10690001", BOB: "10690002"})
    office.create(("+86 138 0000 1001", "0086" + BOB))
    assert office.prompt_to(ANN).access_number == "10690001"
    assert office.prompt_to(BOB).access_number == "10690002"
    office.store.close()


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"preset": "dance"}, "preset"),
        ({"subject": "  "}, "subject"),
        ({"subject": "长" * 101}, "subject"),
        ({"body": "长" * 2001}, "body"),
        ({"reference": "r" * 129}, "reference"),
        ({"steps": []}, "steps"),
        ({"steps": [asking(ANN)] * 21}, "steps"),
        ({"steps": [asking(ANN, rule="most")]}, "steps[0].rule"),
        ({"steps": [asking(ANN), asking()]}, "steps[1].assignees"),
        ({"steps": [asking(*[ANN] * 51)]}, "steps[0].assignees"),
        ({"steps": [asking(ANN, "12345")]}, "steps[0].assignees[1].phone"),
        ({"steps": [asking(ANN, BOB, "86" + ANN)]}, "steps[0].assignees[2].phone"),
        ({"steps": [asking(ANN), asking(EVE)]}, "steps[1].assignees[0].phone"),
        ({"steps": [StepDraft(assignees=[Person(ANN, "长" * 65)])]}, "steps[0].assignees[0].name"),
    ],
)
def test_what_cannot_be_done_names_its_field_and_stores_nothing(
    fields: dict[str, object], path: str
) -> None:
    office = Office(numbers={ANN: ACCESS, BOB: ACCESS})
    given = {"subject": "采购", "steps": [asking(ANN)], **fields}
    with pytest.raises(ValidationError) as caught:
        result_of(office.engine.create("office", RequestDraft(**given)))  # type: ignore[arg-type]
    assert caught.value.field == path
    assert rows_stored(office) == 0
    assert office.composer.sent == []
    office.store.close()


@pytest.mark.parametrize(
    ("field", "path"), [("text", "body"), ("to", "steps[0].assignees[0].phone")]
)
def test_a_prompt_that_cannot_be_composed_stores_nothing(
    office: Office, field: str, path: str
) -> None:
    office.composer.refuse = ValidationError(field, "no")
    with pytest.raises(ValidationError) as caught:
        office.create((ANN,))
    assert caught.value.field == path
    assert rows_stored(office) == 0


def test_a_plan_beyond_the_carriers_digits_stores_nothing() -> None:
    office = Office(plans=SlotPlans(SlotPlan(number_digits_max=10)))
    with pytest.raises(Exception, match="limit 10"):
        office.create((ANN,))
    assert rows_stored(office) == 0
    office.store.close()


def test_all_must_approve(office: Office) -> None:
    request = office.create((ANN, BOB))
    assert office.reply(ANN, "同意") == "decided"
    assert office.show(request)["state"] == "open"
    assert office.reply(BOB, "同意，请尽快") == "decided"
    shown = office.show(request)
    assert (shown["state"], shown["outcome"]) == ("closed", "approved")
    assert shown["steps"][0]["mask"] == {"full": 3, "approved": 3, "rejected": 0}
    closed = office.events[-2]
    assert closed.kind == "request.closed"
    assert closed.data["text"] == "《采购申请》已批准"


def test_under_all_the_first_rejection_ends_the_request(office: Office) -> None:
    request = office.create((ANN, BOB), (EVE,))
    assert office.reply(BOB, "不同意 预算不够") == "decided"
    shown = office.show(request)
    assert shown["outcome"] == "rejected"
    assert [step["state"] for step in shown["steps"]] == ["closed", "waiting"]
    bob = office.assignee(request, BOB)
    assert (bob["decision"], bob["reason"], bob["rule"]) == ("no", "预算不够", "slot:word")
    assert office.assignee(request, ANN)["state"] == "released"
    assert office.texts_to(EVE) == []
    assert "N133：预算不够" in next(
        one.data["text"] for one in office.events if one.kind == "request.closed"
    )


def test_under_any_the_first_approval_decides(office: Office) -> None:
    request = office.create(asking(ANN, BOB, EVE, rule="any"))
    office.reply(ANN, "不同意")
    assert office.show(request)["state"] == "open"
    office.reply(EVE, "同意")
    assert office.show(request)["outcome"] == "approved"


def test_under_any_all_must_reject(office: Office) -> None:
    request = office.create(asking(ANN, BOB, rule="any"))
    office.reply(ANN, "不同意")
    office.reply(BOB, "驳回")
    assert office.show(request)["outcome"] == "rejected"


def test_the_next_step_is_asked_when_the_one_before_is_decided(office: Office) -> None:
    request = office.create((ANN,), (BOB, EVE))
    office.reply(ANN, "同意")
    assert office.prompt_to(EVE).text.startswith("待审批：采购申请")
    office.reply(BOB, "同意")
    office.reply(EVE, "同意")
    assert office.show(request)["outcome"] == "approved"
    assert office.kinds().count("request.step_opened") == 2


def test_somebody_of_a_later_step_who_cannot_be_asked_is_noted_and_holds_nothing_up(
    office: Office,
) -> None:
    request = office.create((ANN,), (BOB,))
    row = office.stored(ANN, "同意")
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    assert result_of(office.engine.reply(row)) == "decided"
    assert "request.prompt_failed" in office.kinds()
    assert "reply.failed" in office.kinds()
    bob = office.assignee(request, BOB, step=1)
    assert (bob["state"], bob["prompt_message_id"]) == ("unreachable", None)
    assert bob["extension"] is None
    result_of(office.engine.decide(request, int(bob["id"]), "yes"))
    assert office.show(request)["outcome"] == "approved"


def test_nothing_an_unreachable_assignee_sends_decides_or_is_called_too_late(
    office: Office,
) -> None:
    office.create((BOB,), subject="旧")
    extension = office.prompt_to(BOB).extension
    request = office.create((ANN,), (BOB,))
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    office.reply(ANN, "同意")
    office.composer.refuse = None
    office.reply(BOB, "同意", extension)
    bob = office.assignee(request, BOB, step=1)
    with office.store.transaction() as connection:
        used = slots.used(connection, BOB, ACCESS) - {extension}
    sent = len(office.composer.sent)
    assert office.reply(BOB, "同意", used.pop()) == "inbox"
    assert office.reply(BOB, f"#{bob['short_id']} 同意", "") == "inbox"
    assert len(office.composer.sent) == sent
    assert office.show(request)["state"] == "open"


def test_an_unreachable_assignee_holds_nobody_else_up_and_stays_visible(office: Office) -> None:
    request = office.create((ANN,), asking(BOB, EVE, rule="any"))
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    office.reply(ANN, "同意")
    bob, eve = (office.assignee(request, phone, step=1) for phone in (BOB, EVE))
    assert (bob["state"], eve["state"]) == ("unreachable", "unreachable")
    result_of(office.engine.decide(request, int(eve["id"]), "yes"))
    assert office.show(request)["outcome"] == "approved"
    assert office.assignee(request, BOB, step=1)["state"] == "unreachable"


def test_a_decision_over_the_api_counts_and_shows(office: Office) -> None:
    request = office.create((ANN, BOB))
    shown = office.show(request)
    ann = shown["steps"][0]["assignees"][0]
    version = result_of(
        office.engine.decide(request, int(ann["id"]), "no", "超预算", shown["version"])
    )
    shown = office.show(request)
    assert (shown["version"], shown["outcome"]) == (version, "rejected")
    ann = office.assignee(request, ANN)
    assert (ann["channel"], ann["reason"], ann["rule"]) == ("api", "超预算", "api")
    assert office.reply(ANN, "同意") == "already"
    assert (
        office.texts_to(ANN)[-1] == "您对《采购申请》的意见已记录为：不同意，不能更改。结果：未批准"
    )


def test_the_first_of_two_deciders_wins_and_the_other_is_told(office: Office) -> None:
    request = office.create((ANN, BOB), (EVE,))
    shown = office.show(request)
    ann, bob = (int(one["id"]) for one in shown["steps"][0]["assignees"])
    eve = int(shown["steps"][1]["assignees"][0]["id"])
    office.reply(ANN, "同意")
    decide = office.engine.decide
    with pytest.raises(Conflict, match="answered already: yes"):
        result_of(decide(request, ann, "no"))
    with pytest.raises(Conflict, match="read it again"):
        result_of(decide(request, bob, "no", version=shown["version"]))
    with pytest.raises(Conflict, match="not being asked"):
        result_of(decide(request, eve, "yes"))
    with pytest.raises(NotFound):
        result_of(decide(request, 5, "yes"))
    with pytest.raises(NotFound):
        result_of(decide(5, ann, "yes"))
    with pytest.raises(NotFound):
        result_of(decide(request, bob, "yes", account="others"))
    with pytest.raises(ValidationError, match="write yes or no"):
        result_of(decide(request, bob, "maybe"))
    with pytest.raises(ValidationError, match="reason"):
        result_of(decide(request, bob, "no", "长" * 1001))
    result_of(decide(request, bob, "no"))
    with pytest.raises(Conflict, match="closed: rejected"):
        result_of(decide(request, eve, "yes"))


def test_a_request_changed_by_another_process_is_a_conflict_and_changes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = office.create((ANN,))
    row = office.stored(ANN, "同意")
    monkeypatch.setattr("smsgw.store.requests.advance_version", lambda *_, **__: False)
    with pytest.raises(Conflict):
        result_of(office.engine.reply(row))
    monkeypatch.undo()
    assert office.show(request)["state"] == "open"
    assert result_of(office.engine.reply(row)) == "decided"


def test_a_request_is_shown_whole(office: Office) -> None:
    request = office.create((ANN,), reference="r-1")
    office.reply(ANN, "好的")
    office.reply(ANN, "2 太贵")
    shown = office.show(request)
    assert shown["id"] == str(request)
    assert (shown["reference"], shown["body"], shown["preset"]) == ("r-1", "请审批", "approval")
    ann = office.assignee(request, ANN)
    assert ann["sender_number"] == ACCESS + ann["extension"]
    assert ann["prompt_status"] == "queued"
    assert ann["prompt_message_id"].isdigit()
    assert ann["asked_back"] == 1
    assert [(one["text"], one["counted"], one["rule"]) for one in ann["answers"]] == [
        ("好的", False, "slot:acknowledgement"),
        ("2 太贵", True, "slot:number"),
    ]


def test_another_accounts_request_is_not_found(office: Office) -> None:
    request = office.create((ANN,))
    assert result_of(office.engine.show(request, "office"))["account"] == "office"
    with pytest.raises(NotFound):
        result_of(office.engine.show(request, "others"))
    with pytest.raises(NotFound):
        result_of(office.engine.show(5))


def test_requests_are_listed_newest_first_by_page_and_filter(office: Office) -> None:
    first = office.create((ANN,), subject="一", reference="a")
    second = office.create((ANN,), subject="二", account="others")
    office.reply(ANN, "同意")

    def ids(**filters: object) -> list[str]:
        return [one["id"] for one in result_of(office.engine.list(**filters))]  # type: ignore[arg-type]

    assert ids() == [str(second), str(first)]
    assert ids(before=second) == [str(first)]
    assert ids(account="others") == ids(state="closed") == [str(second)]
    assert ids(reference="a") == [str(first)]


def test_what_was_stored_and_not_read_is_read_once_after_a_restart(office: Office) -> None:
    request = office.create((ANN,))
    row = office.stored(ANN, "同意")
    engine = office.restarted()
    assert result_of(engine.reply(row)) == "decided"
    assert office.show(request)["outcome"] == "approved"
    sent = len(office.composer.sent)
    assert result_of(engine.reply(row)) == "decided"
    assert len(office.composer.sent) == sent
    assert len(office.assignee(request, ANN)["answers"]) == 1


def test_an_inbound_message_that_is_not_recorded_is_an_error(office: Office) -> None:
    office.create((ANN,))
    row = office.stored(ANN, "同意")
    row.id = 5
    with pytest.raises(NotFound):
        result_of(office.engine.reply(row))


def test_an_observer_that_fails_undoes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(event: Event) -> None:
        raise RuntimeError(event.kind)

    logged: list[str] = []

    def note(entry: LogEvent) -> None:
        logged.append(formatEvent(entry))

    office.engine = RequestEngine(
        office.store, Tools(office.store.ids, office.composer), office.time, failing
    )
    monkeypatch.setattr(engine, "_log", Logger(observer=note))
    request = office.create((ANN,))
    assert office.show(request)["state"] == "open"
    assert any("observer failed on request.created" in line for line in logged)


def test_slots_that_run_out_fall_back_to_an_id_in_the_text() -> None:
    office = Office(plans=SlotPlans(SlotPlan(digits=1)))
    for number in range(10):
        office.create((ANN,), subject=f"第{number}项")
    request = office.create((ANN,), subject="第十一项")
    ann = office.assignee(request, ANN)
    prompt = office.prompt_to(ANN)
    assert "conversations.exhausted" in office.kinds()
    assert prompt.extension == ""
    assert f"#{ann['short_id']} 同意" in prompt.text
    assert office.reply(ANN, f"#{ann['short_id']} 好", "") == "asked_back"
    assert f"#{ann['short_id']} 同意" in office.texts_to(ANN)[-1]
    assert office.reply(ANN, f"#{ann['short_id']} 同意", "") == "decided"
    assert office.show(request)["outcome"] == "approved"
    office.store.close()


def test_a_cool_down_cut_short_is_told() -> None:
    office = Office(plans=SlotPlans(SlotPlan(digits=1, short_cool_down_seconds=10)))
    for number in range(10):
        office.create((ANN,), subject=f"第{number}项")
    office.reply(ANN, "同意")
    office.time.advance(11)
    office.create((ANN,))
    assert "conversations.shortened" in office.kinds()
    office.store.close()


def test_what_an_extension_stands_for_is_told_when_it_begins_and_ends(office: Office) -> None:
    request = office.create((ANN,))
    prompt = office.prompt_to(ANN)
    office.reply(ANN, "同意", prompt.extension)
    opened, ended = (one for one in office.events if one.kind.startswith("conversations."))
    assert (opened.kind, ended.kind) == ("conversations.opened", "conversations.ended")
    assert opened.subject_id == ended.subject_id
    assert opened.data["sender_number"] == ACCESS + prompt.extension
    assert {one.data["request_id"] for one in (opened, ended)} == {str(request)}
