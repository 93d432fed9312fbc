"""The support bundle of an installation that has secrets, numbers and texts everywhere."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.internet.threads import deferToThread

from smsgw.interfaces.cli.main import main
from tests.support.daemon import TOKEN
from tests.support.gateways import ACCOUNT, InsideTown, message
from tests.support.reactor import reactor_test
from tests.support.rigs import NUMBERS

LINK_SECRET = "s3cret"
WORDS = "明天九点开会请带材料"
ASCII_WORDS = "meet me at nine sharp"
MORE = """
[probe]
to = "13800001777"

[northbound.smpp]
listen = "127.0.0.1:0"

[customers.shop]
protocol = "smpp"
login = "shop"
secret = "cust0mer"
account = "shop"
extensions = ["9"]
"""


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, ["bundle", *map(str, args)])


def unpacked(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        found = {}
        for member in archive.getmembers():
            data = archive.extractfile(member)
            assert data is not None
            found[member.name.removeprefix("smsgw-bundle/")] = data.read()
        return found


@reactor_test
async def test_nothing_private_is_in_it_and_everything_useful_is(tmp_path: Path) -> None:
    log = tmp_path / "smsgw.log"
    lines = [
        {"time": "t", "level": "info", "event": "link.bound", "link": "mobile", "text": WORDS},
        {"level": "error", "event": "x", "text": ASCII_WORDS, "why": f"'{ASCII_WORDS}' {WORDS}"},
        {"level": "warn", "event": "y", "phone": "13800001001", "other": "+8613800001001"},
        {"level": "warn", "event": "z", "pdu": WORDS.encode("utf-16-be").hex(), "token": TOKEN},
        {"level": "warn", "event": "z", "why": f"the secret is {LINK_SECRET}"},
    ]
    text = [json.dumps(one, ensure_ascii=False) for one in lines]
    log.write_text("\n".join(["no JSON: " + ASCII_WORDS, *text, ""]), encoding="utf-8")
    async with InsideTown(tmp_path) as town:
        sent = await town.gateway.send(
            ACCOUNT, [message(NUMBERS["cmpp"], WORDS), message(NUMBERS["smgp"], ASCII_WORDS)]
        )
        for message_id in sent:
            await town.become(message_id, "delivered")
        await town.ask(NUMBERS["cmpp"])
        with town.config.open("a") as config:
            config.write(MORE)
        out = tmp_path / "b.tar.gz"
        arguments = ("-c", town.config, "-o", out, "--log", log)
        online = ("--api", town.url, "--token", TOKEN)
        result = await deferToThread(invoke, *arguments, *online)
        assert result.exit_code == 0, result.output
    files = unpacked(out)
    whole = b"\n".join(files.values()).decode()
    private = [LINK_SECRET, "cust0mer", TOKEN, WORDS, ASCII_WORDS, "meet", "外景转播车", "请答复"]
    private += [*NUMBERS.values(), "13800001777", WORDS.encode("utf-16-be").hex()]
    assert [one for one in private if one in whole] == []
    assert oct(out.stat().st_mode & 0o777) == "0o600"

    manifest = json.loads(files["manifest.json"])
    listed = {one["name"]: one["sha256"] for one in manifest["files"]}
    assert listed == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in files.items()
        if name != "manifest.json"
    }
    config = json.loads(files["config.json"])
    assert config["links"]["mobile"]["login"] == "901234"
    assert config["probe"]["to"] == "138****1777"
    assert json.loads(files["versions.json"])["packages"]["twisted"]
    assert json.loads(files["schema.json"])["revision"] == "0001"
    tables = json.loads(files["tables.json"])
    assert tables["message"] >= 3
    kinds = {json.loads(line)["kind"] for line in files["events.jsonl"].splitlines()}
    assert "message.delivered" in kinds
    assert [one["name"] for one in json.loads(files["links.json"])["links"]] == [
        "mobile",
        "telecom",
        "unicom",
    ]
    assert b"smsgw_links_up" in files["metrics.txt"]
    assert b"ok    python: " in files["doctor.txt"]
    kept = [json.loads(line) for line in files["log.jsonl"].splitlines()]
    assert [one["event"] for one in kept] == ["link.bound", "x", "y", "z", "z", "bundle.left_out"]
    assert kept[-1]["lines"] == 1


def test_without_a_gateway_a_good_configuration_or_a_database_it_is_made_all_the_same(
    tmp_path: Path,
) -> None:
    config, out = tmp_path / "smsgw.toml", tmp_path / "b.tar.gz"
    config.write_text("[links.one]\nprotocol = 'cmpp'\nsecret = 'hidden-word'\n")
    result = invoke("-c", config, "-o", out)
    assert result.exit_code == 0
    files = unpacked(out)
    assert set(files) == {"doctor.txt", "versions.json", "manifest.json"}
    assert b"fail  config: links.one.login: is missing" in files["doctor.txt"]
    again = invoke("-c", config, "-o", out)
    assert (again.exit_code, again.stderr) == (
        1,
        f"smsgw: {out}: is there already; name a new file with --out\n",
    )


def test_what_cannot_be_had_says_why(tmp_path: Path) -> None:
    config, out = tmp_path / "smsgw.toml", tmp_path / "b.tar.gz"
    config.write_text(
        "[links.one]\nprotocol = 'cmpp'\nhost = '127.0.0.1'\nlogin = '901234'\n"
        "secret = 'hidden-word'\naccess_number = '10690001'\n[http]\nlisten = '127.0.0.1:0'\n"
    )
    with closing(sqlite3.connect(tmp_path / "smsgw.db")) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    assert invoke("-c", config, "-o", out).exit_code == 0
    files = unpacked(out)
    assert files["metrics.txt"].startswith(b"not to be had: ")
    assert files["links.json"] == b"not to be had: no token was given\n"
    assert b"holds tables of something else" in files["schema.json"]
    assert b"hidden-word" not in b"".join(files.values())
