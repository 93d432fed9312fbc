from __future__ import annotations

import pytest

from smsgw.errors import ValidationError
from smsgw.text.template import Template


def test_names_become_variables_and_double_braces_one() -> None:
    template = Template("您好 {name}，{ 金额 } 元 {{勿回}} {name}")
    assert template.names == ["name", "金额"]
    assert template.fill({"name": "张三", "金额": "5"}) == "您好 张三，5 元 {勿回} 张三"
    assert Template("x").fill({}) == "x"


def test_a_variable_is_never_read_as_a_text_again() -> None:
    assert Template("{a}{b}").fill({"a": "{b}", "b": "}}"}) == "{b}}}"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("{name", "a '{' without its partner at character 1; write {{ for itself"),
        ("name}", "a '}' without its partner at character 5; write }} for itself"),
        ("{}", "{} has no name in it; write {NAME}, or {{}}"),
        ("{a{b}", "a '{' without its partner at character 1; write {{ for itself"),
    ],
)
def test_a_text_with_a_lost_brace_is_refused(written: str, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Template(written, "--template")
    assert (caught.value.field, caught.value.problem) == ("--template", problem)


@pytest.mark.parametrize(
    ("variables", "field", "problem"),
    [
        ({"a": "1"}, "variables.b", "is missing; the text has {b}"),
        (
            {"a": "1", "b": "2", "c": "3"},
            "variables.c",
            "is not in the text; variables there: a, b",
        ),
        ({"b": "2", "c": "3"}, "variables.a", "is missing; the text has {a}"),
    ],
)
def test_variables_are_those_of_the_text(
    variables: dict[str, str], field: str, problem: str
) -> None:
    template = Template("{a} {b}")
    template.check({"b": "", "a": ""})
    with pytest.raises(ValidationError) as caught:
        template.check(variables)
    assert (caught.value.field, caught.value.problem) == (field, problem)


def test_no_text_is_made_that_is_too_long_for_any_phone() -> None:
    template = Template("{a}" * 40)
    assert len(template.fill({"a": "x" * 1000})) == 40_000
    with pytest.raises(ValidationError, match=r"^text: 40040 characters .*, limit 40000; shorten"):
        template.fill({"a": "x" * 1001})


def test_a_text_without_names_takes_no_variables() -> None:
    with pytest.raises(ValidationError, match=r"variables\.x: is not in the text; .* none"):
        Template("x").check({"x": "1"})
