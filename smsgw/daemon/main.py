"""``smsgwd``: read the configuration, run the gateway until a signal, leave in order.

``twist smsgw`` does the same in Twisted's own program.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python import usage

from smsgw.daemon.assembly import Assembly, make_gateway
from smsgw.daemon.clock import SteadyClock
from smsgw.daemon.config import load
from smsgw.daemon.logs import start_logging
from smsgw.daemon.notify import ServiceManager
from smsgw.daemon.reload import Reload
from smsgw.daemon.settings import LogSettings
from smsgw.errors import ConfigError, SmsgwError
from smsgw.interfaces.cli.options import config_option

log = Logger()


def run(path: Path) -> int:
    """Run the gateway that ``path`` describes until SIGTERM or SIGINT; return the exit code.

    0 after an orderly stop, 1 when it could not start, 2 for a configuration error.
    """
    try:
        config = load(path)
    except ConfigError as error:
        _complain(error)
        return 2
    reactor.seconds = SteadyClock()  # type: ignore[method-assign]
    adopt_log = start_logging(sys.stderr, config.log, reactor)
    for warning in config.warnings:
        log.warn("configuration: {why}", event="config.warned", why=warning)
    return _Run(make_gateway(config, reactor), adopt_log).until_signal()


class _Run:
    """One life of the process.

    The first SIGTERM or SIGINT ends it in order; a second one has it wait for no more answers of
    carriers. SIGHUP reads the configuration again.
    """

    def __init__(
        self, assembly: Assembly, adopt_log: Callable[[LogSettings], None] = lambda log: None
    ) -> None:
        self._assembly = assembly
        self._manager = ServiceManager(os.environ)
        self._reload = Reload(assembly, reactor, adopt_log)
        self._code = 0
        self._started = self._leaving = self._asked = False
        assembly.on_lost = self._lost

    def until_signal(self) -> int:
        reactor.callWhenRunning(self._begin)
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(self._leave())
        )
        reactor.run()
        return self._code

    def _begin(self) -> Deferred[None]:
        for number in (signal.SIGTERM, signal.SIGINT):  # in the place of Twisted's own
            on_signal(number, self._end)
        on_signal(signal.SIGHUP, self._read_again)
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            await self._assembly.start()
        except (SmsgwError, CannotListenError) as error:
            log.critical("cannot start: {why}", event="gateway.start_failed", why=str(error))
        except Exception:
            log.failure("cannot start", event="gateway.start_failed")
        else:
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            log.info("listening for HTTP on {url}", event="gateway.ready", url=self._assembly.url)
            if not self._leaving:
                self._is_ready()
            return
        self._code = 1
        self._stop()

    def _is_ready(self) -> None:
        self._started = True
        self._manager.ready()
        self._manager.feed(reactor, lambda: self._assembly.gateway.alive)
        if self._asked:
            self._read_again()

    def _read_again(self) -> None:
        async def read_again() -> None:
            self._manager.reloading()
            await self._reload.on_signal()
            self._manager.ready()

        if not self._started:
            self._asked = True  # what was read may be old by now
        elif not self._leaving:
            Deferred.fromCoroutine(read_again())

    def _end(self) -> None:
        if self._leaving:
            log.warn("told again: what is in flight is not waited for", event="gateway.hurried")
            self._assembly.hurry()
        self._stop()

    def _stop(self) -> None:
        if not self._leaving:
            self._leaving = True
            reactor.stop()

    def _lost(self, why: str) -> None:
        log.critical("{why}", event="gateway.lost", why=why)
        self._code = 1
        if reactor.running:
            self._stop()

    async def _leave(self) -> None:
        log.info("stopping", event="gateway.stopping")
        self._manager.stopping()
        try:
            await self._assembly.stop()
        except Exception:
            log.failure("while stopping", event="gateway.stop_failed")
            self._code = 1
        self._manager.stop()


def on_signal(number: signal.Signals, act: Callable[[], object]) -> None:
    """Have ``act`` called by the reactor whenever the signal comes."""
    wake: Callable[[Callable[[], object]], None] = getattr(reactor, "callFromThread")  # noqa: B009
    signal.signal(number, lambda *_: wake(act))


class Options(usage.Options):
    """What ``twist smsgw`` takes."""

    optParameters = (("config", "c", "smsgw.toml", "The configuration file."),)  # noqa: N815

    def postOptions(self) -> None:
        try:
            self["loaded"] = load(self["config"])
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None


def makeService(options: Options) -> Assembly:
    """Return the gateway for ``twist smsgw``; SIGHUP reads its configuration again."""
    assembly = make_gateway(options["loaded"], reactor)
    reload = Reload(assembly, reactor)
    reactor.seconds = SteadyClock()  # type: ignore[method-assign]

    def lost(why: str) -> None:
        log.critical("{why}", event="gateway.lost", why=why)
        reactor.callWhenRunning(reactor.stop)

    assembly.on_lost = lost
    on_signal(signal.SIGHUP, lambda: Deferred.fromCoroutine(reload.on_signal()))
    return assembly


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@config_option()
@click.option("--check-config", is_flag=True, help="Only read it: exit 0 when good, 2 when not.")
def main(path: Path, check_config: bool) -> None:
    """Run the gateway (the same as `smsgw run`)."""
    if not check_config:
        sys.exit(run(path))
    try:
        load(path)
    except ConfigError as error:
        _complain(error)
        sys.exit(2)


def _complain(error: ConfigError) -> None:
    for line in str(error).splitlines():
        click.echo(f"smsgw: {line}", err=True)
