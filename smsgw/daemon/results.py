"""``[links.NAME.results]``: what some of a gateway's result codes mean on one link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.daemon.sections import Section
from smsgw.errors import Disposition
from smsgw.protocols.carrier import Carrier, Result, ResultKind

DISPOSITIONS = (Disposition.RETRY.value, Disposition.FINAL.value, Disposition.UNKNOWN.value)
"""A refusal cannot be made an acceptance: it brings no id that a report could name."""

KINDS = tuple(kind.value for kind in ResultKind if kind is not ResultKind.OK)
CODE_MAX = 0xFFFFFFFF


def read_results(link: Section, carrier: Carrier) -> dict[int, Result]:
    """Return the table of a link; what a code leaves out is as the carrier's table says."""
    results: dict[int, Result] = {}
    group = link.section("results")
    for key in group.values:
        one = group.section(key)
        code = _code(key)
        if code is None:
            group.add(key, f"write the code as a number from 1 to {CODE_MAX}, in quotes")
            continue
        if code in results:
            group.add(key, f"result {code} is there twice")
        listed = carrier.classify(code)
        means = Result(
            one.text("text", listed.text, blank=False),
            Disposition(one.choice("disposition", DISPOSITIONS, _default(listed))),
            ResultKind(one.choice("kind", KINDS, listed.kind.value)),
        )
        if group.values[key] == {}:
            group.add(key, "is empty; write disposition, kind or text")
        one.finish()
        results[code] = means
    return results


def shown_results(results: Mapping[int, Result]) -> dict[str, Any]:
    """Return the table, JSON-ready."""
    return {
        str(code): {"disposition": disposition.value, "kind": kind.value, "text": text}
        for code, (text, disposition, kind) in results.items()
    }


def _code(key: str) -> int | None:
    """A result code, decimal or with 0x; 0 is success on every carrier."""
    try:
        code = int(key, 0)
    except ValueError:
        return None
    return code if 0 < code <= CODE_MAX else None


def _default(listed: Result) -> str:
    accepted = listed.disposition is Disposition.ACCEPTED
    return Disposition.FINAL.value if accepted else listed.disposition.value
