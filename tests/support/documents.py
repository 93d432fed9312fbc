"""The blocks of the documentation, and a shell that runs what they show.

A block is indented by four, or fenced. One that begins with ``$`` is a session: its commands are
run by bash, and each must print what stands under it. There ``…`` is anything, white space does not
count, and what differs from run to run (ids, times, numbers, secrets) need only have the same form;
an id that was printed stands for the documented one from then on. Documents are read as if it were
:data:`WRITTEN`: the dates of a command are as many days from today. A command is tried again for a
while when it prints something else: what it asks for may be under way.

``<!-- not run: WHY -->`` on the line before a block says why nobody can run it, and
``<!-- shows: WHAT -->`` that it is no command: what a phone, a log or a peer shows.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"<!-- (not run|shows): (.+) -->")
WRITTEN = date(2026, 11, 22)
DATE = re.compile(r"\b\d{4}-\d\d-\d\d")
TRIED_FOR = 60.0
COMMAND_SECONDS = 120

VARYING = re.compile(
    r"(?P<id>\b\d{18,19}\b)"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]?\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)?)"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<secret>(?:whsec_[\w+/=]*|sgw_\w*)…?)"
    r"|(?P<hex>\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{6,}\b)"
    r'|(?P<extension>(?<="extension":")\d+)'
    r"|(?P<fraction>\d+\.\d+)"
    r"|(?P<any>…)"
    r"|(?P<number>\b\d{5,17}\b)"
)
LEARNED = {"id", "secret"}
FORMS = {
    "id": r"\d{18,19}",
    "time": r"[\d:.TZ+-]{19,29}?",
    "date": r"\d{4}-\d\d-\d\d",
    "secret": r"(?:whsec_|sgw_)[\w+/=]+",
    "hex": "[0-9a-f]+?",
    "extension": r"\d+?",
    "fraction": r"[\d.]+?(?:e-\d+)?",
    "number": r"\d+?",
}


@dataclass(frozen=True)
class Block:
    """One example of a document.

    Attributes:
        place: Document and line, for people.
        kind: The fence's language; ``session`` or "" of an indented one.
        text: Without indent or fence.
        mark: ``not run`` or ``shows``, or "".
        why: What stands beside the mark.
    """

    place: str
    kind: str
    text: str
    mark: str = ""
    why: str = ""


def blocks(document: Path) -> Iterator[Block]:
    """Yield every block of a document."""
    lines = document.read_text("utf-8").splitlines()
    name, at = document.relative_to(ROOT), 0
    while at < len(lines):
        start, fence = at, re.fullmatch(r"```(\w*)", lines[at])
        at += 1
        if fence:
            while lines[at] != "```":
                at += 1
            taken, kind = lines[start + 1 : at], fence[1]
            at += 1
        elif lines[start].startswith("    ") and _stands_alone(lines[start - 1]):
            while at < len(lines) and (lines[at].startswith("    ") or _goes_on(lines, at)):
                at += 1
            taken, kind = [line[4:] for line in lines[start:at]], ""
        else:
            continue
        if not kind and taken[0].startswith("$ "):
            kind = "session"
        above = [line for line in lines[max(0, start - 2) : start] if line.strip()]
        mark = MARK.fullmatch(above[-1]) if above else None
        said = (mark[1], mark[2]) if mark else ("", "")
        yield Block(f"{name}:{start + 1}", kind, "\n".join(taken), *said)


def _stands_alone(above: str) -> bool:
    return not above or bool(MARK.fullmatch(above))


def _goes_on(lines: list[str], at: int) -> bool:
    """Whether an empty line is inside of an indented block."""
    return not lines[at] and at + 1 < len(lines) and lines[at + 1].startswith("    ")


def commands(session: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a session, and what it prints."""
    lines = session.splitlines()
    at = 0
    while at < len(lines):
        command = lines[at].removeprefix("$ ")
        at += 1
        while at < len(lines) and _unfinished(command):
            command += "\n" + lines[at]
            at += 1
        start = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        yield command, "\n".join(lines[start:at]).strip()


def _unfinished(command: str) -> bool:
    heredoc = re.search(r"<<'?(\w+)'?", command)
    if heredoc:
        return command.splitlines()[-1].strip() != heredoc[1]
    try:
        shlex.split(command)
    except ValueError:
        return True
    return command.endswith("\\")


