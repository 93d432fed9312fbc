"""Protocol name -> Carrier. The only module that lists the carrier folders."""

from __future__ import annotations

from smsgw.errors import ConfigError
from smsgw.protocols import cmpp, sgip, smgp, smpp
from smsgw.protocols.carrier import Carrier

CARRIERS: dict[str, Carrier] = {
    carrier.name: carrier for carrier in (cmpp.CARRIER, smgp.CARRIER, sgip.CARRIER, smpp.CARRIER)
}


def carrier(name: str, path: str = "protocol") -> Carrier:
    """Return the carrier called ``name``.

    Raises:
        ConfigError: There is none; ``path`` names the key at fault.
    """
    if name not in CARRIERS:
        raise ConfigError(path, f"{name!r} is none of {', '.join(sorted(CARRIERS))}")
    return CARRIERS[name]
