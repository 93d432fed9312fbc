from __future__ import annotations

import json

import pytest

from smsgw.daemon.redaction import Redactor

SECRETS = ["s3cret-of-the-link", "abc", 'quo"ted-secret']


@pytest.fixture
def redactor() -> Redactor:
    return Redactor([*SECRETS, ""])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("to 13800001001.", "to 138****1001."),
        ("+8613800001001", "+86138****1001"),
        ("008613800001001 8613800001001", "0086138****1001 86138****1001"),
        ("1064800001001 1440000001001", "10648****1001 14400****1001"),
        ("id 171234567890123456", "id 171234567890123456"),
        ("10690001 at 1795000000000", "10690001 at 1795000000000"),
        ("xs3cret-of-the-linkx", "x***x"),
        ("abc is one, abcd is none", "*** is one, abcd is none"),
        (json.dumps('quo"ted-secret'), '"***"'),
        ("0000000c" * 4 + " 0000000c", "(16 octets) 0000000c"),
    ],
)
def test_what_is_known_to_be_private_is_masked(redactor: Redactor, text: str, clean: str) -> None:
    assert redactor.clean(text) == clean


def test_without_secrets_nothing_is_taken_for_one() -> None:
    assert Redactor([]).clean("plain words") == "plain words"


def test_of_a_log_line_only_names_numbers_and_our_own_sentences_stay(redactor: Redactor) -> None:
    line = {
        "time": "2026-11-22T08:00:00.000+00:00",
        "level": "warn",
        "event": "link.unbound",
        "from": "smsgw.transport.link.Link",
        "link": "cmcc",
        "text": "meet me at nine",
        "why": "cannot read 'meet me at nine' 明天九点 from 13800001001",
        "count": 3,
        "good": True,
        "host": "192.0.2.1",
        "words": "meet me at nine",
        "failure": (
            "Traceback (most recent call last):\n"
            '  File "/opt/smsgw/lib/smsgw/x.py", line 7, in send\n'
            "    text = 'meet me at nine'\n"
            "smsgw.errors.ValidationError: text: meet me at nine\n"
        ),
        "nested": {"text": "meet me at nine"},
    }
    clean = json.loads(redactor.log_line(json.dumps(line, ensure_ascii=False)))
    assert clean == {
        "time": "2026-11-22T08:00:00.000+00:00",
        "level": "warn",
        "event": "link.unbound",
        "from": "smsgw.transport.link.Link",
        "link": "cmcc",
        "text": "(15 characters)",
        "why": "cannot read … … from 138****1001",
        "count": 3,
        "good": True,
        "host": "192.0.2.1",
        "words": "(15 characters)",
        "failure": [
            'File "/opt/smsgw/lib/smsgw/x.py", line 7, in send',
            "smsgw.errors.ValidationError",
        ],
        "nested": "***",
    }


@pytest.mark.parametrize("line", ["", "plain words", "[1]", "{broken", '"meet me at nine"'])
def test_what_is_no_line_of_ours_is_left_out(redactor: Redactor, line: str) -> None:
    assert redactor.log_line(line) == ""
