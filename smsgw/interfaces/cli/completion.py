"""``smsgw completion``: what a shell reads to complete our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from smsgw.interfaces.cli.main import EPILOG, main

PROGRAM = "smsgw"
VARIABLE = "_SMSGW_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what SHELL needs to complete smsgw's commands and options.

    \b
    bash, in ~/.bashrc:    eval "$(smsgw completion bash)"
    zsh, in ~/.zshrc:      eval "$(smsgw completion zsh)"
    fish, once:            smsgw completion fish > ~/.config/fish/completions/smsgw.fish
    """
    found = get_completion_class(shell)
    assert found is not None  # click's own three
    click.echo(found(main, {}, PROGRAM, VARIABLE).source())
