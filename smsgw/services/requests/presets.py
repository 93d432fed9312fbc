"""What a kind of request says to people: its choices and its texts.

One engine serves all: a preset is data, and another kind of request is another instance in
:data:`PRESETS`. A step may allow other answers than its preset (``Choice``); the texts then name
those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smsgw.services.choices import Choice, Effect
from smsgw.services.questions import APPROVAL as APPROVAL_QUESTION
from smsgw.services.questions import DISPATCH as DISPATCH_QUESTION
from smsgw.services.questions import SURVEY as SURVEY_QUESTION
from smsgw.services.questions import Question, Style
from smsgw.services.requests.model import ALL, ANY, Outcome
from smsgw.services.requests.settings import Confirmation, OnDeadline

_SUBJECT_SHOWN = 30
_REASON_SHOWN = 41
LIST_SHOWN = 9
"""How many items a list shows."""

_DECIDED = {
    Outcome.APPROVED: "已批准",
    Outcome.REJECTED: "未批准",
    Outcome.EXPIRED: "已过期",
    Outcome.WITHDRAWN: "已撤回",
}
_DONE = {
    Outcome.APPROVED: "已完成",
    Outcome.REJECTED: "未能完成",
    Outcome.EXPIRED: "已过期",
    Outcome.WITHDRAWN: "已撤回",
}
_ENDED = {**_DONE, Outcome.APPROVED: "已结束", Outcome.REJECTED: "已结束"}


class Asked:
    """How a question is written: its choices, and what a reply must carry besides.

    Args:
        question: What may be answered.
        short_id: What the person types where no extension carries the question; else "".
        code: The digits a consent must carry; "" when none.
        confirmation: What a consent needs, as in the request's settings.
    """

    def __init__(
        self,
        question: Question,
        short_id: str = "",
        code: str = "",
        confirmation: Confirmation | None = None,
    ) -> None:
        self.question = question
        self.confirmation = confirmation
        self._written = f"#{short_id} " if short_id else ""
        self._code = f" {code}" if code else ""

    def written(self, choice: Choice) -> str:
        """Return what a person writes to choose it."""
        code = self._code if choice.effect is Effect.FOR else ""
        return f"{self._written}{choice.label}{code}"

    @property
    def prefix(self) -> str:
        """What is written before any answer."""
        return self._written


@dataclass(frozen=True)
class Preset:
    """One kind of request: how replies are read, and every text that is sent.

    Attributes:
        name: As requests name it.
        head: What a question begins with.
        things: What items of a list are called.
        question: What may be answered, and how replies are read.
        outcomes: What each end is called.
        on_deadline: What a step comes to when its time is over.
        numbered: Whether people answer by a number.
        rule: A step's, where it names none.
        hint: What a question adds on how to answer by a number.
    """

    name: str
    head: str
    things: str
    question: Question
    outcomes: Mapping[Outcome, str] = field(default_factory=lambda: _DECIDED)
    on_deadline: OnDeadline = OnDeadline.EXPIRE
    numbered: bool = False
    hint: str = ""
    rule: str = ALL

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What may be answered, where a step does not say otherwise."""
        return self.question.choices

    def prompt(self, subject: str, body: str, asked: Asked, *, again: bool = False) -> str:
        """Return the question; ``again`` when it is a reminder."""
        head = f"提醒 {self.head}" if again else self.head
        return "\n".join(part for part in (f"{head}：{subject}", body, self._how(asked)) if part)

    def ask_back(self, subject: str, asked: Asked) -> str:
        """Return the question what was meant: it names the item and the choices."""
        how = self._how(asked).removeprefix("回复 ")
        if asked.confirmation is None and not asked.prefix and not self.numbered:
            how = _numbered(asked.question)
        return f"关于{_name(subject)}，未能确定您的意思。请回复：{how}"

    def listing(self, numbered: Sequence[tuple[int, str]], things: str = "") -> str:
        """Return the list of several items; ``things`` is what they are, when not our own."""
        shown = [f"{number} {_name(subject)}" for number, subject in numbered[:LIST_SHOWN]]
        first, label = numbered[0][0], self.choices[0].label if self.choices else "选项"
        more = len(numbered) - len(shown)
        tail = [f"另有{more}项"] if more else []
        head = (
            f"您有{len(numbered)}项{things or self.things}，请回复“序号+意见”，如“{first}{label}”："
        )
        return "\n".join([head, *shown, *tail])

    def confirmation(self, subject: str, choice: Choice, reason: str) -> str:
        """Return what is said once when an answer was recorded; a long reason is shortened."""
        because = f"，原因：{_shortened(reason, _REASON_SHOWN)}" if reason else ""
        return f"已记录您对{_name(subject)}的意见：{choice.label}{because}"

    def already_answered(
        self, subject: str, choice: Choice, outcome: Outcome | None, *, final: bool = True
    ) -> str:
        """Return what somebody hears whose answer is recorded already; None: no outcome yet."""
        end = f"。结果：{self.outcomes[outcome]}" if outcome else ""
        fixed = "，不能更改" if final else ""
        return f"您对{_name(subject)}的意见已记录为：{choice.label}{fixed}{end}"

    def already_closed(self, subject: str, outcome: Outcome | None) -> str:
        """Return what somebody hears who need not answer; None: the request goes on without."""
        state = self.outcomes[outcome] if outcome else "本环节已处理"
        return f"{_name(subject)}{state}，无需再回复"

    def handed_on(self, subject: str, to: str) -> str:
        """Return what somebody hears whose item was handed on to ``to``."""
        return f"{_name(subject)}已转交{to}处理，您无需再回复"

    def needs_code(self, subject: str, asked: Asked, left: int) -> str:
        """Return what somebody hears who consented without the code, or with a wrong one.

        It does not say the code: only who has the question knows it.
        """
        yes = f"{asked.prefix}{asked.question.choices[0].label}"
        return f"{_name(subject)}需凭验证码确认，还可尝试{left}次。请回复：{yes}+原短信中的验证码"

    def needs_console(self, subject: str) -> str:
        """Return what somebody hears who cannot consent by SMS."""
        return f"{_name(subject)}须登录系统确认，短信回复不能作为同意"

    def bad_transfer(self, subject: str, problem: str) -> str:
        """Return what somebody hears who handed on to nobody we can ask."""
        return f"{_name(subject)}未能转派：{problem}。请回复：转派+手机号"

    def result(self, subject: str, outcome: Outcome, reasons: Sequence[tuple[str, str]]) -> str:
        """Return what the applicant hears; ``reasons`` are names and reasons of refusals."""
        refused = "；".join(f"{name}：{reason}" for name, reason in reasons if reason)
        because = f"（{refused}）" if refused else ""
        return f"{_name(subject)}{self.outcomes[outcome]}{because}"

    def _how(self, asked: Asked) -> str:
        """How to answer, as a question's last line."""
        if asked.confirmation is Confirmation.API:
            no = next((one for one in asked.question.choices if one.effect is Effect.AGAINST), None)
            refuse = f"；不同意可回复 {asked.written(no)}+原因" if no else ""
            return f"请登录系统确认{refuse}"
        if self.hint:
            return f"回复 {asked.prefix}{self.hint}"
        if self.numbered:
            return f"回复 {asked.prefix}序号：{_numbered(asked.question)}"
        offered = [_offered(asked, choice) for choice in asked.question.choices]
        if len(offered) == 1:
            return f"回复 {offered[0]}"
        return f"回复 {'、'.join(offered[:-1])} 或 {offered[-1]}"


