"""smpplib's own blocking client, the other end of many a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import smpplib.client
import smpplib.consts
import smpplib.gsm


class Esme:
    """The client and what it was told; every method blocks, for at most five seconds.

    Args:
        port: Where to, on 127.0.0.1.
        name: Its login.
        phone: Whom it writes to.
        number: What it sends from.
    """

    def __init__(self, port: int, name: str, phone: str, number: str) -> None:
        self.client = smpplib.client.Client(
            "127.0.0.1", port, timeout=60, allow_unknown_opt_params=True
        )
        self.name, self.phone, self.number = name, phone, number
        self.answers: list[Any] = []
        self.brought: list[Any] = []
        self.refused: list[int] = []
        self.client.set_message_sent_handler(lambda pdu: self.answers.append(pdu))
        self.client.set_message_received_handler(lambda pdu: self.brought.append(pdu))
        self.client.set_error_pdu_handler(lambda pdu: self.refused.append(pdu.status))

    def bind(self, kind: str = "transceiver", password: str = "s3cret") -> Any:
        self.client.connect()
        return getattr(self.client, f"bind_{kind}")(system_id=self.name, password=password)

    def submit(self, text: str, source: str = "") -> int:
        """Send a text, in parts when it is long; returns how many."""
        parts, coding, esm_class = smpplib.gsm.make_parts(text)
        for part in parts:
            self.client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_UNK,
                source_addr=source or self.number,
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL,
                dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr="86" + self.phone,
                short_message=part,
                data_coding=coding,
                esm_class=esm_class,
                registered_delivery=True,
            )
        return len(parts)

    def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.client.read_once(auto_send_enquire_link=False)

    def end(self) -> None:
        self.client.unbind()
        self.client.disconnect()
