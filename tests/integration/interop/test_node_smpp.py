"""node-smpp from npm, as an ESME against our simulated SMSC and as an SMSC against our link."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from smsgw.errors import Disposition
from smsgw.model import Coding, MessageStatus, Segment
from smsgw.protocols import smpp
from smsgw.simulator.ismg import Behaviour, Ismg
from smsgw.simulator.script import Reply
from smsgw.text.segmentation import plan, segments
from smsgw.transport.endpoints import dial_endpoint, listen_endpoint
from smsgw.transport.link import Inbound, Link
from tests.support.customers import CustomerTown
from tests.support.reactor import reactor_test

pytestmark = pytest.mark.long

VERSION = "0.5.1"
NAME, SECRET = "901234", "s3cret"
PHONE, NUMBER = "13900001004", "10690001042"

ESME = r"""
const smpp = require('smpp');
const said = {answers: [], brought: []};
const session = smpp.connect({url: 'smpp://127.0.0.1:' + process.argv[2]}, () => {
  const login = {system_id: '901234', password: 's3cret', interface_version: 0x34};
  session.bind_transceiver(login, bound);
});
const base = {source_addr: '10690001042', dest_addr_ton: 1, dest_addr_npi: 1,
              destination_addr: '8613900001004', registered_delivery: 1};
