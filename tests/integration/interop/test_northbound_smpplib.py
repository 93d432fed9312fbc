"""smpplib's own blocking client, in a thread, as a customer of a whole gateway."""

from __future__ import annotations

import pytest
import smpplib.client
import smpplib.consts
import smpplib.exceptions
import smpplib.gsm
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from tests.support.customers import CustomerTown, customer_toml
from tests.support.esme import Esme
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

PHONE, NUMBER = NUMBERS["cmpp"], "1069000180"
LONG = "新闻部申请使用三号外景转播车" * 12


def customer(town: CustomerTown) -> Esme:
    return Esme(town.port("smpp"), "acme", PHONE, NUMBER)


@reactor_test
async def test_it_sends_and_is_brought_reports_and_replies(tmp_path):
    def talk(esme: Esme) -> None:
        esme.bind()
        esme.submit("hello")
        esme.until(lambda: len(esme.brought) == 1)
        parts = esme.submit(LONG)
        esme.until(lambda: len(esme.answers) == 1 + parts and len(esme.brought) == 1 + parts)
        reactor.callFromThread(town.carriers["cmpp"].send, PHONE, NUMBER, "同意")
        esme.until(lambda: len(esme.brought) == 2 + parts)
        esme.end()

    async with CustomerTown(tmp_path) as town:
        esme = customer(town)
        await deferToThread(talk, esme)
        inbox = town.carriers["cmpp"].phones.get(PHONE).inbox
        assert [one.text for one in inbox] == ["hello", LONG]
    *receipts, reply = esme.brought
    ids = [answer.message_id for answer in esme.answers]
    assert sorted(one.receipted_message_id for one in receipts) == sorted(ids)
    assert {one.message_state for one in receipts} == {smpplib.consts.SMPP_MESSAGE_STATE_DELIVERED}
    assert reply.short_message.decode("utf-16-be") == "同意"
    assert (reply.source_addr, reply.destination_addr) == (
        b"86" + PHONE.encode(),
        NUMBER.encode(),
    )


@reactor_test
async def test_a_pair_of_connections_shares_the_directions(tmp_path):
    def send(esme: Esme) -> None:
        esme.bind("transmitter")
        esme.submit("hello")
        esme.until(lambda: bool(esme.answers))
        esme.end()

    def receive(esme: Esme) -> None:
        esme.bind("receiver")
        esme.until(lambda: bool(esme.brought))
        esme.end()

    async with CustomerTown(tmp_path, customer_toml("smpp", binds=2)) as town:
        sender, receiver = customer(town), customer(town)
        await deferToThread(send, sender)
        await deferToThread(receive, receiver)
    assert sender.brought == []
    (receipt,) = receiver.brought
    assert receipt.receipted_message_id == sender.answers[0].message_id


@reactor_test
async def test_what_is_wrong_is_told_by_its_status(tmp_path):
    def talk(wrong: Esme, esme: Esme) -> int:
        with pytest.raises(smpplib.exceptions.PDUError) as caught:
            wrong.bind(password="wrong")
        wrong.client.disconnect()
        esme.bind()
        esme.submit("hello", source="10690001")
        esme.until(lambda: bool(esme.refused))
        esme.end()
        return caught.value.args[1]

    async with CustomerTown(tmp_path) as town:
        wrong, esme = customer(town), customer(town)
        status = await deferToThread(talk, wrong, esme)
    assert status == smpplib.consts.SMPP_ESME_RINVPASWD
    assert esme.refused == [smpplib.consts.SMPP_ESME_RINVSRCADR]
