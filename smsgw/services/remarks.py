"""Judges what stands behind a decision word: does it leave the decision as it is? Pure.

Rules: an approval stays one only before remarks that are known to be harmless: thanks, "please go
on", who is to be told. Anything else may be a condition, a delay or somebody else's decision, and
no list of such words is ever complete. A refusal asks for a reason, so what follows it is free; it
stays one unless something in it turns it round. All text here is folded (see ``replies``).
"""

from __future__ import annotations

import re
from functools import lru_cache

from smsgw.services.vocabulary import Vocabulary

SEPARATORS = " ,.:;、。!~-—+()（）[]"
"""What may stand between a decision and its reason, after folding."""

LEADING = " ,.:;、。()\"'“”‘’「」『』《》〈〉<>[]【】·"
"""What may stand before a decision; not ``!`` and ``~``, by which some people write "not"."""

TRAILING = LEADING + "!~-—+…"

_UNDONE = (
    "不没未无别勿莫非难待等再还但需要该应想准备明后下次"
    "暂临时先可能半差只仅缺坏错误问题?若如否取退撤转派弱卡漏断"
)
"""Characters that make a report of work less than certain."""

_CLAUSES = re.compile(r"[,.:;、。!~()\[\]]+")
RECEIVED_COLOUR = "啊呀哦喔噢哈的滴"
"""Particles that leave "received" as it is; not 了 and 啦: 好了 may say that it is done."""

_OPEN_REMARK = re.compile(
    "[不没未无别勿莫非拒难?转派让换误错停退撤但等]|吗|么|呢|谁|完成|完毕|完工|竣工|搞定|解决|恢复|[好完妥]了"
    "|取消|除非|如果|算了|再说|考虑|can't|cannot|n't|no|done|fixed|finish|complet|resolv"
)
"""What, after "received", may say more than that."""

_COUNT = re.compile(r"[0-9零〇一二两三四五六七八九十]+ ?[票人个位名项]?")


@lru_cache(maxsize=256)
def patterns(v: Vocabulary) -> dict[str, re.Pattern[str]]:
    """Return the words of a vocabulary as patterns, by name."""
    parted = f"[{re.escape(SEPARATORS)}]"
    refusals = v.negatives + v.weak_negatives
    words = {
        "negative": refusals,
        "positive": v.positives,
        "object": v.objects,
        "question": v.questions,
        "refusal": v.negatives + v.objections,
        "unsigned": refusals + v.positives + v.questions + v.doubts + v.laughter,
        "laughter": v.laughter,
    }
    made = {name: any_of(choice) for name, choice in words.items()}
    office, told = any_of(v.offices), any_of(v.offices + v.others)
    particle = f"[{re.escape(v.particles)}]{{0,2}}"
    urged = f"(?:{any_of(v.pleas)}{any_of(v.urges)}{{0,3}}|{any_of(v.urges)}{{1,3}})"
    made["urging"] = f"{urged}{any_of(v.actions)}?(?:一下|即可)?{particle}"
    made["remark"] = (
        f"(?:{made['urging']}|{any_of(v.actions)}{particle}|{any_of(v.courtesies)}{particle}"
        f"|{any_of(v.pleas)}?(?:{any_of(v.notices)}|由)?{office}{any_of(v.urges)}?"
        f"{any_of(v.duties)}|{any_of(v.pleas)}?{any_of(v.notices)}{told}"
        f"|{_report(v)}){{1,3}}"
    )
    made["opening"] = (
        f"(?:{any_of(v.acknowledgements)}{parted}*|{any_of(v.greetings)}{parted}+"
        f"|{any_of(v.intensifiers)}{parted}*){{1,4}}"
        f"(?={any_of(refusals)}|{made['positive']}|{any_of(v.transfers)})"
    )
    made["received"] = any_of(v.received + v.acknowledgements + v.greetings)
    made["transfer"] = any_of(v.transfers)
    made["lead"] = f"(?:{any_of(v.leads)}{parted}*){{1,3}}"
    made["cheer"] = (
        f"(?:{any_of(v.cheers)}|{parted}|[{re.escape(v.particles + v.applause)}❤🎉🌟⭐😍🥰💕💖])*"
    )
    made["negated"] = any_of(v.negations) + made["positive"]
    made["accepts"] = f"(?:^|[^不没未]){any_of(v.acceptances)}[吧{re.escape(v.particles)}]*$"
    made["condition"] = any_of(v.conditions)
    made["reversal"] = any_of(v.reversals)
    made["english"] = f"(?<![a-z'])(?:{any_of(v.english_doubts)})(?![a-z'])"
    made["phrase"] = f"(?:{any_of(v.english_phrases)})(?![a-z'])"
    made["another"] = rf"[0-9]\s*{parted}*(?:{any_of(refusals)}|{made['positive']})"
    return {name: re.compile(pattern) for name, pattern in made.items()}


def _report(v: Vocabulary) -> str:
    """What was done: 更换了电源, 已重启服务器."""
    what = f"[^{re.escape(_UNDONE + SEPARATORS)}]{{0,10}}"
    return f"(?:(?:已|已经){any_of(v.reports)}|{any_of(v.reports)}(?:了|好了?|过|完了?)){what}"


def any_of(words: tuple[str, ...]) -> str:
    """Return an alternation that prefers the longest word; of no words, what never matches."""
    if not words:
        return "(?:(?!))"
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=len, reverse=True)) + ")"


