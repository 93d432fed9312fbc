"""What a kind of request says to people: its words and its texts.

``approval`` is the first preset. Another one (dispatch, survey, vote) is another instance in
:data:`PRESETS`, with its own vocabulary and texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smsgw.services.requests.model import Decision, Outcome
from smsgw.services.vocabulary import Vocabulary

_SUBJECT_SHOWN = 30
_REASON_SHOWN = 41
LIST_SHOWN = 9
"""How many items a list shows."""


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _name(subject: str) -> str:
    """A subject as the texts name it; the prompt has it whole."""
    flat = " ".join(subject.split())
    return f"《{_shortened(flat, _SUBJECT_SHOWN)}》"


@dataclass(frozen=True)
class Preset:
    """One kind of request: how replies are read, and every text that is sent.

    Attributes:
        name: As requests name it.
        vocabulary: The words replies are read by.
        decisions: What each answer is called.
        outcomes: What each end is called.
    """

    name: str
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    decisions: Mapping[Decision, str] = field(
        default_factory=lambda: {Decision.YES: "同意", Decision.NO: "不同意"}
    )
    outcomes: Mapping[Outcome, str] = field(
        default_factory=lambda: {Outcome.APPROVED: "已批准", Outcome.REJECTED: "未批准"}
    )

    @property
    def _choices(self) -> str:
        words = self.vocabulary
        yes, no = self.decisions[Decision.YES], self.decisions[Decision.NO]
        return f"{words.yes_number} {yes} {words.no_number} {no}"

    def prompt(self, subject: str, body: str, short_id: str = "") -> str:
        """Return the question as it is first sent; ``short_id`` when no extension carries it."""
        yes, no = self.decisions[Decision.YES], self.decisions[Decision.NO]
        written = f"#{short_id} " if short_id else ""
        how = f"回复 {written}{yes} 或 {written}{no}+原因"
        return "\n".join(part for part in (f"待审批：{subject}", body, how) if part)

    def ask_back(self, subject: str, short_id: str = "") -> str:
        """Return the question what was meant: it names the item and the choices."""
        if short_id:
            yes, no = self.decisions[Decision.YES], self.decisions[Decision.NO]
            how = f"#{short_id} {yes} 或 #{short_id} {no}+原因"
        else:
            how = self._choices
        return f"关于{_name(subject)}，未能确定您的意思。请回复：{how}"

    def listing(self, numbered: Sequence[tuple[int, str]]) -> str:
        """Return the question which of several items was meant."""
        yes = self.decisions[Decision.YES]
        shown = [f"{number} {_name(subject)}" for number, subject in numbered[:LIST_SHOWN]]
        first = numbered[0][0]
        more = len(numbered) - len(shown)
        tail = [f"另有{more}项"] if more else []
        head = f"您有{len(numbered)}项待审批，请回复“序号+意见”，如“{first}{yes}”："
        return "\n".join([head, *shown, *tail])

    def confirmation(self, subject: str, decision: Decision, reason: str) -> str:
        """Return what is said once when an answer was recorded; a long reason is shortened."""
        because = f"，原因：{_shortened(reason, _REASON_SHOWN)}" if reason else ""
        return f"已记录您对{_name(subject)}的意见：{self.decisions[decision]}{because}"

    def already_answered(self, subject: str, decision: Decision, outcome: Outcome | None) -> str:
        """Return what somebody hears whose answer is recorded already; None: no outcome yet."""
        end = f"。结果：{self.outcomes[outcome]}" if outcome else ""
        return f"您对{_name(subject)}的意见已记录为：{self.decisions[decision]}，不能更改{end}"

    def already_closed(self, subject: str, outcome: Outcome | None) -> str:
        """Return what somebody hears who is too late; None: the request goes on without them."""
        state = self.outcomes[outcome] if outcome else "本环节已处理"
        return f"{_name(subject)}{state}，无需再回复"

    def result(self, subject: str, outcome: Outcome, reasons: Sequence[tuple[str, str]]) -> str:
        """Return what the applicant hears; ``reasons`` are names and reasons of refusals."""
        refused = "；".join(f"{name}：{reason}" for name, reason in reasons if reason)
        because = f"（{refused}）" if refused else ""
        return f"{_name(subject)}{self.outcomes[outcome]}{because}"


APPROVAL = Preset("approval")

PRESETS: dict[str, Preset] = {APPROVAL.name: APPROVAL}
