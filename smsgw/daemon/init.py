"""``smsgw init``: asks what is on the carrier's sheet and writes a first configuration.

Each answer is checked at once by the rules that the configuration itself is read with: whatever
they find that they did not find before is said, and the question is asked again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from smsgw.daemon.first_file import (
    PRIVATE,
    STAND_IN_TOKEN,
    TOKEN_FILE,
    Link,
    problems_of,
    text_of,
    value_of,
    write,
)
from smsgw.daemon.sheets import SHEETS, Item
from smsgw.errors import ConfigError
from smsgw.interfaces.cli.client import Failed, Invalid
from smsgw.interfaces.cli.main import EPILOG
from smsgw.interfaces.cli.options import config_option

REFERENCES = ("env:", "file:")


@click.command(epilog=EPILOG)
@config_option("The file to write.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option(
    "--link",
    "links",
    multiple=True,
    metavar="[NAME=]PROTOCOL",
    help=f"A carrier: {', '.join(SHEETS)}; repeatable.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.KEY=VALUE",
    help="An answer, such as cmcc.host=192.0.2.1, instead of a question; repeatable.",
)
@click.option("--account", default="oa", show_default=True, help="Who uses the API first.")
@click.option("--no-input", is_flag=True, help="Ask nothing; take the defaults for the rest.")
def init(
    path: Path,
    force: bool,
    links: Sequence[str],
    settings: Sequence[str],
    account: str,
    no_input: bool,
) -> None:
    """Write a first smsgw.toml from what is on the carrier's sheet.

    Secrets go into files beside it that only you can read; answer env:VARIABLE or file:NAME to
    have them elsewhere.
    """
    if path.exists() and not force:
        raise Invalid(f"{path}: is there already; --force replaces it, -c writes another file")
    if not links and not no_input:
        links = _which().split()
    dialog = Dialog(path, account, _links(links), _answers(settings), no_input)
    try:
        dialog.ask()
        dialog.write(force)
    except OSError as error:
        raise Failed(f"{error.filename or path}: {error.strerror}") from None
    for line in dialog.next_steps():
        click.echo(line)


class Dialog:
    """The questions, and what was answered.

    Args:
        path: The file to write.
        account: Who uses the API first.
        links: What to ask about.
        given: What needs no question, by link and key.
        no_input: Ask nothing.
    """

    def __init__(
        self,
        path: Path,
        account: str,
        links: list[Link],
        given: dict[str, str],
        no_input: bool,
    ) -> None:
        self._path = path
        self._account = account
        self._links = links
        self._given = given
        self._no_input = no_input
        self._secrets: dict[str, str] = {}
        self._environ = _Pretended(os.environ)
        self._wrong: list[str] = []

    def ask(self) -> None:
        """Have every item of every link answered.

        Raises:
            Invalid: An answer given as an option cannot be used, or one is missing.
        """
        known = {f"{link.name}.{item.key}" for link in self._links for item in link.sheet.items}
        self._wrong = [
            f"--set {name}: there is no such item; there are {', '.join(sorted(known))}"
            for name in self._given
            if name not in known
        ]
        self._wrong += map(str, self._problems())
        if self._wrong:
            raise Invalid("\n".join(self._wrong))
        for link in self._links:
            if not self._no_input:
                click.echo(f"\n{link.sheet.title}: link {link.name}", err=True)
            for item in link.sheet.items:
                self._answer(link, item)
        if self._wrong:
            raise Invalid("\n".join(self._wrong))

    def write(self, force: bool) -> None:
        """Write the configuration, after the files with its secrets.

        Raises:
            Invalid: A file is there already.
        """
        folder = self._path.parent
        names = [*self._secrets, TOKEN_FILE]
        there = [name for name in (self._path.name, *names) if (folder / name).exists()]
        if there and not force:
            raise Invalid(f"{folder / there[0]}: is there already; --force replaces it")
        text = text_of(self._path.name, self._account, self._links, f"file:{TOKEN_FILE}")
        contents = {**self._secrets, TOKEN_FILE: f"sgw_{secrets.token_urlsafe(32)}"}
        for name, content in contents.items():
            write(folder / name, content + "\n", force=force, mode=PRIVATE)
        write(self._path, text, force=force)

    def next_steps(self) -> list[str]:
        """Return what to do now."""
        variables = [name for name in self._environ.pretended if name not in os.environ]
        config = "" if self._path == Path("smsgw.toml") else f" -c {self._path}"
        token = self._path.parent / TOKEN_FILE
        return [
            f"{self._path} is written.",
            *([f"  set {', '.join(variables)} in the environment"] if variables else []),
            f"  smsgw check{config}     every value in force; correct the file by hand",
            f"  smsgw run{config}       run the gateway",
            f"  SMSGW_TOKEN=$(cat {token}) smsgw links     see whether the carriers are up",
        ]

    def _answer(self, link: Link, item: Item) -> None:
        name = f"{link.name}.{item.key}"
        given = self._given.get(name)
        if given is None and self._no_input:
            given = item.default
            if given is None:
                self._wrong.append(f"--set {name}=…: is missing; {item.words}")
                return
        if given is not None:
            problems = self._take(link, item, given)
            self._wrong += [f"--set {link.name}.{problem}" for problem in problems]
            return
        while True:
            written = click.prompt(
                item.words,
                default=item.default,
                show_default=bool(item.default),
                hide_input=item.kind == "secret",
                err=True,
            )
            problems = self._take(link, item, written)
            if not problems:
                return
            for problem in problems:
                click.echo(f"  {problem}", err=True)

    def _take(self, link: Link, item: Item, written: str) -> list[str]:
        """Keep an answer; return what is wrong with it, and then it is not kept."""
        value = value_of(item, written)
        if item.default is None and value in ("", []):
            return [f"{item.key}: is empty"]
        if item.kind == "secret" and not str(value).startswith(REFERENCES):
            return self._take_secret(link, item, str(value))
        link.values[item.key] = value
        found = self._problems()
        if found:
            del link.values[item.key]
        return [_about(problem, link, item) for problem in found]

    def _take_secret(self, link: Link, item: Item, secret: str) -> list[str]:
        """Keep a secret for a file of its own."""
        link.values[item.key] = secret
        found = self._problems()
        name = f"{link.name}.{item.key}"
        link.values[item.key] = f"file:{name}"
        self._secrets[name] = secret
        if not found:
            return []
        del link.values[item.key], self._secrets[name]
        return [_about(problem, link, item) for problem in found]

    def _problems(self) -> list[ConfigError]:
        """Return what is wrong so far, with stand-ins for what was not answered."""
        shown = {link.name: dict(link.values) for link in self._links}
        for link in self._links:
            for key, value in link.values.items():
                if str(value).startswith("file:"):
                    link.values[key] = self._secrets.get(str(value)[5:], value)
        text = text_of(self._path.name, self._account, self._links, STAND_IN_TOKEN, True)
        for link in self._links:
            link.values = shown[link.name]
        return problems_of(text, self._path.parent, self._environ)


class _Pretended(dict[str, str]):
    """The environment, in which every variable is set: the secrets may come later."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(environ)
        self.pretended: dict[str, None] = {}

    def get(self, key: str, default: object = None) -> str:
        """Return a variable, or a stand-in."""
        self.pretended[key] = None
        return super().get(key) or "x"


