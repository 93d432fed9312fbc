"""Reads the configuration again while the gateway runs: all of a good file is applied, or nothing.

What a file changes is found key by key (:mod:`smsgw.daemon.changes`). A file with a mistake, or
with a change that needs a restart, is refused whole, so that what runs is always what some file
says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smsgw.daemon.assembly import Assembly
from smsgw.daemon.changes import Change, changes, link_changes, needs_restart
from smsgw.daemon.config import load
from smsgw.daemon.settings import Config, LogSettings
from smsgw.errors import ConfigError, ConfigErrors, SmsgwError, StoreError

Json = dict[str, Any]


class Reload:
    """Reloads one assembly's file, one time after the other.

    Args:
        assembly: Started before the first call.
        reactor: Its clock.
        adopt_log: Has the log go by other settings.
    """

    log = Logger()

    def __init__(
        self,
        assembly: Assembly,
        reactor: IReactorTime,
        adopt_log: Callable[[LogSettings], None] = lambda log: None,
    ) -> None:
        self._assembly = assembly
        self._adopt_log = adopt_log
        self._clock = reactor
        self._turn = DeferredLock()
        assembly.metrics.reloaded("start", reactor.seconds())
        assembly.gateway.reload = self

    async def __call__(self, actor: str, dry_run: bool = False) -> Json:
        """Read the file, and go by it; returns what that changes, JSON-ready.

        Args:
            actor: Who asks for it.
            dry_run: Only say what it would change.

        Raises:
            ConfigErrors: Everything that is wrong with the file; nothing was changed.
            Conflict: The gateway is being stopped.
        """
        turn = await self._turn.acquire()
        try:
            if dry_run:
                config = load(self._assembly.config.path)
                return self._told(config, applied=False)
            return await self._reload(actor)
        finally:
            turn.release()

    async def on_signal(self) -> None:
        """As a call, by the process's owner; what is wrong is in the log."""
        try:
            await self("SIGHUP")
        except SmsgwError:
            return  # told already
        except Exception:
            self.log.failure("reading the configuration again", event="config.reload_failed")

    async def _reload(self, actor: str) -> Json:
        metrics = self._assembly.metrics
        try:
            config = load(self._assembly.config.path)
            told = self._told(config, applied=True)
            told["warnings"] += await self._apply(config)
            self._adopt_log(config.log)
        except ConfigError as error:
            problems = error.problems if isinstance(error, ConfigErrors) else (error,)
            metrics.reloaded("refused", self._clock.seconds())
            for problem in problems:
                line = "the configuration stays as it is: {why}"
                self.log.error(line, event="config.refused", why=str(problem), who=actor)
            raise ConfigErrors(problems) from None
        metrics.reloaded("ok", self._clock.seconds())
        await self._record(actor, told)
        return told

    async def _apply(self, config: Config) -> list[str]:
        before = self._assembly.config
        found = changes(before, config)
        restart = needs_restart(found)
        if restart:
            why = "needs a restart; nothing was changed"
            raise ConfigErrors([ConfigError(path, why) for path in restart])
        try:
            return await self._assembly.adopt(config, link_changes(before, config, found))
        except StoreError as error:
            raise ConfigError("", f"nothing was changed: {error}") from None

    def _told(self, config: Config, *, applied: bool) -> Json:
        before = self._assembly.config
        found = changes(before, config)
        return {
            "applied": applied,
            "changes": [msgspec.structs.asdict(one) for one in found],
            "needs_restart": needs_restart(found),
            "links": msgspec.structs.asdict(link_changes(before, config, found)),
            "warnings": list(config.warnings),
        }

    async def _record(self, actor: str, told: Json) -> None:
        lines = "; ".join(map(line_of, told["changes"])) or "nothing"
        text = "the configuration was read again, and changes: {changes}"
        self.log.info(text, event="config.reloaded", changes=lines, who=actor)
        for warning in told["warnings"]:
            self.log.warn("configuration: {why}", event="config.warned", why=warning)
        try:
            detail = {"changes": told["changes"]}
            await self._assembly.gateway.record(actor, "config.reloaded", detail)
        except StoreError as error:
            line = "that the configuration was read again could not be recorded: {why}"
            self.log.error(line, event="config.not_recorded", why=str(error))


def line_of(change: Json) -> str:
    """Return a change in one line for people."""
    one = Change(**change)
    encode = msgspec.json.encode
    return f"{one.path}: {encode(one.before).decode()} -> {encode(one.after).decode()}"
