"""A request as it is written on a command line, and as the API takes it.

Only its form is read here; what may be asked the gateway says, by the API's names of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from smsgw.interfaces.cli.client import Json
from smsgw.interfaces.cli.times import moment
from smsgw.services.choices import Effect
from smsgw.services.requests.settings import Audience, Confirmation, Counts, OnDeadline

F = TypeVar("F", bound=Callable[..., Any])

_HALF_WIDTH = str.maketrans("：，＝", ":,=")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_EFFECTS = [str(effect) for effect in Effect]
_OF_STEPS = ("rule", "reject_ends", "step_deadline", "remind", "escalate", "answer")
"""What is said of steps, and so needs one."""


def duration(value: str) -> float:
    """Return seconds, written as a number or as 30s, 5m, 2h, 1d."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration; write seconds, or 30s, 5m, 2h, 1d")
    return float(match[1]) * _SECONDS[match[2]]


def person(value: str) -> Json:
    """Return somebody, written as NAME:PHONE."""
    name, colon, phone = value.translate(_HALF_WIDTH).rpartition(":")
    if not colon or not phone.strip():
        raise click.BadParameter(f"{value!r}: write NAME:PHONE")
    return {"name": name.strip(), "phone": phone.strip()}


def step(value: str) -> Json:
    """Return who is asked at the same time, written as [RULE=]NAME:PHONE,NAME:PHONE…"""
    rule, _, people = value.translate(_HALF_WIDTH).rpartition("=")
    return _said({"rule": rule.strip(), "assignees": [person(one) for one in people.split(",")]})


def contact(value: str) -> Json:
    """Return somebody who is asked later, written as DURATION=NAME:PHONE."""
    after, equals, whom = value.translate(_HALF_WIDTH).partition("=")
    if not equals:
        raise click.BadParameter(f"{value!r}: write DURATION=NAME:PHONE, such as 2h=NAME:PHONE")
    return {"after": duration(after), **person(whom)}


def answer(value: str) -> Json:
    """Return an allowed answer, written as [KEY=]LABEL[:EFFECT]."""
    key, _, rest = value.translate(_HALF_WIDTH).rpartition("=")
    label, colon, effect = rest.partition(":")
    if colon and effect not in _EFFECTS:
        known = ", ".join(_EFFECTS)
        raise click.BadParameter(f"{effect!r} is none of {known}; write [KEY=]LABEL[:EFFECT]")
    return {"label": label} | _said({"key": key, "effect": effect})


def _one_of(values: Iterable[str]) -> Any:
    return click.Choice([str(value) for value in values])


_OPTIONS = (
    click.option("--subject", required=True, help="What is to be decided, in one line."),
    click.option("--body", help="Everything they need to know."),
    click.option("--preset", help="approval, dispatch, survey or vote.  [default: approval]"),
    click.option("--type", "type_", metavar="NAME", help="A saved flow for whatever is left out."),
    click.option(
        "--ask",
        type=person,
        multiple=True,
        metavar="NAME:PHONE",
        help="Whom to ask; repeat it for several people in one step.",
    ),
    click.option(
        "--step",
        "steps",
        type=step,
        multiple=True,
        metavar="[RULE=]NAME:PHONE,NAME:PHONE…",
        help="A whole step instead of --ask; repeat it for steps one after the other.",
    ),
    click.option(
        "--rule", help='all, any, or such as "2 of 3".  [default: any for dispatch, else all]'
    ),
    click.option(
        "--reject-ends/--no-reject-ends",
        default=None,
        help="Whether one rejection decides a step.  [default: with rule all]",
    ),
    click.option(
        "--deadline",
        callback=moment,
        metavar="TIME",
        help="When it all ends, such as 2026-11-22T18:00 (this machine's zone) or …+08:00.",
    ),
    click.option(
        "--step-deadline",
        type=duration,
        metavar="DURATION",
        help="How long each step may take: 30m, 2h, 1d.",
    ),
    click.option(
        "--on-deadline",
        type=_one_of(OnDeadline),
        help="What it comes to then.  [default: expire; approve for survey and vote]",
    ),
    click.option(
        "--remind",
        type=duration,
        multiple=True,
        metavar="DURATION",
        help="When to ask again who has not answered; repeatable.",
    ),
    click.option(
        "--escalate",
        type=contact,
        multiple=True,
        metavar="DURATION=NAME:PHONE",
        help="Who is asked besides when a step is not decided by then; repeatable.",
    ),
    click.option(
        "--applicant", type=person, metavar="NAME:PHONE", help="Who is told what came of it."
    ),
    click.option(
        "--confirm",
        type=_one_of(Confirmation),
        help="What a consent needs: the code in the question, or a decision over the API.",
    ),
    click.option(
        "--allow-change",
        is_flag=True,
        help="Another answer replaces the first until the step is decided.",
    ),
    click.option("--urgent", is_flag=True, help="Ask in quiet hours too."),
    click.option(
        "--answer",
        type=answer,
        multiple=True,
        metavar="[KEY=]LABEL[:EFFECT]",
        help="An allowed answer, or what may be voted for; repeatable.  "
        f"[EFFECT: {', '.join(_EFFECTS)}]",
    ),
    click.option(
        "--anyone",
        metavar="EXTENSION",
        help="A vote of anyone who writes to these digits after our number.",
    ),
    click.option(
        "--counts",
        type=_one_of(Counts),
        help="Which of a phone's votes counts.  [default: first]",
    ),
    click.option("--ref", help="Your own reference."),
)


def draft_options(command: F) -> F:
    """Decorate a command with every option of a new request."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_body(written: Mapping[str, Any]) -> Json:
    """Return what the options of :func:`draft_options` ask for.

    Raises:
        click.UsageError: They do not go together.
    """
    vote = {"counts": written["counts"]}
    if written["anyone"] is not None:
        vote |= {"audience": Audience.ANYONE, "extension": written["anyone"]}
    return {"subject": written["subject"]} | _said(
        {
            "body": written["body"],
            "preset": written["preset"],
            "type": written["type_"],
            "reference": written["ref"],
            "applicant": written["applicant"],
            "deadline": written["deadline"],
            "on_deadline": written["on_deadline"],
            "confirmation": written["confirm"],
            "allow_change": written["allow_change"],
            "urgent": written["urgent"],
            "vote": _said(vote),
            "steps": _steps(written),
        }
    )


def _steps(written: Mapping[str, Any]) -> Sequence[Json]:
    people, steps = written["ask"], written["steps"]
    if people and steps:
        raise click.UsageError("give --ask (one step) or --step (several), and not both")
    if not people and not steps:
        if written["anyone"] is not None:
            return [_of_step(written)]
        if not written["type_"]:
            raise click.UsageError("say whom to ask: --ask, --step, --anyone, or a --type")
        for name in _OF_STEPS:
            if written[name] not in (None, ()):
                option = f"--{name.replace('_', '-')}"
                raise click.UsageError(
                    f"{option} is about steps, and those are the type's; give --ask or --step"
                )
        return []
    return [_of_step(written) | one for one in steps or [{"assignees": list(people)}]]


def _of_step(written: Mapping[str, Any]) -> Json:
    """What every step is told."""
    own = {
        "rule": written["rule"],
        "deadline_after": written["step_deadline"],
        "reminders": sorted(written["remind"]),
        "escalation": list(written["escalate"]),
        "answers": list(written["answer"]),
    }
    ends = written["reject_ends"]
    return _said(own) | ({} if ends is None else {"reject_ends": ends})


def _said(fields: Mapping[str, Any]) -> Json:
    """Leave out what was not said."""
    return {key: value for key, value in fields.items() if value}