def doubt_about_yes(rest: str, said_by: str, v: Vocabulary) -> str:
    """Return why an approval followed by ``rest`` is not certain; "" when it is.

    ``said_by`` is the number that says the same, "" where none does.
    """
    made = patterns(v)
    if _asks(rest, v) or made["question"].search(rest):
        return "question"
    colour = v.particles + v.applause
    bare = rest.lstrip(colour)
    thing = made["object"].match(bare)
    if thing and bare == rest:
        bare = bare[thing.end() :].lstrip(colour)
    if made["laughter"].search(rest):
        return "remark"
    if not bare:
        return ""
    if bare[0] not in SEPARATORS:
        return "longer word"  # 同意书, 同意不了, 同意王总的意见
    remark = bare.lstrip(SEPARATORS)
    between = bare[: len(bare) - len(remark)]
    if not between.strip() and remark[:1].isascii() and remark[:1].isalpha():
        return "longer word"  # agree with him
    if made["another"].search(rest):
        return "several answers"
    number = remark.strip(TRAILING)
    if number.isdigit():
        return "" if number == said_by else "contradictory"
    return "" if all(_is_harmless(one, v) for one in _CLAUSES.split(remark)) else "remark"


def doubt_about_no(rest: str, said_by: str, weak: bool, v: Vocabulary) -> str:
    """Return why a refusal followed by ``rest`` is not certain; "" when it is.

    ``said_by`` is the number that says the same, "" where none does.
    """
    made = patterns(v)
    bare = rest.lstrip(v.particles)
    parted = not bare or bare[0] in SEPARATORS
    if _asks(rest, v):
        return "question"
    if made["laughter"].search(rest):
        return "taken back"
    if parted:
        rest = bare
    elif weak and not _is_of_an_object(rest, v):
        return "longer word"  # 反对意见, 拒绝骚扰, 不行政
    elif rest.startswith(v.longer_words) and not rest.startswith(v.exceptions):
        return "longer word"
    reason = rest.lstrip(SEPARATORS)
    only_spaces = parted and not rest[: len(rest) - len(reason)].strip()
    if only_spaces and reason[:1].isascii() and reason[:1].isalpha():
        if weak or made["phrase"].match(reason):
            return "longer word"  # no problem, disagree with him
        if made["refusal"].search(reason):
            return "contradictory"  # reject the rejection
    first_clause = _CLAUSES.split(reason, maxsplit=1)[0]
    if not parted and made["question"].search(first_clause):
        return "question"
    if (not parted and made["refusal"].search(first_clause)) or (
        only_spaces and made["negative"].match(reason)
    ):
        return "contradictory"  # 不同意驳回
    return _doubt_about_reason(rest, said_by, v)


def _doubt_about_reason(reason: str, said_by: str, v: Vocabulary) -> str:
    made = patterns(v)
    if made["another"].search(reason):
        return "several answers"
    number = reason.strip(TRAILING)
    if number != said_by and _COUNT.fullmatch(number):
        return "contradictory"  # 反对 0 票
    affirmed = made["negated"].sub("", reason)
    clauses = [one.strip(TRAILING) for one in _CLAUSES.split(affirmed)]
    if any(word in affirmed for word in v.strong_positives) or any(
        one.startswith(v.positives) or one.rstrip(v.particles + "吧").endswith(v.positives)
        for one in clauses
    ):
        return "contradictory"
    urged = any(made["urging"].fullmatch(one) for one in clauses)
    if urged or made["reversal"].search(reason) or _takes_back(reason, v):
        return "taken back"
    if made["condition"].search(reason) or made["english"].search(reason):
        return "conditional"
    if any(made["accepts"].search(one) for one in clauses):
        return "conditional"
    if re.search(r"(?:但|不过|可是|but)(?:是?\W*$|.*(?:可以|行|好|准|ok|fine))", reason):
        return "conditional"
    return ""


def doubt_about_received(rest: str, v: Vocabulary) -> str:
    """Return why "received" followed by ``rest`` is not certain to be all; "" when it is."""
    bare = rest.lstrip(RECEIVED_COLOUR)
    if not bare.strip(TRAILING + v.applause):
        return ""
    bare = bare.lstrip(v.applause)
    remark = bare.lstrip(SEPARATORS)
    between = bare[: len(bare) - len(remark)]
    if not between or (not between.strip() and remark[0].isascii() and remark[0].isalpha()):
        return "longer word"  # 好了, ok le
    return "remark" if _OPEN_REMARK.search(bare) else ""


def _is_harmless(clause: str, v: Vocabulary) -> bool:
    """Whether a clause behind an approval is known to take nothing back."""
    remark = patterns(v)["remark"]
    said = clause.strip(TRAILING + v.applause)
    return bool(not said or remark.fullmatch(said) or all(map(remark.fullmatch, said.split())))


def _is_of_an_object(rest: str, v: Vocabulary) -> bool:
    """Whether what is refused is named and nothing else: 拒绝申请."""
    thing = patterns(v)["object"].match(rest)
    return thing is not None and (thing.end() == len(rest) or rest[thing.end()] in SEPARATORS)


def _asks(rest: str, v: Vocabulary) -> bool:
    """Whether the text ends as a question does, or carries a question mark."""
    return "?" in rest or rest.rstrip(TRAILING).endswith(v.question_endings)


def _takes_back(rest: str, v: Vocabulary) -> bool:
    whole = [one.strip(TRAILING) for one in _CLAUSES.split(rest)]
    words = [word for one in whole if not one.isascii() for word in one.split()]
    said = [one.lstrip("我刚才") for one in whole + words]
    return any(one in v.slips or one.rstrip(v.particles) in v.slips for one in said if one)
