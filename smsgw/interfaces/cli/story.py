"""The demo's story: who is asked what, what the phones answer, and what must come of it."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.markup import escape

from smsgw.interfaces.cli.stage import PARTS
from smsgw.routing.numbers import mask
from smsgw.text.udh import split_header

Json = dict[str, Any]

SUBJECT = "外景转播车申请"
BODY = (
    "新闻部申请 11 月 28 日 08:00 至 18:00 使用 3 号外景转播车，用于城市马拉松直播，"
    "随车技术人员 6 名，预计里程 120 公里，预算 18000 元，由设备、财务、安全三个部门会签。"
    "请在今天 17:00 前答复。"
)
REASON = (
    "本季度外景转播预算只剩 9000 元，请新闻部与体育部合并使用同一辆转播车，"
    "把预算降到 9000 元以内，并附上合并后的行车路线、人员名单和加班安排之后，再重新提交申请"
)


class Approver(msgspec.Struct, frozen=True):
    """One person of the story.

    Attributes:
        name: Department.
        phone: A number in the carrier's 0000 range.
        answers: What the phone sends, in order.
        expected: The decision that must come out.
        reason: The reason that must come with it.
    """

    name: str
    phone: str
    answers: tuple[str, ...]
    expected: str
    reason: str = ""


APPROVERS = {
    "mobile": Approver("设备部", "13800001001", ("同意",), "yes"),
    "telecom": Approver("财务部", "18900001002", (f"不同意 {REASON}",), "no", REASON),
    "unicom": Approver("安全部", "18600001003", ("好的", "1"), "yes"),
}

LAST = "telecom"
"""Whose rejection ends the step: it is sent when the others have answered."""

OUTCOME = "rejected"


def approval() -> Json:
    """The request as it is posted."""
    assignees = [{"name": one.name, "phone": one.phone} for one in APPROVERS.values()]
    return {
        "preset": "approval",
        "subject": SUBJECT,
        "body": BODY,
        "steps": [{"rule": "all", "assignees": assignees}],
        "reference": "demo",
    }


def assignee(request: Json, approver: Approver) -> Json:
    """An approver's part of a request."""
    for step in request["steps"]:
        for one in step["assignees"]:
            if one["phone"] == approver.phone:
                found: Json = one
                return found
    raise KeyError(approver.phone)


def outcome(name: str, request: Json, messages: list[Json]) -> Json:
    """What became of one approver, and whether it is what the story asks for."""
    approver = APPROVERS[name]
    one = assignee(request, approver)
    prompt = next((m for m in messages if m["id"] == one["prompt_message_id"]), None)
    delivered = prompt is not None and prompt["status"] == "delivered"
    correct = delivered and (one["decision"], one["reason"]) == (approver.expected, approver.reason)
    return {
        "name": approver.name,
        "phone": approver.phone,
        "carrier": PARTS[name].title,
        "access_number": one["access_number"],
        "extension": one["extension"],
        "delivered": delivered,
        "answer": one["decision"],
        "reason": one["reason"],
        "matched_by": one["rule"],
        "correct": correct,
    }


def judge(request: Json, messages: list[Json], inbound: list[Json]) -> Json:
    """The final record: who answered what, what was matched, and whether all of it is right."""
    approvers = [outcome(name, request, messages) for name in APPROVERS]
    segments = [segment for message in messages for segment in message["segments"]]
    reported = sum(segment["state"] == "delivered" for segment in segments)
    mapped = sum(one["request_id"] == request["id"] for one in inbound)
    expected_replies = sum(len(one.answers) for one in APPROVERS.values())
    ok = (
        all(one["correct"] for one in approvers)
        and request["outcome"] == OUTCOME
        and reported == len(segments)
        and mapped == len(inbound) == expected_replies
    )
    return {
        "ok": ok,
        "request": {key: request[key] for key in ("id", "subject", "state", "outcome")},
        "approvers": approvers,
        "messages": len(messages),
        "segments": len(segments),
        "segments_reported": reported,
        "replies": len(inbound),
        "replies_mapped": mapped,
    }


def narrate(what: str, pdu: str, details: Json) -> str:
    """One line about something a carrier saw, as console markup; "" for what needs no line."""
    if what == "bind":
        return f"[dim]login of {details['name']} accepted[/]"
    if what == "submit":
        segment = details["segment"]
        return f"{pdu} {segment.source} → {mask(segment.to)}{_part(segment.udhi, segment.content)}"
    if what == "read":
        phone = mask(details["phone"])
        text = escape(" ⏎ ".join(details["text"].splitlines()))
        return f"[bold]{phone}[/] shows, from {details['sender']}: [green]{text}[/]"
    if what == "type":
        text = escape(details["text"])
        return f"[bold]{mask(details['phone'])}[/] answers: [yellow]{text}[/]"
    if what == "mo":
        mo = details["mo"]
        return f"{pdu} {mask(mo.sender)} → {mo.destination}{_part(mo.udhi, mo.content)}"
    if what == "report":
        return f"[dim]{pdu} status report for {mask(details['to'])}: {details['stat']}[/]"
    if what == "trouble":
        return f"[red]{escape(str(details['event']))}[/]"
    return ""


def _part(udhi: bool, content: bytes) -> str:
    header = split_header(content)[0] if udhi else None
    if header is None or header.concatenation is None:
        return ""
    return f", part {header.concatenation.sequence}/{header.concatenation.total}"
