"""``smsgw pdu`` prints vectors as objects, makes octets of objects, and refuses in one line."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smsgw.interfaces.cli import show
from smsgw.interfaces.cli.main import main
from smsgw.protocols.registry import CARRIERS
from tests.support.vectors import Vector, vector, vectors

GOOD = [(name, case) for name in CARRIERS for case in vectors(name, malformed=False)]
BAD = [(name, case) for name in CARRIERS for case in vectors(name, malformed=True)]
ACTIVE_TEST = vector("cmpp", "active_test").octets.hex()
SUBMIT = vector("cmpp", "submit_30_ucs2").octets.hex()


def run(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(main, ["pdu", *arguments], input=stdin, catch_exceptions=False)


def decode(*arguments: str, stdin: str = "", protocol: str = "cmpp") -> Result:
    return run("decode", "--protocol", protocol, *arguments, stdin=stdin)


def encode(described: Any, *arguments: str, protocol: str = "cmpp") -> Result:
    text = described if isinstance(described, str | bytes) else json.dumps(described)
    return run("encode", "--protocol", protocol, *arguments, stdin=text)


def refused(result: Result) -> str:
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("smsgw: ").rstrip("\n")


def ids(pair: tuple[str, Vector] | str | Vector) -> str:
    return str(pair)


# ---- vectors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("protocol", "case"), GOOD, ids=str)
def test_decode_prints_a_vectors_fields_and_encode_its_octets(protocol: str, case: Vector) -> None:
    printed = decode("--version", case.version, case.octets.hex(), protocol=protocol)
    assert printed.exit_code == 0, printed.stderr
    assert json.loads(printed.stdout) == case.fields
    assert printed.stderr == ""
    made = encode(printed.stdout, "--version", case.version, protocol=protocol)
    assert (made.exit_code, made.stdout) == (0, case.octets.hex() + "\n"), made.stderr


@pytest.mark.parametrize(("protocol", "case"), BAD, ids=str)
def test_a_malformed_vector_gets_one_line_with_field_and_offset(
    protocol: str, case: Vector
) -> None:
    line = refused(decode("--version", case.version, case.octets.hex(), protocol=protocol))
    assert " at offset " in line


@pytest.mark.parametrize(("protocol", "case"), GOOD, ids=str)
def test_the_table_for_people_accounts_for_every_octet(protocol: str, case: Vector) -> None:
    printed = decode("--pretty", "--version", case.version, case.octets.hex(), protocol=protocol)
    assert printed.exit_code == 0
    rows = [line.split("\t") for line in printed.stdout.splitlines()[1:]]
    sized = [(int(offset), int(octets)) for offset, octets, *_ in rows if offset]
    at = 0
    for offset, octets in sized:
        assert offset == at
        at += octets
    assert at == len(case.octets)


# ---- decode ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("0000000c 00000008 0000012c",),
        ("0000000c", "00000008", "0000012c"),
        ("0x0000000C00000008\n0x0000012C\n",),
        ("00 00 00 0c\t00 00 00 08\r\n00 00 01 2c",),
    ],
)
def test_hex_may_be_written_in_many_ways(arguments: tuple[str, ...]) -> None:
    assert json.loads(decode(*arguments).stdout)["sequence_id"] == 300


def test_hex_is_read_from_standard_input() -> None:
    assert json.loads(decode("-", stdin=ACTIVE_TEST + "\n").stdout)["command"] == "CMPP_ACTIVE_TEST"


def test_several_pdus_give_a_list_and_one_gives_an_object() -> None:
    several = json.loads(decode(ACTIVE_TEST + SUBMIT + ACTIVE_TEST).stdout)
    assert [one["command"] for one in several] == [
        "CMPP_ACTIVE_TEST",
        "CMPP_SUBMIT",
        "CMPP_ACTIVE_TEST",
    ]
    assert isinstance(json.loads(decode(ACTIVE_TEST).stdout), dict)


@pytest.mark.parametrize(
    ("digits", "line"),
    [
        ("", "HEX: 0 digits; write two for each octet, at least one octet"),
        ("-", "HEX: 0 digits; write two for each octet, at least one octet"),
        ("000", "HEX: 3 digits; write two for each octet, at least one octet"),
        ("00zz", "HEX: 'z' at digit 3 is none of 0-9 a-f"),
        ("同意", "HEX: '同' at digit 1 is none of 0-9 a-f"),
        ("0000", "header.total_length at offset 0: 2 octets, a header has 12"),
        ("0000000c00", "header.total_length at offset 0: says 12 octets, 5 are here"),
        (
            "0000000b0000000800000001",
            "header.total_length at offset 0: total length 11, limit 12 to 4096",
        ),
        (
            ACTIVE_TEST + "00",
            "PDU at octet 12: header.total_length at offset 0: 1 octets, a header has 12",
        ),
        (
            ACTIVE_TEST + "0000000c000000770000000a",
            "PDU at octet 12: 0x00000077.command_id at offset 4: unknown command",
        ),
        (
            "0000000e000000080000012c0000",
            "CMPP_ACTIVE_TEST at offset 12: 2 octets after the last field",
        ),
    ],
)
def test_bad_octets_are_refused_in_one_line(digits: str, line: str) -> None:
    assert refused(decode(digits)) == line


def test_a_pdu_of_another_version_is_refused_with_a_hint() -> None:
    line = refused(decode(vector("cmpp", "submit_20_ascii").octets.hex()))
    assert line.endswith("(it reads as --version 2.0)")


def test_an_unknown_version_is_refused_with_the_choices() -> None:
    assert refused(decode("--version", "4.0", ACTIVE_TEST)) == (
        "--version: '4.0' is none of 2.0, 3.0"
    )


def test_an_unknown_protocol_is_wrong_usage() -> None:
    result = decode(ACTIVE_TEST, protocol="smtp")
    assert result.exit_code == 2
    assert "cmpp" in result.stderr


# ---- the table ---------------------------------------------------------------------------------


def cell(printed: str, field: str) -> list[str]:
    (found,) = [
        line.split("\t") for line in printed.splitlines() if line.split("\t")[2:3] == [field]
    ]
    return found


@pytest.mark.parametrize(
    ("protocol", "name", "field", "value", "meaning"),
    [
        ("cmpp", "submit_30_ucs2", "command_id", "0x00000004", "CMPP_SUBMIT"),
        ("cmpp", "submit_30_ucs2", "msg_fmt", "8", "ucs2"),
        (
            "cmpp",
            "connect_30",
            "authenticator_source",
            "bea47e2bbddd079323a824d1d5d8802a",
            "MD5 digest",
        ),
        ("cmpp", "connect_30", "timestamp", "512093015", "05-12 09:30:15"),
        ("cmpp", "connect_30", "version", "48", "3.0"),
        ("cmpp", "connect_resp_30_auth_fail", "status", "3", "authentication failed"),
        ("cmpp", "connect_resp_30_auth_fail", "authenticator_ismg", "0" * 32, "no digest"),
        ("cmpp", "connect_resp_30_ok", "status", "0", "success"),
        ("cmpp", "submit_resp_20_throttled", "result", "8", "flow control"),
        ("cmpp", "submit_resp_30_ok", "msg_id", "6207618075238924330", "5625e3c003e9002a"),
        ("cmpp", "deliver_report_30", "report.stat", "DELIVRD", "delivered"),
        ("smgp", "deliver_report_delivrd", "report.stat", "DELIVRD", "delivered"),
        ("sgip", "report_delivered", "state", "0", "delivered"),
        ("sgip", "report_failed", "state", "2", "undelivered"),
    ],
)
def test_the_table_says_what_a_value_means(
    protocol: str, name: str, field: str, value: str, meaning: str
) -> None:
    case = vector(protocol, name)
    printed = decode("--pretty", "--version", case.version, case.octets.hex(), protocol=protocol)
    assert cell(printed.stdout, field)[3:] == [value, meaning]


@pytest.mark.parametrize(
    ("protocol", "name", "field", "start"),
    [
        ("cmpp", "submit_30_ucs2", "msg_content", "【测试公司】您的验证码是4821"),
        ("cmpp", "submit_30_udh8_part2of2", "msg_content", "(2 of 2, reference 167) "),
        ("cmpp", "deliver_report_30", "msg_content", "status report"),
        ("smgp", "submit_udh8_part1of2", "msg_content", "(1 of 2, reference "),
        ("smgp", "deliver_report_delivrd", "msg_content", "status report"),
        ("smgp", "submit_gbk_tlvs", "tlvs[0]", "LinkID"),
        ("sgip", "submit_udh8_part1of2", "message_content", "(1 of 2, reference "),
        ("sgip", "bind_sp_to_smg", "login_password", ""),
    ],
)
def test_the_table_shows_texts_parts_and_parameters(
    protocol: str, name: str, field: str, start: str
) -> None:
    case = vector(protocol, name)
    printed = decode("--pretty", "--version", case.version, case.octets.hex(), protocol=protocol)
    assert cell(printed.stdout, field)[4].startswith(start)


def test_the_table_hides_a_password() -> None:
    printed = decode(
        "--pretty", vector("sgip", "bind_sp_to_smg").octets.hex(), protocol="sgip"
    ).stdout
    assert cell(printed, "login_password")[3] == "***"


def test_a_header_that_lies_is_told_and_the_text_shown_whole() -> None:
    submit = {
        "command": "CMPP_SUBMIT",
        "tp_udhi": 1,
        "msg_fmt": 0,
        "dest_terminal_id": ["13800001001"],
        "msg_content_hex": "ff41",
    }
    printed = decode("--pretty", encode(submit).stdout.strip()).stdout
    assert cell(printed, "msg_content")[4].startswith("(UDHL 255 runs past")
    submit["msg_content_hex"] = "0370017f41"
    printed = decode("--pretty", encode(submit).stdout.strip()).stdout
    assert cell(printed, "msg_content")[4] == "A"


def test_on_a_terminal_the_table_has_a_title_for_each_pdu(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "smsgw.interfaces.cli.pdu.show_table", lambda columns, rows, title: drawn.append(title)
    )
    assert decode("--pretty", ACTIVE_TEST + SUBMIT).exit_code == 0
    assert drawn == ["CMPP_ACTIVE_TEST, 12 octets", "CMPP_SUBMIT, 243 octets"]


# ---- encode ------------------------------------------------------------------------------------


def test_usual_values_lengths_and_counts_may_be_left_out() -> None:
    made = encode({"command": "CMPP_ACTIVE_TEST", "sequence_id": 300})
    assert made.stdout == ACTIVE_TEST + "\n"


def test_a_list_gives_a_line_for_each() -> None:
    made = encode([{"command": "CMPP_ACTIVE_TEST", "sequence_id": 300}] * 2)
    assert made.stdout == f"{ACTIVE_TEST}\n{ACTIVE_TEST}\n"
    assert len(json.loads(decode("-", stdin=made.stdout).stdout)) == 2


@pytest.mark.parametrize(
    ("described", "line"),
    [
        ("", "standard input: no JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[", "standard input: no JSON: Expecting value: line 1 column 2 (char 1)"),
        ("5", "standard input: must be an object, int given"),
        ("[]", "standard input: an empty list describes no PDU"),
        ("[5]", "[0]: must be an object, int given"),
        (
            [{"command": "CMPP_TERMINATE"}, {"command": "CMPP_TERMINATE", "x": 1}],
            "[1].x: CMPP_TERMINATE has no such field",
        ),
        (
            {"command": "CMPP_SUBMIT", "servcie_id": "x"},
            "servcie_id: CMPP_SUBMIT has no such field",
        ),
        (
            {"command": "CMPP_SUBMIT", "msg_id": "5"},
            "msg_id: must be an integer, str given",
        ),
        (
            {"command": "CMPP_SUBMIT", "service_id": "12345678901"},
            "service_id: 11 octets, limit 10 octets",
        ),
        (
            {"command": "CMPP_SUBMIT", "msg_content_hex": "4"},
            "msg_content_hex: not hexadecimal: two digits 0-9 a-f for each octet",
        ),
        (
            {"command": "CMPP_SUBMIT", "a\nb": 1},
            "a b: CMPP_SUBMIT has no such field",
        ),
        (
            {"command": "CMPP_SUBMIT", "dest_usr_tl": 2},
            "dest_usr_tl: 2, but the other fields make it 0; leave it out",
        ),
    ],
)
def test_a_bad_description_is_refused_by_its_key(described: Any, line: str) -> None:
    assert refused(encode(described)) == line


def test_input_that_is_no_text_at_all_is_refused() -> None:
    assert refused(encode(b"\xff\xfe\x00")).startswith("standard input: no JSON: ")
    assert refused(encode("[" * 100_000)).startswith("standard input: no JSON: ")


def test_a_command_of_no_version_is_refused_with_the_known_ones() -> None:
    line = refused(encode({"command": "CMPP_HELLO"}))
    assert line.startswith("command: 'CMPP_HELLO' is none of CMPP_ACTIVE_TEST, ")
    assert "is none of 2.0, 3.0" in refused(encode({}, "--version", "1"))


def test_the_table_is_drawn_by_the_module_every_command_uses() -> None:
    assert show.show_table is sys.modules["smsgw.interfaces.cli.pdu"].show_table
