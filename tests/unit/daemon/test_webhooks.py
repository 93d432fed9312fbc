from __future__ import annotations

from pathlib import Path

from smsgw.daemon.sections import Problems, Section
from smsgw.daemon.webhooks import read_webhooks, shown_webhooks
from smsgw.services.webhooks.addresses import Rules


def section(**values: object) -> Section:
    return Section(dict(values), "webhooks", Problems(), Path(), {})


def test_nothing_private_is_called_unless_the_file_says_so() -> None:
    assert read_webhooks(section()) == Rules()
    rules = read_webhooks(section(allow=["10.0.0.0/8", "::1"], plain_http=True))
    assert shown_webhooks(rules) == {"allow": ["10.0.0.0/8", "::1/128"], "plain_http": True}
    assert rules.problem("10.1.2.3", "http") == ""


def test_mistakes_are_named() -> None:
    wrong = section(allow=["10.0.0.1/8"], plain_http="yes", https=True)
    read_webhooks(wrong)
    told = [str(error).split(":")[0] for error in wrong.problems.errors]
    assert told == ["webhooks.allow", "webhooks.plain_http", "webhooks.https"]
