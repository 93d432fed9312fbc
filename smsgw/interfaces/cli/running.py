"""The steps of a self-test over the connections of a gateway that runs, through its API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from smsgw.interfaces.cli.client import Api, Failed, Json
from smsgw.services.selftest import FAILED, PASSED, SKIPPED, Order, Step, normalised, please_write

LOOK_SECONDS = 0.25

WAITING = ("scheduled", "queued", "sending")


class RunningTest:
    """Tries a link of a gateway that runs.

    Args:
        api: The gateway's.
        link: The link's name.
        order: What to try.
        told: Called with each step as it is done, and with what people are asked to do.
    """

    def __init__(
        self, api: Api, link: str, order: Order, told: Callable[[Step | str], None]
    ) -> None:
        self._api = api
        self._link = link
        self._order = order
        self._told = told
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        """Try everything that was ordered and can be tried."""
        if self._login():
            self._note("heartbeat", SKIPPED, "the gateway keeps its own connections alive")
            self._messages()
        return self.steps

    def _login(self) -> bool:
        state = self._state()
        binds = state["binds"]
        versions = " and ".join(dict.fromkeys(one["version"] for one in binds if one["version"]))
        bad = [one for one in binds if one["phase"] not in ("bound", "idle")]
        if not state["up"] or bad:
            why = "; ".join(dict.fromkeys(one["reason"] for one in bad if one["reason"]))
            self._note("login", FAILED, why or "the link is not up", refused=_refused(bad))
            return False
        told = f"{len(binds)} of {len(binds)} connections of the running gateway are logged in"
        self._note("login", PASSED, told, version=versions or state["version"])
        return True

    def _messages(self) -> None:
        order = self._order
        if not order.phone:
            for name in ("submit", "report", "reply"):
                self._note(name, SKIPPED, "no phone to send to; give --phone")
            return
        before = self._newest_inbound() if order.reply else 0
        came = self._send("submit", "report", long=False)
        if order.long:
            self._send("long", "long report", long=True)
        if self._state()["protocol"] == "sgip":
            self._callback(came)
        if order.reply:
            self._reply(before)
        else:
            self._note("reply", SKIPPED, "not asked for; give --reply")

    def _send(self, submit: str, report: str, *, long: bool) -> bool:
        """Send one message; return whether its report came."""
        order = self._order
        try:
            body = {"to": order.phone, "long": long}
            path = f"/v1/links/{quote(self._link, safe='')}/test"
            message_id = self._api.post(path, body)["id"]
        except Failed as error:
            self._note(submit, FAILED, error.message)
            return False
        began = time.monotonic()
        shown = self._until(message_id, lambda one: one["status"] not in WAITING, 2 * order.wait)
        ids = [one["carrier_message_id"] for one in shown["segments"] if one["carrier_message_id"]]
        used = {one["link"] for one in shown["segments"]}
        if shown["status"] in (*WAITING, "unknown", "rejected", "expired", "canceled"):
            self._note(submit, FAILED, f"{shown['status']}: {_why(shown)}", began)
            return False
        if used != {self._link}:
            self._note(submit, FAILED, f"it took link {', '.join(used)} instead", began)
            return False
        self._note(submit, PASSED, f"taken, id {', '.join(ids)}", began, carrier_message_id=ids)
        began = time.monotonic()
        shown = self._until(message_id, lambda one: one["final_at"] is not None, order.wait)
        stats = ", ".join(dict.fromkeys(one["stat"] for one in shown["segments"] if one["stat"]))
        if shown["final_at"] is None:
            self._note(report, FAILED, f"none within {order.wait:g} s", began)
            return False
        good: bool = shown["status"] == "delivered"
        self._note(report, PASSED if good else FAILED, stats or _why(shown), began, stat=stats)
        return good

    def _callback(self, report_came: bool) -> None:
        if report_came or self._state()["accepted_binds"]:
            self._note("callback", PASSED, "the carrier dials our listener and logs in")
        else:
            told = "the carrier is not logged in to our listener, and brought no report"
            self._note("callback", FAILED, told)

    def _newest_inbound(self) -> int:
        """Return the newest id: what comes has greater ones, whatever the clocks here and there."""
        rows = self._api.get("/v1/inbound", {"limit": 1})["inbound"]
        return int(rows[0]["id"]) if rows else 0

    def _reply(self, before: int) -> None:
        order, began = self._order, time.monotonic()
        self._told(please_write(order, "the number that the message came from"))
        while time.monotonic() - began < order.wait:
            for row in self._api.get("/v1/inbound", {"limit": 50})["inbound"]:
                fresh = int(row["id"]) > before
                if fresh and normalised(row["from"]) == order.phone and row["link"] == self._link:
                    told = f"came from {row['from']} to {row['to']}"
                    self._note("reply", PASSED, told, began, text=row["text"])
                    return
            time.sleep(LOOK_SECONDS)
        told = f"none within {order.wait:g} s; the same words again within minutes count once"
        self._note("reply", FAILED, told, began)

    def _until(self, message_id: str, holds: Callable[[Json], bool], seconds: float) -> Json:
        """Return a message once something holds of it, or after so long as it is then."""
        end = time.monotonic() + seconds
        while True:
            shown = self._api.get(f"/v1/messages/{message_id}")
            if holds(shown) or time.monotonic() >= end:
                return shown
            time.sleep(LOOK_SECONDS)

    def _state(self) -> Json:
        for one in self._api.get("/v1/links")["links"]:
            if one["name"] == self._link:
                return dict(one)
        raise Failed(f"the gateway at {self._api.url} has no link {self._link}: another file?")

    def _note(
        self, name: str, outcome: str, said: str, began: float | None = None, **details: Any
    ) -> None:
        seconds = None if began is None else round(time.monotonic() - began, 3)
        step = Step(name, outcome, said, seconds, details)
        self.steps.append(step)
        self._told(step)


def _refused(binds: list[Json]) -> str:
    return str(binds[0].get("refused", "")) if binds else ""


def _why(shown: Json) -> str:
    segments = shown["segments"]
    said = [shown.get("reason") or "", *(f"{one['stat']} {one['error']}" for one in segments)]
    return "; ".join(dict.fromkeys(text.strip() for text in said if text.strip())) or "no answer"
