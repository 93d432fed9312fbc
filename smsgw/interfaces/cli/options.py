"""Options that many commands have. Loads nothing but click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def config_option(text: str = "The configuration file.") -> Callable[..., Any]:
    """Return the decorator that gives a command ``-c FILE`` as its parameter ``path``.

    Args:
        text: What its help says.
    """
    return click.option(
        "-c",
        "--config",
        "path",
        type=click.Path(path_type=Path),
        default="smsgw.toml",
        show_default=True,
        help=text,
    )