def _offered(asked: Asked, choice: Choice) -> str:
    more = {Effect.AGAINST: "+原因", Effect.TRANSFER: "+手机号"}.get(choice.effect, "")
    return asked.written(choice) + more


def _numbered(question: Question) -> str:
    return " ".join(f"{number} {choice.label}" for number, choice in question.numbered())


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _name(subject: str) -> str:
    """A subject as the texts name it; the prompt has it whole."""
    flat = " ".join(subject.split())
    return f"《{_shortened(flat, _SUBJECT_SHOWN)}》"


APPROVAL = Preset("approval", "待审批", "待审批", APPROVAL_QUESTION)
DISPATCH = Preset("dispatch", "派工", "待处理派工", DISPATCH_QUESTION, _DONE, rule=ANY)
SURVEY = Preset(
    "survey",
    "请评分",
    "待评分",
    SURVEY_QUESTION,
    _ENDED,
    OnDeadline.APPROVE,
    numbered=True,
    hint="1 至 5（5 非常满意，1 非常不满意），可附意见",
)
VOTE = Preset(
    "vote",
    "投票",
    "投票",
    Question((), style=Style.OPTIONS),
    _ENDED,
    OnDeadline.APPROVE,
    numbered=True,
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (APPROVAL, DISPATCH, SURVEY, VOTE)}