class Shell:
    """Runs sessions, one after the other.

    Args:
        folder: Where they run.
        environ: Their environment.
        known: What a document writes, and what it is here.

    Attributes:
        before: What runs before each command: what a session set is set for those after it.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        known: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._environ = dict(environ)
        self.known = dict(known)
        self.before: list[str] = []

    def run(self, block: Block) -> None:
        """Run a session.

        Raises:
            AssertionError: A command prints something else.
        """
        for command, expected in commands(block.text):
            if re.match(r"export |\w+=", command):
                self.before.append(self._here(command))
                continue
            self._check(block, command, expected)

    def _check(self, block: Block, command: str, expected: str) -> None:
        here, wanted = self._here(command), self._wanted(expected)
        until = time.monotonic() + TRIED_FOR
        while True:
            said = self._said(here)
            learned, problem = _match(wanted, _dense(said))
            if not problem:
                self._learn(expected, learned)
                return
            if time.monotonic() > until or not _reads(command):
                raise AssertionError(f"{block.place}\n$ {here}\n{said}\n{problem}")
            time.sleep(0.05)

    def _said(self, command: str) -> str:
        script = "\n".join([*self.before, command])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        return done.stdout

    def _here(self, text: str) -> str:
        for documented, real in self.known.items():
            text = text.replace(documented, real)
        since = datetime.now(ZoneInfo("Asia/Shanghai")).date() - WRITTEN
        return DATE.sub(lambda found: str(date.fromisoformat(found[0]) + since), text)

    def _wanted(self, expected: str) -> list[str]:
        """What must be printed, as patterns of what stands between one ``…`` and the next."""
        made, last = [""], 0
        for number, found in enumerate(VARYING.finditer(expected)):
            made[-1] += self._literal(expected[last : found.start()])
            last, kind = found.end(), str(found.lastgroup)
            if kind == "any":
                made.append("")
            elif found[0] in self.known:
                made[-1] += re.escape(self.known[found[0]])
            elif kind in LEARNED:
                made[-1] += f"(?P<{kind}{number}>{FORMS[kind]})"
            else:
                made[-1] += FORMS[kind]
        made[-1] += self._literal(expected[last:])
        return made if expected else ["", ""]

    def _literal(self, text: str) -> str:
        return re.escape(_dense(self._here(text)))

    def _learn(self, expected: str, learned: Mapping[str, str]) -> None:
        for number, one in enumerate(VARYING.finditer(expected)):
            name = f"{one.lastgroup}{number}"
            if name in learned:
                self.known.setdefault(one[0], learned[name])


def _match(wanted: list[str], said: str) -> tuple[dict[str, str], str]:
    """Find the patterns one after the other, the first at the beginning and the last at the end.

    Returns:
        What the named groups are, and what is missing, or "".
    """
    learned: dict[str, str] = {}
    at, last = 0, len(wanted) - 1
    for place, pattern in enumerate(wanted):
        whole = re.compile(pattern + (r"\Z" if place == last else ""))
        found = whole.search(said, at) if place else whole.match(said)
        if found is None:
            return {}, _missing(pattern, said, at)
        learned |= found.groupdict()
        at = found.end()
    return learned, ""


def _missing(pattern: str, said: str, at: int) -> str:
    """Say how much of a pattern is there, and what is not."""
    pieces = re.split(r"(?<=,)(?![^(]*\))", pattern)
    for count in range(len(pieces), 0, -1):
        found = re.compile("".join(pieces[:count])).search(said, at)
        if found:
            there, rest = found[0][-60:], "".join(pieces[count:])[:120]
            return f"after {there!r} comes {said[found.end() :][:60]!r}, not {rest}"
    return f"after {said[max(0, at - 60) : at]!r} there is no {pattern[:120]}"


def _dense(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _reads(command: str) -> bool:
    """Whether a command may be run again: it changes nothing."""
    if command.startswith("curl"):
        return " -d " not in command and "-X POST" not in command
    return bool(re.match(r"smsgw (\S+ (list|show|trace|dead)|\w+$|msg|outbox|inbox)", command))


__all__ = ["ROOT", "Block", "Shell", "blocks", "commands"]
