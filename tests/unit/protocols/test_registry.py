"""A protocol's name leads to its carrier, or to an error that names the others."""

from __future__ import annotations

import pytest

from smsgw.errors import ConfigError
from smsgw.protocols.registry import CARRIERS, carrier


def test_a_name_leads_to_its_carrier() -> None:
    assert carrier("cmpp") is CARRIERS["cmpp"]
    assert CARRIERS["cmpp"].title == "CMPP (China Mobile)"


def test_an_unknown_name_is_an_error_that_names_the_key_and_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"links\.x\.protocol: 'smtp' is none of cmpp"):
        carrier("smtp", "links.x.protocol")
