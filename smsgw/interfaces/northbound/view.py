"""The customers as operators see them: who is here, how much each may, what waits for it."""

from __future__ import annotations

from typing import Any

from smsgw.interfaces.northbound.present import Bind, Present

Json = dict[str, Any]


def customer_json(present: Present, waiting: int) -> Json:
    """Return one customer; its connections are those of this process.

    Args:
        present: The customer.
        waiting: How many reports and messages it has not acknowledged.
    """
    customer = present.customer
    return {
        "name": customer.name,
        "protocol": customer.carrier.name,
        "account": customer.account,
        "login": customer.login.name,
        "extensions": list(customer.extensions),
        "access_number": customer.access_number,
        "class": str(customer.message_class),
        "allow": [str(network) for network in customer.networks],
        "binds_max": customer.binds,
        "window": customer.login.window,
        "rate": customer.rate or None,
        "binds": [_bind_json(one) for one in present.binds],
        "waiting": waiting,
    }


def _bind_json(bind: Bind) -> Json:
    window = bind.protocol.session.window
    return {
        "host": bind.protocol.host,
        "version": str(bind.protocol.session.version),
        "receives": bind.receives,
        "unanswered": bind.unanswered,
        "in_flight": len(window),
    }
