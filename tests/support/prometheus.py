"""What is shipped for Prometheus and Grafana, and Prometheus's own programs to judge it.

Without the programs (Debian's package ``prometheus``) their tests are skipped, unless
``SMSGW_NEEDS_PROMETHEUS`` is set: then they fail.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))

VARIABLES = {
    "$__rate_interval": "5m",
    "$instance": ".*",
    "$link": ".*",
}
"""What Grafana puts into an expression before Prometheus sees it."""

SELECTOR = re.compile(r"\b(smsgw_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
OWN_LABELS = {"instance", "job", "le"}
"""What Prometheus adds to every series, and what every histogram has."""


def tool(name: str) -> str:
    """Return where ``promtool`` or ``prometheus`` is, or skip the test."""
    found = shutil.which(name)
    if found is None:
        told = f"{name} is not installed (Debian: apt-get install prometheus)"
        if os.environ.get("SMSGW_NEEDS_PROMETHEUS"):
            pytest.fail(told)
        pytest.skip(told)
    return found


def promtool(*arguments: object, given: bytes = b"") -> str:
    """Run promtool; returns what it says when it is content, fails the test when it is not."""
    command = [tool("promtool"), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


def dashboard_expressions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (panel, expression) of a dashboard, as Grafana would send them."""
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield f"{path.stem}: {panel['title']}", expression


def rules() -> list[dict[str, Any]]:
    """Return the shipped rules."""
    import yaml

    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def all_expressions() -> list[tuple[str, str]]:
    """Return (where, expression) of everything that is shipped."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    for path in DASHBOARDS:
        found += dashboard_expressions(path)
    return found


Series = dict[str, list[dict[str, str]]]
"""The names that are exported, each with the labels of all its series."""


def not_exported(expression: str, series: Series) -> list[str]:
    """Say what an expression asks for and ``series`` has not."""
    problems: list[str] = []
    labels: set[str] = set(OWN_LABELS)
    for name, matchers in SELECTOR.findall(re.sub(r"link:smsgw_\w+:\w+", "", expression)):
        known = series.get(name)
        if not known:
            problems.append(f"{name} is not exported")
            continue
        labels.update(*known)
        for label, sign, value in MATCHER.findall(matchers):
            if label in OWN_LABELS - {"le"}:
                continue
            values = {one[label] for one in known if label in one}
            wanted = re.compile(value if sign in ("=~", "!~") else re.escape(value))
            if not values:
                problems.append(f"{name} has no label {label}")
            elif not any(wanted.fullmatch(one) for one in values):
                problems.append(f"{name}: no {label} is {value}")
    for names in GROUPING.findall(expression):
        for label in filter(None, (one.strip() for one in names.split(","))):
            if label not in labels:
                problems.append(f"no label {label}")
    return problems


CONFIG = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}


class Prometheus(ProcessProtocol):
    """A real Prometheus server that scrapes one gateway.

    Args:
        program: Where it is.
        folder: For its files.
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self._program = program
        self._folder = folder
        self._port = port
        self._ended: Deferred[None] = Deferred()
        self._pool = HTTPConnectionPool(reactor, persistent=False)
        self._process: Any = None
        self.log = ""

    async def start(self, target: str, rules: Path) -> None:
        """Start it; it scrapes ``target`` (host and port) soon."""
        self._folder.mkdir()
        config = self._folder / "prometheus.yml"
        scrape = {"job_name": "smsgw", "static_configs": [{"targets": [target]}]}
        whole = {"global": CONFIG, "rule_files": [str(rules)], "scrape_configs": [scrape]}
        config.write_text(json.dumps(whole))
        arguments = [
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._process = reactor.spawnProcess(self, self._program, arguments, env={})

    def errReceived(self, data: bytes) -> None:
        self.log += data.decode(errors="replace")

    def processEnded(self, reason: Failure) -> None:
        self._ended.callback(None)

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        if not self._ended.called:
            self._process.signalProcess("KILL")
        await self._ended

    async def query(self, expression: str) -> list[Any]:
        """Return what an expression is now."""
        found: list[Any] = (await self.ask("query", query=expression))["result"]
        return found

    async def ask(self, what: str, **parameters: str) -> Any:
        """Call its API."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}?{urlencode(parameters)}"
        answer = await treq.get(url, pool=self._pool)
        content = await answer.content()
        assert answer.code == 200, content
        return json.loads(content)["data"]