def _about(problem: ConfigError, link: Link, item: Item) -> str:
    """Return a problem with a shorter path, where it is that of the question."""
    own = f"links.{link.name}.{item.key}"
    return f"{item.key}: {problem.problem}" if problem.path == own else str(problem)


def _which() -> str:
    for protocol, sheet in SHEETS.items():
        click.echo(f"  {protocol}  {sheet.title}", err=True)
    answer: str = click.prompt("Which of these do you have a contract for", "cmpp", err=True)
    return answer.replace(",", " ").replace("，", " ")


def _links(written: Sequence[str]) -> list[Link]:
    links: dict[str, Link] = {}
    for one in written:
        name, equals, protocol = one.rpartition("=")
        if protocol not in SHEETS:
            raise Invalid(f"--link {one}: {protocol!r} is none of {', '.join(SHEETS)}")
        name = name if equals else SHEETS[protocol].name
        if name in links:
            raise Invalid(f"--link {one}: there is a link {name} already; write NAME={protocol}")
        links[name] = Link(name, protocol)
    if not links:
        raise Invalid(f"--link: is missing; write one of {', '.join(SHEETS)}")
    return list(links.values())


def _answers(written: Sequence[str]) -> dict[str, str]:
    answers = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals:
            raise Invalid(f"--set {one}: write NAME.KEY=VALUE")
        answers[name] = value
    return answers