function bound(pdu) {
  said.bind = {status: pdu.command_status, system_id: pdu.system_id,
               version: pdu.sc_interface_version};
  session.submit_sm({...base, short_message: 'hello', data_coding: 0}, answered);
  for (const part of [1, 2]) {
    const udh = Buffer.from([5, 0, 3, 0xc7, 2, part]);
    session.submit_sm({...base, data_coding: 8, esm_class: 0x40,
      short_message: {udh, message: part === 1 ? '外景' : '转播'}}, answered);
  }
  for (const part of [1, 2]) {
    session.submit_sm({...base, data_coding: 8, short_message: '第' + part + '段',
      sar_msg_ref_num: 9, sar_total_segments: 2, sar_segment_seqnum: part}, answered);
  }
  session.submit_sm({...base, data_coding: 8, message_payload: '载荷'.repeat(100)}, answered);
  session.submit_multi({source_addr: '10690001042', data_coding: 0, short_message: 'all',
    dest_address: [{dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: '8613900001004'},
                   {dl_name: 'staff'}]}, (pdu) => { said.multi = pdu.command_status; });
  session.query_sm({message_id: '42'}, (pdu) => { said.query = pdu.command_status; });
  session.enquire_link({}, (pdu) => { said.heartbeat = pdu.command; });
}
function answered(pdu) { said.answers.push([pdu.command_status, pdu.message_id]); end(); }
session.on('deliver_sm', (pdu) => {
  const text = pdu.short_message.message;
  said.brought.push({esm_class: pdu.esm_class, id: pdu.receipted_message_id,
    state: pdu.message_state, text: Buffer.isBuffer(text) ? text.toString('latin1') : text,
    from: pdu.source_addr, to: pdu.destination_addr});
  session.send(pdu.response());
  end();
});
session.on('enquire_link', (pdu) => session.send(pdu.response()));
function end() {
  if (said.answers.length < 6 || said.brought.length < 10) return;
  session.unbind({}, (pdu) => {
    said.unbind = pdu.command;
    session.close(() => { console.log(JSON.stringify(said)); });
  });
}
session.on('error', (error) => { console.log(String(error)); process.exit(1); });
"""

SMSC = r"""
const smpp = require('smpp');
let count = 0;
let receiver = null;
const tell = (what) => console.log(JSON.stringify(what));
const server = smpp.createServer((session) => {
  const bind = (pdu) => {
    const good = pdu.system_id === '901234' && pdu.password === 's3cret';
    tell({bind: pdu.command, version: pdu.interface_version});
    session.send(pdu.response(good ? {system_id: 'NODE', sc_interface_version: 0x34}
                                   : {command_status: smpp.ESME_RINVPASWD}));
    if (good && pdu.command !== 'bind_transmitter') receiver = session;
    if (good) session.enquire_link({}, (answer) => tell({answer: answer.command}));
  };
  session.on('bind_transceiver', bind);
  session.on('bind_transmitter', bind);
  session.on('bind_receiver', bind);
  session.on('submit_sm', (pdu) => {
    const message = pdu.short_message || {};
    const payload = pdu.message_payload || {};
    const text = message.message || payload.message || '';
    tell({submit: text, udh: Boolean(message.udh || payload.udh), coding: pdu.data_coding,
          sar: [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum],
          from: pdu.source_addr, to: pdu.destination_addr, report: pdu.registered_delivery});
    if (text === 'slow down') {
      session.send(pdu.response({command_status: smpp.ESME_RTHROTTLED}));
      return;
    }
    const id = 'N' + (++count);
    session.send(pdu.response({message_id: id}));
    if (!pdu.registered_delivery) return;
    receiver.deliver_sm({esm_class: 4, source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr, short_message: 'id:' + id + ' sub:001 dlvrd:001 ' +
        'submit date:2601161700 done date:2601161701 stat:DELIVRD err:000 text:',
      ...(count % 2 ? {receipted_message_id: id, message_state: 2} : {})},
      (answer) => tell({receipt: answer.command_status}));
    receiver.deliver_sm({source_addr: pdu.destination_addr, destination_addr: pdu.source_addr,
      data_coding: 8, short_message: '同意'}, (answer) => tell({mo: answer.command_status}));
  });
  session.on('unbind', (pdu) => { tell({unbind: true}); session.send(pdu.response()); });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('error', () => {});
});
server.listen(0, '127.0.0.1', () => tell({port: server.address().port}));
"""


@pytest.fixture(scope="module", name="node")
def installed_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder with node-smpp in it and both programs."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    folder: Path = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text("{}")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"smpp@{VERSION}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"npm cannot install smpp@{VERSION}: {done.stderr.strip()[-200:]}")
    (folder / "esme.js").write_text(ESME)
    (folder / "smsc.js").write_text(SMSC)
    return folder


@reactor_test(seconds=240)
async def test_a_node_esme_is_served_by_our_smsc(node):
    ismg = Ismg(
        smpp.CARRIER,
        smpp.SmppAccount(name=NAME, secret=SECRET),
        listen_endpoint(reactor, "127.0.0.1", 0),
        reactor,
        behaviour=Behaviour(report_after=0.01),
    )
    phone = ismg.phone(PHONE, lambda sender, text: [Reply("同意", 0.02)])
    port = await ismg.start()
    try:
        done = await deferToThread(
            subprocess.run,
            ["node", "esme.js", str(port)],
            cwd=node,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        await ismg.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["bind"] == {"status": 0, "system_id": NAME, "version": 0x34}
    assert [status for status, _ in said["answers"]] == [0] * 6
    ids = {message_id for _, message_id in said["answers"]}
    receipts = [one for one in said["brought"] if one["esm_class"] & 4]
    assert {one["id"] for one in receipts} == ids
    assert all(one["state"] == 2 and f"id:{one['id']} " in one["text"] for one in receipts)
    replies = [one for one in said["brought"] if not one["esm_class"] & 4]
    assert [one["text"] for one in replies] == ["同意"] * 4
    assert {(one["from"], one["to"]) for one in said["brought"]} == {("86" + PHONE, NUMBER)}
    assert (said["query"], said["multi"]) == (0x67, 0x45)
    assert (said["heartbeat"], said["unbind"]) == (
        "enquire_link_resp",
        "unbind_resp",
    )
    assert [received.text for received in phone.inbox] == [
        "hello",
        "外景转播",
        "第1段第2段",
        "载荷" * 100,
    ]


@reactor_test(seconds=240)
async def test_a_node_esme_is_a_customer_of_the_gateway(node, tmp_path):
    keys = {"login": f'"{NAME}"', "extensions": '["04"]'}
    table = "[customers.node]\nprotocol = 'smpp'\nsecret = 's3cret'\n"
    table += "".join(f"{key} = {value}\n" for key, value in keys.items())
    async with CustomerTown(tmp_path, table) as town:
        count = iter(range(1, 9))
        scripted = town.carriers["cmpp"].phone(
            PHONE, lambda sender, text: [Reply(f"回{next(count)}", 0.02)]
        )
        done = await deferToThread(
            subprocess.run,
            ["node", "esme.js", str(town.port("smpp"))],
            cwd=node,
            capture_output=True,
            text=True,
            timeout=120,
        )
        texts = sorted(one.text for one in scripted.inbox)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert [status for status, _ in said["answers"]] == [0] * 6
    ids = {message_id for _, message_id in said["answers"]}
    receipts = [one for one in said["brought"] if one["esm_class"] & 4]
    assert {one["id"] for one in receipts} == ids
    replies = [one["text"] for one in said["brought"] if not one["esm_class"] & 4]
    assert sorted(replies) == ["回1", "回2", "回3", "回4"]
    assert {(one["from"], one["to"]) for one in said["brought"]} == {("86" + PHONE, NUMBER)}
    assert (said["query"], said["multi"]) == (0x67, 0x45)
    assert texts == sorted(["hello", "外景转播", "第1段第2段", "载荷" * 100])


class NodeSmsc:
    """node-smpp as an SMSC, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "smsc.js"], cwd=folder, stdout=subprocess.PIPE, text=True
        )

    async def port(self) -> int:
        assert self._process.stdout is not None
        line = await deferToThread(self._process.stdout.readline)
        return int(json.loads(line)["port"])

    async def end(self) -> list[dict[str, Any]]:
        """Stop it; returns what it told."""
        self._process.terminate()
        out, _ = await deferToThread(self._process.communicate)
        return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("udh", "transceiver"),
        ("sar", "transceiver"),
        ("payload", "transceiver"),
        ("udh", "transmitter+receiver"),
    ],
)
@reactor_test(seconds=240)
async def test_our_link_is_served_by_a_node_smsc(node, form, kind):
    server = NodeSmsc(node)
    got: list[Inbound] = []
    told: list[dict[str, Any]] = []

    def take(batch: list[Inbound]) -> None:
        got.extend(batch)
        for item in batch:
            item.acknowledge(0)

    try:
        endpoint = dial_endpoint(reactor, "127.0.0.1", await server.port())
        account = smpp.SmppAccount(name=NAME, secret=SECRET, long_form=form, bind_type=kind)
        link = Link("one", smpp.CARRIER, account, endpoint, reactor)
        link.on_inbound = take
        link.start()
        while any(bind["phase"] != "bound" for bind in link.state()["binds"]):
            await deferLater(reactor, 0.01)
        short = await link.submit(Segment(PHONE, NUMBER, Coding.ASCII, b"hello"))
        split = plan("外景转播车" * 20, Coding.UCS2, family="smpp")
        parts = [
            await link.submit(Segment(PHONE, NUMBER, Coding.UCS2, content, True, part, 2))
            for part, content in enumerate(segments(split, 7), 1)
        ]
        slow = await link.submit(Segment(PHONE, NUMBER, Coding.ASCII, b"slow down"))
        while len(got) < 6:
            await deferLater(reactor, 0.01)
        await deferLater(reactor, 0.1)
        await link.stop()
    finally:
        told = await server.end()
    assert [result.carrier_message_id for result in (short, *parts)] == ["N1", "N2", "N3"]
    assert {result.disposition for result in (short, *parts)} == {Disposition.ACCEPTED}
    assert (slow.code, slow.disposition) == (0x58, Disposition.RETRY)
    reports = [item.report for item in got if item.report is not None]
    assert [(one.carrier_message_id, one.status) for one in reports] == [
        (f"N{count}", MessageStatus.DELIVERED) for count in (1, 2, 3)
    ]
    assert {(one.to, one.source) for one in reports} == {(PHONE, NUMBER)}
    messages = [item.message for item in got if item.message is not None]
    assert {(one.sender, one.destination, one.content.decode("utf-16-be")) for one in messages} == {
        (PHONE, NUMBER, "同意")
    }
    _assert_told(told, form)
    binds = [one["bind"] for one in told if "bind" in one]
    assert sorted(binds) == sorted(f"bind_{one}" for one in kind.split("+"))
    assert told.count({"unbind": True}) == len(binds)


def _assert_told(told: list[dict[str, Any]], form: str) -> None:
    """What the SMSC read of what we sent."""
    submits = [one for one in told if "submit" in one]
    assert submits[0]["submit"] == "hello"
    assert "".join(one["submit"] for one in submits[1:3]) == "外景转播车" * 20
    assert [one["udh"] for one in submits[1:3]] == [form != "sar"] * 2
    marks = [one["sar"] for one in submits[1:3]]
    assert marks == ([[7, 2, 1], [7, 2, 2]] if form == "sar" else [[None] * 3] * 2)
    assert {(one["from"], one["to"], one["report"]) for one in submits} == {
        (NUMBER, "86" + PHONE, 1)
    }
    assert {one["version"] for one in told if "bind" in one} == {0x34}
    assert {"answer": "enquire_link_resp"} in told
    assert told.count({"receipt": 0}) == told.count({"mo": 0}) == 3
