"""The life of a request: resend, reminders, escalation, quiet hours, delegation, its ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from smsgw.errors import Conflict, NotFound, ValidationError
from smsgw.model import MessageClass
from smsgw.services.quiet import QuietHours, Window
from smsgw.services.requests.drafts import Person
from smsgw.services.requests.settings import Escalation, OnDeadline
from smsgw.services.requests.stand_ins import StandInDraft, StandIns
from tests.support.memory import result_of
from tests.support.requests import ANN, BOB, EVE, Office, asking

BOSS = "18900001009"
HOUR = 3600.0


@pytest.fixture
def office() -> Iterator[Office]:
    office = Office()
    yield office
    office.store.close()


def test_who_has_not_answered_is_reminded_with_the_same_extension(office: Office) -> None:
    request = office.create(asking(ANN, BOB, reminders=[HOUR, 2 * HOUR]))
    first = office.prompt_to(ANN)
    office.reply(BOB, "同意")
    office.time.advance(HOUR)
    second = office.prompt_to(ANN)
    assert second.text == "提醒 " + first.text
    assert second.extension == first.extension
    office.time.advance(HOUR)
    assert len(office.texts_to(ANN)) == 3
    office.time.advance(10 * HOUR)
    assert len(office.texts_to(ANN)) == 3
    assert [text for text in office.texts_to(BOB) if text.startswith("提醒")] == []
    assert office.assignee(request, ANN)["reminded"] == 2
    assert office.kinds().count("request.reminded") == 2
    assert office.reply(ANN, "同意", second.extension) == "decided"


def test_reminders_that_are_due_together_are_one_list(office: Office) -> None:
    first = office.create(asking(ANN, reminders=[HOUR]), subject="甲")
    office.time.advance(60)
    second = office.create(asking(ANN, reminders=[HOUR]), subject="乙")
    office.time.advance(HOUR - 60)
    assert office.prompt_to(ANN).text == (
        "您有2项待审批，请回复“序号+意见”，如“1同意”：\n1 《甲》\n2 《乙》"
    )
    assert office.prompt_to(ANN).extension == ""
    office.time.advance(HOUR)
    assert len(office.texts_to(ANN)) == 3
    assert office.reply(ANN, "1 2 同意", "") == "decided"
    outcomes = [office.show(one)["outcome"] for one in (first, second)]
    assert outcomes == ["approved", "approved"]


def test_a_restart_forgets_no_reminder(office: Office) -> None:
    office.create(asking(ANN, reminders=[HOUR]))
    result_of(office.engine.timers.stop())
    office.time.advance(2 * HOUR)
    assert len(office.texts_to(ANN)) == 1
    office.restarted()
    office.time.advance(1)
    assert len(office.texts_to(ANN)) == 2


def test_an_escalation_is_asked_besides_and_decides_alone(office: Office) -> None:
    escalation = [Escalation(HOUR, BOSS, "主任")]
    request = office.create(asking(ANN, BOB, escalation=escalation))
    office.time.advance(HOUR)
    assert office.prompt_to(BOSS).text.startswith("待审批：采购申请")
    boss = office.assignee(request, BOSS)
    assert (boss["role"], boss["state"]) == ("escalation", "asked")
    assert office.reply(BOSS, "同意") == "decided"
    shown = office.show(request)
    assert shown["outcome"] == "approved"
    assert shown["steps"][0]["mask"] == {"full": 3, "approved": 0, "rejected": 0}
    assert office.texts_to(ANN)[-1] == "《采购申请》已批准，无需再回复"


def test_a_step_that_was_decided_is_not_escalated(office: Office) -> None:
    office.create(asking(ANN, escalation=[Escalation(HOUR, BOSS, "主任")]))
    office.reply(ANN, "同意")
    office.time.advance(2 * HOUR)
    assert office.texts_to(BOSS) == []


@pytest.mark.parametrize(
    ("on_deadline", "state", "outcome", "said"),
    [
        (None, "expired", "expired", "已过期"),
        (OnDeadline.REJECT, "closed", "rejected", "未批准"),
        (OnDeadline.APPROVE, "closed", "approved", "已批准"),
    ],
)
def test_a_step_whose_time_is_over_comes_to_what_it_says(
    office: Office, on_deadline: OnDeadline | None, state: str, outcome: str, said: str
) -> None:
    step = asking(ANN, BOB, deadline_after=HOUR, on_deadline=on_deadline)
    request = office.create(step, applicant=Person(EVE, "小李"))
    office.reply(ANN, "同意")
    office.time.advance(HOUR)
    shown = office.show(request)
    assert (shown["state"], shown["outcome"]) == (state, outcome)
    assert office.texts_to(BOB)[-1] == f"《采购申请》{said}，无需再回复"
    assert office.texts_to(EVE) == [f"《采购申请》{said}"]
    extension = next(one.extension for one in office.composer.sent if one.to == BOB)
    assert office.reply(BOB, "同意", extension) == "late"
    assert office.show(request)["outcome"] == outcome


def test_an_approved_deadline_goes_on_with_the_next_step(office: Office) -> None:
    request = office.create(
        asking(ANN, deadline_after=HOUR, on_deadline=OnDeadline.APPROVE), asking(BOB)
    )
    office.time.advance(HOUR)
    shown = office.show(request)
    assert [step["state"] for step in shown["steps"]] == ["closed", "open"]
    assert office.reply(BOB, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_a_request_ends_at_its_own_deadline_in_whatever_step(office: Office) -> None:
    deadline = datetime.fromtimestamp(office.time(), UTC) + timedelta(hours=2)
    request = office.create((ANN,), (BOB,), deadline=deadline)
    office.reply(ANN, "同意")
    office.time.advance(2 * HOUR)
    shown = office.show(request)
    assert (shown["state"], shown["outcome"]) == ("expired", "expired")
    assert shown["steps"][1]["outcome"] == "expired"
    assert office.texts_to(BOB)[-1] == "《采购申请》已过期，无需再回复"


def test_nobody_is_asked_in_quiet_hours_and_a_question_not_yet_sent_is_taken_back() -> None:
    night = QuietHours(ZoneInfo("UTC"), Window(0, 1439), Window(0, 1439))
    office = Office(quiet=night)
    request = office.create((ANN, BOB), applicant=Person(EVE))
    prompt = office.prompt_to(ANN)
    assert prompt.due_at > office.time.ms
    assert night.next_allowed(prompt.due_at) == prompt.due_at
    result_of(office.engine.withdraw(request))
    assert {one.to for one in office.composer.revoked} == {ANN, BOB}
    assert office.texts_to(ANN) == [prompt.text]
    assert office.texts_to(EVE) == ["《采购申请》已撤回"]
    urgent = office.create((ANN,), urgent=True)
    assert office.prompt_to(ANN).due_at == 0
    assert office.show(urgent)["urgent"] is True
    office.store.close()


def test_a_reminder_in_quiet_hours_waits_for_their_end() -> None:
    office = Office()
    now = datetime.fromtimestamp(office.time(), UTC)
    minute = now.hour * 60 + now.minute
    quiet = Window((minute + 30) % 1440, (minute + 120) % 1440)
    office = Office(quiet=QuietHours(ZoneInfo("UTC"), quiet, quiet))
    office.create(asking(ANN, reminders=[HOUR]))
    assert office.prompt_to(ANN).due_at == 0
    office.time.advance(1.5 * HOUR)
    assert len(office.texts_to(ANN)) == 1
    office.time.advance(0.75 * HOUR)
    assert len(office.texts_to(ANN)) == 2
    assert office.prompt_to(ANN).due_at == 0
    office.store.close()


def test_a_withdrawn_request_tells_everybody_and_takes_no_answer(office: Office) -> None:
    request = office.create((ANN, BOB), (EVE,), applicant=Person(BOSS))
    extension = office.prompt_to(ANN).extension
    office.reply(BOB, "同意")
    version = result_of(office.engine.withdraw(request, "写错了", account="office"))
    shown = office.show(request)
    assert (shown["state"], shown["outcome"], shown["version"]) == (
        "withdrawn",
        "withdrawn",
        version,
    )
    assert office.texts_to(ANN)[-1] == "《采购申请》已撤回，无需再回复"
    assert office.texts_to(BOB)[-1].startswith("已记录")
    assert office.texts_to(EVE) == []
    assert office.texts_to(BOSS) == ["《采购申请》已撤回"]
    assert office.reply(ANN, "同意", extension) == "late"
    assert office.prompt_to(ANN).text == "《采购申请》已撤回，无需再回复"
    with pytest.raises(Conflict):
        result_of(office.engine.withdraw(request))
    with pytest.raises(NotFound):
        result_of(office.engine.withdraw(request, account="others"))


def test_a_withdrawal_at_another_version_changes_nothing(office: Office) -> None:
    request = office.create((ANN, BOB))
    office.reply(ANN, "同意")
    with pytest.raises(Conflict, match="at version 2, not 1"):
        result_of(office.engine.withdraw(request, version=1))
    assert office.show(request)["state"] == "open"


def test_asking_again_keeps_the_extension_while_it_lives_and_takes_a_new_one_after(
    office: Office,
) -> None:
    request = office.create((ANN, BOB))
    first = office.prompt_to(ANN).extension
    office.reply(BOB, "同意")
    assert result_of(office.engine.resend(request, None)) == 1
    assert office.prompt_to(ANN).extension == first
    assert office.prompt_to(ANN).text.startswith("提醒")
    office.time.advance(31 * 86_400)
    assert result_of(office.engine.resend(request, None)) == 1
    second = office.prompt_to(ANN).extension
    assert second != first
    assert office.reply(ANN, "同意", second) == "decided"
    assert office.show(request)["outcome"] == "approved"


def test_asking_again_reaches_who_could_not_be_asked_before(office: Office) -> None:
    request = office.create((ANN,), (BOB,))
    office.composer.refuse = ValidationError("to", "no link serves this operator")
    office.reply(ANN, "同意")
    assert office.assignee(request, BOB, 1)["state"] == "unreachable"
    office.composer.refuse = None
    assert result_of(office.engine.resend(request, None)) == 1
    assert office.reply(BOB, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"
    with pytest.raises(Conflict):
        result_of(office.engine.resend(request, None))


def test_a_place_is_handed_on_and_the_first_person_answers_no_more(office: Office) -> None:
    request = office.create((ANN, BOB))
    own = office.prompt_to(ANN).extension
    ann = office.assignee(request, ANN)
    result_of(office.engine.delegate(request, int(ann["id"]), Person(EVE, "小王"), actor="秘书"))
    assert office.texts_to(ANN)[-1] == "《采购申请》已转交小王处理，您无需再回复"
    assert office.prompt_to(EVE).text.startswith("待审批：采购申请")
    assert office.reply(ANN, "不同意", own) == "late"
    assert office.prompt_to(ANN).text == "《采购申请》已转交小王处理，您无需再回复"
    office.reply(BOB, "同意")
    assert office.reply(EVE, "同意") == "decided"
    shown = office.show(request)
    assert shown["outcome"] == "approved"
    assert shown["steps"][0]["mask"] == {"full": 3, "approved": 3, "rejected": 0}
    eve = office.assignee(request, EVE)
    assert (eve["delegated_from"], eve["delegated_by"]) == (ann["id"], "api:秘书")
    assert office.assignee(request, ANN)["state"] == "delegated"


@pytest.mark.parametrize(
    ("phone", "field"), [(BOB, "to.phone"), ("12345", "to.phone"), (ANN, "to.phone")]
)
def test_a_place_is_not_handed_on_to_who_is_asked_already(
    office: Office, phone: str, field: str
) -> None:
    request = office.create((ANN, BOB))
    sent = len(office.composer.sent)
    with pytest.raises(ValidationError) as caught:
        result_of(
            office.engine.delegate(request, int(office.assignee(request, ANN)["id"]), Person(phone))
        )
    assert caught.value.field == field
    assert len(office.composer.sent) == sent
    assert office.assignee(request, ANN)["state"] == "asked"


def stand_in(office: Office, **fields: object) -> int:
    people = StandIns(office.store, office.time)
    draft = StandInDraft(phone=ANN, other_phone=EVE, **fields)  # type: ignore[arg-type]
    return result_of(people.create("office", draft))


def test_a_substitute_is_asked_as_long_as_it_lasts(office: Office) -> None:
    until = datetime.fromtimestamp(office.time(), UTC) + timedelta(days=1)
    stand_in(office, name="小王", until=until)
    request = office.create((ANN,))
    assert office.texts_to(ANN) == []
    eve = office.assignee(request, EVE)
    assert (eve["name"], eve["delegated_by"]) == ("小王", "substitute")
    assert office.reply(EVE, "同意") == "decided"
    assert office.show(request)["outcome"] == "approved"
    office.time.advance(2 * 86_400)
    office.create((ANN,))
    assert len(office.texts_to(ANN)) == 1


def test_a_second_number_counts_as_the_assignee(office: Office) -> None:
    stand_in(office, kind="second")
    request = office.create((ANN,))
    assert office.texts_to(EVE) == []
    assert office.reply(EVE, "同意", office.prompt_to(ANN).extension) == "decided"
    answer = office.assignee(request, ANN)["answers"][0]
    assert (answer["actor"], answer["counted"]) == (EVE, True)


def test_a_second_number_without_the_extension_is_asked_by_name(office: Office) -> None:
    stand_in(office, kind="second")
    request = office.create((ANN,))
    assert office.reply(EVE, "同意", "") == "asked_back"
    assert "《采购申请》" in office.prompt_to(EVE).text
    assert office.show(request)["state"] == "open"


def test_a_stand_in_of_another_account_is_a_stranger(office: Office) -> None:
    people = StandIns(office.store, office.time)
    draft = StandInDraft(phone=ANN, other_phone=EVE, kind="second")
    result_of(people.create("others", draft))
    request = office.create((ANN,))
    assert office.reply(EVE, "同意", office.prompt_to(ANN).extension) == "stranger"
    assert office.show(request)["state"] == "open"


def test_a_stand_in_that_was_ended_is_a_stranger_and_stays_in_the_history(office: Office) -> None:
    row_id = stand_in(office, kind="second")
    people = StandIns(office.store, office.time)
    result_of(people.end("office", row_id))
    office.create((ANN,))
    assert office.reply(EVE, "同意", office.prompt_to(ANN).extension) == "stranger"
    listed = people.list("office", phone=ANN, ended=True, before=None, limit=5)
    assert [one["id"] for one in result_of(listed)] == [str(row_id)]
    with pytest.raises(Conflict):
        result_of(people.end("office", row_id))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "friend"}, "kind"),
        ({"other_phone": ANN}, "other_phone"),
        ({"phone": "123"}, "phone"),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC)}, "until"),
        ({"start": datetime(2020, 1, 1)}, "start"),
        ({"name": "长" * 65}, "name"),
    ],
)
def test_a_stand_in_that_cannot_be_names_its_field(
    office: Office, fields: dict[str, object], field: str
) -> None:
    given = {"phone": ANN, "other_phone": EVE, **fields}
    people = StandIns(office.store, office.time)
    with pytest.raises(ValidationError) as caught:
        result_of(people.create("office", StandInDraft(**given)))  # type: ignore[arg-type]
    assert caught.value.field == field


def test_the_applicant_hears_of_the_outcome_and_the_others_that_it_is_over(
    office: Office,
) -> None:
    office.create(asking(ANN, BOB, rule="any"), applicant=Person(EVE))
    office.reply(ANN, "同意")
    assert office.texts_to(EVE) == ["《采购申请》已批准"]
    assert office.prompt_to(EVE).message_class is MessageClass.NOTICE
    assert office.texts_to(BOB)[-1] == "《采购申请》已批准，无需再回复"


def test_the_applicant_hears_why_it_was_rejected(office: Office) -> None:
    office.create((ANN,), applicant=Person(EVE))
    office.reply(ANN, "不同意，预算不够")
    assert office.texts_to(EVE) == ["《采购申请》未批准（N138：预算不够）"]


def test_a_digest_lists_all_a_phone_has_open_and_batch_answers_count_each(office: Office) -> None:
    ids = [office.create((ANN,), subject=subject) for subject in ("甲", "乙", "丙")]
    assert result_of(office.engine.digest(ANN))
    assert office.prompt_to(ANN).text.endswith("1 《甲》\n2 《乙》\n3 《丙》")
    assert office.reply(ANN, "1 3 同意 2不同意 太贵", "") == "decided"
    outcomes = [office.show(one)["outcome"] for one in ids]
    assert outcomes == ["approved", "rejected", "approved"]
    assert office.prompt_to(ANN).text == "\n".join(
        [
            "已记录您对《甲》的意见：同意",
            "已记录您对《乙》的意见：不同意，原因：太贵",
            "已记录您对《丙》的意见：同意",
        ]
    )
    sent = len(office.composer.sent)
    assert office.reply(ANN, "1 3 同意 2不同意 太贵", "") == "repeated"
    assert len(office.composer.sent) == sent
    assert not result_of(office.engine.digest(ANN))


def test_a_digest_of_one_account_leaves_the_others_out(office: Office) -> None:
    office.create((ANN,), subject="甲")
    office.create((ANN,), subject="乙", account="others")
    assert result_of(office.engine.digest(ANN, "others"))
    assert office.prompt_to(ANN).text.endswith("1 《乙》")


def test_many_people_are_asked_a_few_at_a_time(office: Office) -> None:
    phones = [f"1380000{number:04}" for number in range(120)]
    request = office.create(asking(*phones), preset="survey", subject="食堂")
    assert len(office.composer.sent) == 50
    office.time.pump([1, 1])
    assert len(office.composer.sent) == 120
    states = {one["state"] for one in office.show(request)["steps"][0]["assignees"]}
    assert states == {"asked"}


def test_all_of_a_list_means_what_is_still_open_of_it(office: Office) -> None:
    ids = [office.create((ANN,), subject=subject) for subject in ("甲", "乙", "丙")]
    result_of(office.engine.digest(ANN))
    assert office.reply(ANN, "2不同意", "") == "decided"
    assert office.reply(ANN, "全部同意", "") == "decided"
    outcomes = [office.show(one)["outcome"] for one in ids]
    assert outcomes == ["approved", "rejected", "approved"]
    assert "乙" not in office.prompt_to(ANN).text


def test_an_extension_lives_as_long_as_its_question_may_be_answered(office: Office) -> None:
    request = office.create(asking(ANN, deadline_after=60 * 86_400))
    extension = office.prompt_to(ANN).extension
    office.time.advance(59 * 86_400)
    assert office.reply(ANN, "同意", extension) == "decided"
    assert office.show(request)["outcome"] == "approved"
