"""SGIP login: a login type, a name and a password in clear. There is no digest and no clock."""

from __future__ import annotations

import hmac

from smsgw.protocols.sgip import constants
from smsgw.protocols.states import Role, Side

LOGIN_TYPES = {
    (Role.CLIENT, Side.SP): constants.LOGIN_SP_TO_SMG,
    (Role.SERVER, Side.GATEWAY): constants.LOGIN_SP_TO_SMG,
    (Role.CLIENT, Side.GATEWAY): constants.LOGIN_SMG_TO_SP,
    (Role.SERVER, Side.SP): constants.LOGIN_SMG_TO_SP,
}
"""The LoginType that each end of a connection writes or expects (sgip.md section 4)."""


def password_matches(password: str, secret: str | None) -> bool:
    """Whether a peer's password is right; padding with spaces also counts (section 2).

    Args:
        password: As the peer wrote it.
        secret: What was agreed, "" for a peer that logs in without one (section 13); None when
            the name is unknown.
    """
    if secret is None:
        return False
    wanted = secret.encode(errors="surrogatepass")
    return any(
        hmac.compare_digest(given.encode(), wanted) for given in {password, password.rstrip(" ")}
    )
