"""``[northbound.PROTOCOL]`` and ``[customers.NAME]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smsgw.daemon.config import Config, ConfigErrors, effective, load
from smsgw.model import MessageClass
from smsgw.protocols.cmpp import CmppAccount
from smsgw.protocols.smpp import SmppAccount

BASE = """
[tokens.oa]
token = "a-token-of-22-letters!"

[links.cmcc]
protocol = "cmpp"
host = "127.0.0.1"
login = "900001"
secret = "s3cr3t"
access_number = "10690001"

[extensions.news]
extension = "90"
account = "news"

[northbound.smpp]
listen = "127.0.0.1:2775"
"""

ACME = """
[customers.acme]
protocol = "smpp"
login = "acme"
secret = "env:SECRET"
extensions = ["80", "81"]
"""

BETA = """
[northbound.cmpp]
[customers.beta]
protocol = "cmpp"
login = "900082"
secret = "env:SECRET"
extensions = ["82"]
account = "shop"
access_number = "10690001"
allow = ["192.0.2.0/24"]
binds = 4
rate = 50
class = "bulk"
window = 32
service_id = "SHOP"
"""


def loaded(tmp_path: Path, *texts: str) -> Config:
    file = tmp_path / "smsgw.toml"
    file.write_text(BASE + "".join(texts))
    return load(file, {"SECRET": "s3cret"})


def problems(tmp_path: Path, *texts: str) -> dict[str, str]:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, *texts)
    return {one.path: one.problem for one in caught.value.problems}


def test_a_customer_has_what_was_agreed(tmp_path):
    config = loaded(tmp_path, ACME, BETA)
    acme, beta = config.northbound.customers
    assert isinstance(acme.login, SmppAccount)
    assert isinstance(beta.login, CmppAccount)
    assert (acme.login.name, acme.login.secret, acme.login.window) == ("acme", "s3cret", 16)
    assert (acme.account, acme.binds, acme.rate, acme.access_numbers) == (
        "acme",
        1,
        0.0,
        ("10690001",),
    )
    assert (beta.account, beta.binds, beta.rate, beta.message_class) == (
        "shop",
        4,
        50.0,
        MessageClass.BULK,
    )
    assert (beta.login.window, beta.login.service_id) == (32, "SHOP")
    assert [str(door.listen) for door in config.northbound.doors] == [
        "127.0.0.1:7890",
        "127.0.0.1:2775",
    ]
    owners = [(one.account, one.extension) for one in config.northbound.services]
    assert owners == [("acme", "80"), ("acme", "81"), ("shop", "82")]


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:2775"])
def test_a_door_for_other_machines_needs_who_may_connect(tmp_path, protocol, listen):
    base = BASE.partition("[northbound.smpp]")[0]
    file = tmp_path / "smsgw.toml"
    file.write_text(base + f'[northbound.{protocol}]\nlisten = "{listen}"\n')
    with pytest.raises(ConfigErrors) as caught:
        load(file)
    (problem,) = str(caught.value).splitlines()
    assert problem.startswith(f"northbound.{protocol}.allow: is missing: {listen} can be reached")
    file.write_text(file.read_text() + 'allow = ["192.0.2.0/24"]\n')
    config = load(file)
    assert [str(one) for one in config.northbound.doors[0].allow] == ["192.0.2.0/24"]


def test_the_effective_values_mask_the_secret(tmp_path):
    shown = effective(loaded(tmp_path, ACME, BETA))
    assert shown["customers"]["acme"]["secret"] == "***"
    assert shown["customers"]["beta"]["window"] == 32
    assert shown["northbound"]["smpp"]["listen"] == "127.0.0.1:2775"
    assert "s3cret" not in str(shown["customers"])


WRONG: list[tuple[str, str, str, str]] = [
    ('"smpp"', '"sgip"', "customers.acme.protocol", "none of"),
    ('["80", "81"]', "[]", "customers.acme.extensions", "is missing"),
    ('["80", "81"]', '["8x"]', "customers.acme.extensions", "other characters than digits"),
    ('["80", "81"]', '["90"]', "customers.acme.extensions", "of extensions.news overlap"),
    ('["80", "81"]', '["82"]', "customers.beta.extensions", "of customers.acme overlap"),
    ('"acme"', '"a-name-of-too-many-letters"', "customers.acme.login", "does not fit"),
    ('extensions = ["80"', 'bind_type = "receiver"\nextensions = ["80"', "customers.acme.bind_type",
     "unknown key"),
    ('extensions = ["80"', 'access_number = "1"\nextensions = ["80"',
     "customers.acme.access_number", "none of ours"),
    ('extensions = ["80"', 'binds = 0\nextensions = ["80"', "customers.acme.binds", "impossible"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path", "problem"), WRONG)
def test_what_is_wrong_names_its_key(tmp_path, old, new, path, problem):
    assert old in ACME
    found = problems(tmp_path, ACME.replace(old, new), BETA)
    assert problem in found[path]


def test_two_customers_need_two_logins(tmp_path):
    other = ACME.replace("customers.acme", "customers.other").replace('["80", "81"]', '["83"]')
    found = problems(tmp_path, ACME, other)
    assert "customers.acme's too" in found["customers.other.login"]


def test_a_customer_without_a_door_could_not_connect(tmp_path):
    found = problems(tmp_path, BETA.replace("[northbound.cmpp]", ""))
    assert "customers.beta could not connect" in found["northbound.cmpp"]


def test_a_door_for_others_needs_to_know_whom(tmp_path):
    door = BETA.replace("[northbound.cmpp]", '[northbound.cmpp]\nlisten = "0.0.0.0:7890"')
    assert "is missing" in problems(tmp_path, door)["northbound.cmpp.allow"]
    taken = BETA.replace("[northbound.cmpp]", '[northbound.cmpp]\nlisten = "127.0.0.1:2775"')
    assert "is taken by" in next(iter(problems(tmp_path, taken).values()))


@pytest.mark.parametrize("plan", ["[conversations]\nprefix = '8'\ndigits = 1\n"])
def test_extensions_of_customers_are_given_to_no_question(tmp_path, plan):
    both = ACME.replace('["80", "81"]', '["8"]')
    found: dict[str, Any] = problems(tmp_path, both, plan)
    assert any("begins with a static one" in one for one in found.values())
