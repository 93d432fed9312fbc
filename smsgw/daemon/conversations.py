"""``[conversations]`` and ``[extensions]``: the digits that follow our access numbers.

Each purpose may have its own plan of extensions; static ones lie between them. What is checked
here is that every number means one thing and is short enough for the carrier.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import msgspec

from smsgw.daemon.sections import Section
from smsgw.daemon.settings import Conversations, LinkSettings, PlanSettings
from smsgw.errors import ConfigError
from smsgw.routing.inbound import InboundTable, Service, folded
from smsgw.services.conversations import PURPOSE
from smsgw.services.ledger import SlotPlan, SlotPlans, check_plan
from smsgw.services.requests.presets import PRESETS

PURPOSE_CHARACTERS_MAX = 32
KEYWORD_CHARACTERS_MAX = 32

_DEFAULT = PlanSettings(prefix="", digits=3, live_for=72 * 3600.0, cool_down=24 * 3600.0)
PURPOSES = (*PRESETS, PURPOSE)
_KEYS = tuple(field.name for field in dataclasses.fields(PlanSettings))


def read_conversations(section: Section) -> Conversations:
    """Return the default plan, and what is different for each purpose."""
    default = _plan(section, _DEFAULT)
    purposes = {}
    for name, value in section.values.items():
        if isinstance(value, dict) and name not in _KEYS:
            table = section.section(name)
            purposes[name] = _plan(table, default)
            table.finish()
            if not 1 <= len(name) <= PURPOSE_CHARACTERS_MAX:
                section.add(name, f"a purpose has 1 to {PURPOSE_CHARACTERS_MAX} characters")
            near = difflib.get_close_matches(name, PURPOSES, 1, 0.8)
            if near and name not in PURPOSES:
                problem = f"used only by a request type of that name; did you mean {near[0]}?"
                section.problems.warn(section.at(name), problem)
    section.finish()
    return Conversations(**dataclasses.asdict(default), purposes=purposes)


def read_extensions(root: Section, links: Mapping[str, LinkSettings]) -> tuple[Service, ...]:
    """Return the static extensions, each with numbers of its own or keywords of its own."""
    numbers = [link.access_number for link in links.values()]
    services: list[Service] = []
    for name, section in root.named_sections("extensions"):
        service = Service(
            name=name,
            extension=section.text("extension", "", digits=True),
            account=section.text("account"),
            access_number=section.text("access_number", "", digits=True),
            keywords=section.texts("keywords"),
        )
        section.finish()
        services.append(service)
        if service.access_number and service.access_number not in numbers:
            known = ", ".join(dict.fromkeys(numbers)) or "(there is no link)"
            section.add("access_number", f"{service.access_number} is none of ours; write {known}")
        if not service.extension and not service.keywords and not service.access_number:
            problem = "is missing; or write keywords, or the access_number that is the account's"
            section.add("extension", problem)
        _check_keywords(section, service.keywords)
    _check_claims(root, services, numbers)
    return tuple(services)


def inbound_table(links: Mapping[str, LinkSettings], services: Iterable[Service]) -> InboundTable:
    """Return whose what arrives is."""
    numbers = [(link.name, link.access_number) for link in links.values()]
    return InboundTable(numbers, services=services)


def slot_plans(
    links: Mapping[str, LinkSettings], conversations: Conversations, services: Iterable[Service]
) -> SlotPlans:
    """Return the plans in force, with what each access number adds to them."""
    digits_max: dict[str, int] = {}
    for link in links.values():
        known = digits_max.get(link.access_number, link.number_digits_max)
        digits_max[link.access_number] = min(known, link.number_digits_max)
    taken: dict[str, set[str]] = {}
    for service in services:
        for access_number in service.under(digits_max):
            if service.extension:
                taken.setdefault(access_number, set()).add(service.extension)
    purposes = conversations.purposes.items()
    return SlotPlans(
        _slot_plan("conversations", conversations),
        {name: _slot_plan(name, plan) for name, plan in purposes},
        digits_max,
        taken,
    )


def check_plans(
    root: Section,
    links: Mapping[str, LinkSettings],
    conversations: Conversations,
    services: Sequence[Service],
) -> None:
    """Check that all sender numbers fit every link, and that every number means one thing."""
    if root.problems.errors:
        return  # a stand-in for what is wrong would be told of here too
    plans = slot_plans(links, conversations, services)
    for link in links.values():
        _check_digits(root, link, plans, services)
    shares = {
        name
        for name, plan in conversations.purposes.items()
        if (plan.prefix, plan.digits) == (conversations.prefix, conversations.digits)
    }
    own = [plans.default, *(plan for name, plan in plans.purposes.items() if name not in shares)]
    for first, second in combinations(own, 2):
        if first.overlaps(second):
            root.add(
                f"{_path(second)}.prefix",
                f"extensions {_pattern(second)} could be those of {_path(first)}, "
                f"{_pattern(first)}; write another prefix, or other digits",
            )
    for access_number in plans.digits_max:
        for plan in (one for one in plans.all(access_number) if one.name not in shares):
            if plan.capacity < 1:
                static = ", ".join(sorted(plan.taken))
                root.add(
                    f"{_path(plan)}.prefix",
                    f"every extension {_pattern(plan)} under {access_number} begins with a static "
                    f"one ({static}); write another prefix",
                )


def shown_conversations(settings: Conversations) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    shown = dataclasses.asdict(settings)
    purposes: dict[str, Any] = shown.pop("purposes")
    return shown | purposes


def shown_extension(service: Service) -> dict[str, Any]:
    """Return a static extension, JSON-ready, as it can be written."""
    shown = msgspec.structs.asdict(service)
    del shown["name"]
    return shown | {"keywords": list(service.keywords)}


def _plan(section: Section, default: PlanSettings) -> PlanSettings:
    return PlanSettings(
        prefix=section.text("prefix", default.prefix, digits=True),
        digits=section.integer("digits", default.digits, 1, 6),
        live_for=section.duration("live_for", default.live_for, 1.0),
        cool_down=section.duration("cool_down", default.cool_down, 0.0),
    )


def _slot_plan(name: str, settings: PlanSettings) -> SlotPlan:
    return SlotPlan(
        name=name,
        prefix=settings.prefix,
        digits=settings.digits,
        life_seconds=int(settings.live_for),
        cool_down_seconds=int(settings.cool_down),
    )


def _path(plan: SlotPlan) -> str:
    return plan.name if plan.name == "conversations" else f"conversations.{plan.name}"


def _pattern(plan: SlotPlan) -> str:
    return f"{plan.prefix}{'·' * plan.digits}"


def _check_digits(
    root: Section, link: LinkSettings, plans: SlotPlans, services: Iterable[Service]
) -> None:
    path = f"links.{link.name}.number_digits_max"
    for plan in (plans.default, *plans.purposes.values()):
        allowed = dataclasses.replace(plan, number_digits_max=link.number_digits_max)
        try:
            check_plan(allowed, link.access_number, path)
        except ConfigError as error:
            root.add(path, f"{error.problem} ({_path(plan)})")
    for service in services:
        for access_number in service.under([link.access_number]):
            total = len(access_number) + len(service.extension)
            if total > link.number_digits_max:
                root.add(
                    f"extensions.{service.name}.extension",
                    f"{service.extension} after {access_number} gives {total} digits, limit "
                    f"{link.number_digits_max} on link {link.name}; shorten it",
                )


def _check_keywords(section: Section, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if not 1 <= len(folded(keyword)) <= KEYWORD_CHARACTERS_MAX:
            limit = f"a keyword has 1 to {KEYWORD_CHARACTERS_MAX} characters"
            section.add("keywords", f"{keyword[:40]!r}: {limit}")


def _check_claims(root: Section, services: Iterable[Service], numbers: Iterable[str]) -> None:
    """Check that no two services claim the same texts to the same number."""
    claimed: dict[tuple[str, str], str] = {}
    for service in services:
        for access_number in service.under(dict.fromkeys(numbers)):
            for keyword in service.keywords or ("",):
                key = access_number + service.extension, folded(keyword)
                other = claimed.setdefault(key, service.name)
                if other != service.name:
                    what = f"keyword {keyword!r}" if keyword else "what has no keyword"
                    root.add(
                        f"extensions.{service.name}",
                        f"{what} to {key[0]} is extensions.{other}'s; one of them must go",
                    )
                    break
