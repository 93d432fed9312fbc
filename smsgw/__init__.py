"""smsgw: an SMS gateway for CMPP, SMGP, SGIP and SMPP on Twisted.

Start at :mod:`smsgw.protocols.cmpp` for a codec, :func:`smsgw.connect` for one carrier account,
:class:`smsgw.Gateway` for the whole gateway in a program of yours, and the ``smsgw`` command for it
as a process, whose programs use :mod:`smsgw.client`.

The library's names are loaded on first use: ``import smsgw`` alone loads nothing, and no codec
needs a reactor.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0.dev0"

_NAMES = {
    "Coding": "smsgw.model",
    "Disposition": "smsgw.errors",
    "Gateway": "smsgw.daemon.library",
    "Inbound": "smsgw.transport.link",
    "Link": "smsgw.transport.link",
    "MoMessage": "smsgw.model",
    "Segment": "smsgw.model",
    "SmsgwError": "smsgw.errors",
    "StatusReport": "smsgw.model",
    "SubmitResult": "smsgw.model",
    "connect": "smsgw.transport.connect",
    "load": "smsgw.daemon.config",
    "make_gateway": "smsgw.daemon.assembly",
}
"""Public name -> the module that has it."""

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'smsgw' has no attribute {name!r}")
    value = getattr(import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
