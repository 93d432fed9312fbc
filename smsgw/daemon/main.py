"""``smsgwd``: read the configuration, run the gateway until a signal, leave in order."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import click
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from smsgw.daemon.assembly import Assembly, make_gateway
from smsgw.daemon.clock import SteadyClock
from smsgw.daemon.config import load
from smsgw.daemon.logs import start_logging
from smsgw.errors import ConfigError, SmsgwError

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
    start_logging(sys.stderr)
    for warning in config.warnings:
        log.warn("configuration: {warning}", warning=warning)
    reactor.seconds = SteadyClock()  # type: ignore[method-assign]
    return _Run(make_gateway(config, reactor)).until_signal()


class _Run:
    """One life of the process. Signals are Twisted's: SIGTERM and SIGINT stop the reactor."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._code = 0
        assembly.on_lost = self._lost

    def until_signal(self) -> int:
        reactor.callWhenRunning(lambda: Deferred.fromCoroutine(self._start()))
        reactor.addSystemEventTrigger(
            "before", "shutdown", lambda: Deferred.fromCoroutine(self._leave())
        )
        reactor.run()
        return self._code

    async def _start(self) -> None:
        try:
            await self._assembly.start()
        except (SmsgwError, CannotListenError) as error:
            click.echo(f"smsgw: cannot start: {error}", err=True)
        except Exception:
            log.failure("cannot start")
        else:
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            log.info("listening for HTTP on {url}", url=self._assembly.url)
            return
        self._code = 1
        reactor.stop()

    def _lost(self, why: str) -> None:
        log.critical("{why}", why=why)
        self._code = 1
        if reactor.running:
            reactor.stop()

    async def _leave(self) -> None:
        log.info("stopping")
        try:
            await self._assembly.stop()
        except Exception:
            log.failure("while stopping")
            self._code = 1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="smsgw.toml",
    show_default=True,
    help="The configuration file.",
)
@click.option("--check-config", is_flag=True, help="Only read it: exit 0 when good, 2 when not.")
def main(config: Path, check_config: bool) -> None:
    """Run the gateway (the same as `smsgw run`)."""
    if not check_config:
        sys.exit(run(config))
    try:
        load(config)
    except ConfigError as error:
        _complain(error)
        sys.exit(2)


def _complain(error: ConfigError) -> None:
    for line in str(error).splitlines():
        click.echo(f"smsgw: {line}", err=True)
