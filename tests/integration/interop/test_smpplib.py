"""smpplib's own blocking client, in a thread, against our simulated SMSC over 127.0.0.1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from smsgw.protocols import smpp
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import Reply
from smsgw.transport.endpoints import listen_endpoint
from tests.support.esme import Esme
from tests.support.reactor import reactor_test

NAME, SECRET = "901234", "s3cret"
PHONE, NUMBER = "13900001004", "10690001042"
LONG = "The outside broadcast van leaves at six. " * 8


class Smsc:
    """Our simulated SMSC, with one phone that answers."""

    def __init__(self, **behaviour: Any) -> None:
        self.told: list[str] = []
        self.ismg = Ismg(
            smpp.CARRIER,
            smpp.SmppAccount(name=NAME, secret=SECRET),
            listen_endpoint(reactor, "127.0.0.1", 0),
            reactor,
            behaviour=Behaviour(report_after=0.01, **behaviour),
            activity=lambda what, pdu, details: self.told.append(what),
        )
        self.phone = self.ismg.phone(PHONE, lambda sender, text: [Reply("同意", 0.02)])

    async def serve(self, talk: Callable[[Esme], Any]) -> Any:
        """Let a customer talk to it in a thread; returns what the talk returned."""
        customer = Esme(await self.ismg.start(), NAME, PHONE, NUMBER)
        try:
            return await deferToThread(talk, customer)
        finally:
            await self.ismg.stop()


@reactor_test
async def test_a_short_message_is_answered_reported_and_replied_to():
    smsc = Smsc()

    def talk(customer: Esme) -> tuple[Any, ...]:
        bound = customer.bind()
        customer.submit("hello")
        customer.until(lambda: len(customer.answers) == 1 and len(customer.brought) == 2)
        customer.end()
        return bound, customer.answers[0], customer.brought

    bound, answer, brought = await smsc.serve(talk)
    assert (bound.command, bound.system_id) == ("bind_transceiver_resp", NAME.encode())
    assert bound.sc_interface_version == smpplib.consts.SMPP_VERSION_34
    assert [received.text for received in smsc.phone.inbox] == ["hello"]
    (receipt,) = [pdu for pdu in brought if pdu.esm_class & 0x04]
    (reply,) = [pdu for pdu in brought if not pdu.esm_class & 0x04]
    assert receipt.receipted_message_id == answer.message_id
    assert receipt.message_state == smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED
    assert b"id:" + answer.message_id + b" " in receipt.short_message
    assert (receipt.source_addr, receipt.destination_addr) == (
        b"86" + PHONE.encode(),
        NUMBER.encode(),
    )
    assert reply.data_coding == smpplib.consts.SMPP_ENCODING_ISO10646
    assert reply.short_message.decode("utf-16-be") == "同意"
    assert (reply.source_addr, reply.destination_addr) == (
        b"86" + PHONE.encode(),
        NUMBER.encode(),
    )
    assert smsc.told.count("acknowledged") == 2


@reactor_test
async def test_a_long_message_in_parts_with_headers_arrives_as_one():
    smsc = Smsc()

    def talk(customer: Esme) -> tuple[int, int, int]:
        customer.bind()
        parts = customer.submit(LONG)
        customer.until(lambda: len(customer.answers) == parts)
        customer.until(lambda: len(customer.brought) == parts + 1)
        customer.end()
        ids = {answer.message_id for answer in customer.answers}
        reported = [getattr(pdu, "receipted_message_id", None) for pdu in customer.brought]
        return parts, len(ids), len(ids & set(reported))

    assert await smsc.serve(talk) == (3, 3, 3)
    assert [(received.text, received.parts) for received in smsc.phone.inbox] == [(LONG, 3)]


@pytest.mark.parametrize("kind", ["transmitter", "receiver"])
@reactor_test
async def test_a_bind_of_one_direction_carries_that_direction(kind):
    smsc = Smsc()

    def talk(customer: Esme) -> tuple[int, int]:
        customer.bind(kind)
        if kind == "transmitter":
            customer.submit("hello")
            customer.until(lambda: len(customer.answers) == 1)
        else:
            reactor.callFromThread(smsc.ismg.send, PHONE, NUMBER, "同意")
            customer.until(lambda: len(customer.brought) == 1)
        customer.end()
        return len(customer.answers), len(customer.brought)

    assert await smsc.serve(talk) == ((1, 0) if kind == "transmitter" else (0, 1))


@reactor_test
async def test_a_wrong_password_is_refused_with_its_status():
    def talk(customer: Esme) -> tuple[str, int]:
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            customer.bind(password="wrong")
        customer.client.disconnect()
        return caught.value.args

    message, status = await Smsc().serve(talk)
    assert status == smpplib.consts.SMPP_ESME_RINVPASWD
    assert "bind_transceiver_resp" in message


@reactor_test
async def test_a_throttled_submit_is_told_so():
    def talk(customer: Esme) -> int:
        refused: list[int] = []
        customer.client.set_error_pdu_handler(lambda pdu: refused.append(pdu.status))
        customer.bind()
        customer.submit("hello")
        customer.until(lambda: bool(refused))
        customer.end()
        return refused[0]

    assert await Smsc(result=0x58).serve(talk) == smpplib.consts.SMPP_ESME_RTHROTTLED


@reactor_test
async def test_heartbeats_go_both_ways():
    smsc = Smsc()
    smsc.ismg.account.heartbeat_interval = 0.05

    def talk(customer: Esme) -> str:
        customer.bind()
        customer.client.read_once(auto_send_enquire_link=False)  # ours, which it answers
        customer.client.send_pdu(smpplib.smpp.make_pdu("enquire_link", client=customer.client))
        answer = customer.client.read_pdu()
        while answer.command == "enquire_link":
            answer = customer.client.read_pdu()
        customer.client.disconnect()
        return str(answer.command)

    assert await smsc.serve(talk) == "enquire_link_resp"
    assert "trouble" not in smsc.told
