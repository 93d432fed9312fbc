"""A CSV file of recipients, read."""

from __future__ import annotations

import pytest

from smsgw.errors import ValidationError
from smsgw.interfaces.cli.sheet import read_sheet
from smsgw.text.template import Template

CSV = '姓名,手机号,金额\r\n张三,13800001234,"1,200"\r\n\r\n李四,+86 189 0000 1234,80\r\n'
TEXT = Template("您好 {姓名}，应缴 {金额} 元 {{请勿回复}}")


@pytest.mark.parametrize(
    ("octets", "encoding"),
    [
        (CSV.encode(), "utf-8"),
        (CSV.encode("utf-8-sig"), "utf-8"),
        (CSV.encode("gb18030"), "gb18030"),
        (CSV.replace('"1,200"', '"1,200"').replace("\r\n", "\n").encode(), "utf-8"),
    ],
)
def test_rows_become_texts_in_either_encoding(octets: bytes, encoding: str) -> None:
    sheet = read_sheet(octets, TEXT)
    assert (sheet.encoding, sheet.to_column, list(sheet.bad)) == (encoding, "手机号", [])
    assert [(row.line, row.to, row.text, row.parts) for row in sheet.rows] == [
        (2, "13800001234", "您好 张三，应缴 1,200 元 {请勿回复}", 1),
        (4, "18900001234", "您好 李四，应缴 80 元 {请勿回复}", 1),
    ]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_tabs_and_semicolons_separate_as_well(delimiter: str) -> None:
    octets = f"name{delimiter}to\na,b{delimiter}13800001234\n".encode()
    assert read_sheet(octets, Template("{name}")).rows[0].text == "a,b"


def test_a_row_is_named_by_the_line_it_begins_on() -> None:
    octets = b'name,to\n"two\nlines",13800001234\nx,12\n'
    sheet = read_sheet(octets, Template("{name}"))
    assert [row.line for row in sheet.rows] == [2]
    assert [bad.line for bad in sheet.bad] == [4]


def test_every_bad_row_is_found_with_its_reason() -> None:
    octets = (
        b"name,to\n"
        b"a,13800001234\n"
        b",13800001235\n"
        b"b,1.38E+10\n"
        b"c\n"
        b"d,13800001236,more\n"
        b"a,13800001234\n"
        b"z,13800001234\n"
    )
    sheet = read_sheet(octets, Template("hi {name}"))
    assert [row.line for row in sheet.rows] == [2, 8]
    assert [str(bad).partition(";")[0] for bad in sheet.bad] == [
        "line 3: name: is empty",
        "line 4: to: '1.38E+10' is not a mainland mobile number",
        "line 5: to: '' is not a mainland mobile number",
        "line 6: row: has 3 cells for 2 columns",
        "line 7: to: the same number and text as line 2",
    ]


@pytest.mark.parametrize(
    ("octets", "template", "to_column", "problem"),
    [
        (b"", "x", None, "--file: has no line with the names"),
        (b"13800001234\n", "x", None, "--file: line 1 has a phone number"),
        (b"to,a,a\n", "x", None, "--file: two columns are called a"),
        (b"who,nr\n", "x", None, "--to-column: say which column has the numbers, of who, nr"),
        (b"to,phone\n", "x", None, "--to-column: say which"),
        (b"to\n", "x", "nr", "--to-column: 'nr' is no column; there are to"),
        (b"to\n", "{name}", None, "--template: {name} is no column; there are to"),
        (b"to\n\xff\xff\xff\n", "x", None, "--file: is no text in UTF-8 or GB18030"),
        ("to\n".encode("utf-16"), "x", None, "--file: is UTF-16; save it as CSV in UTF-8"),
        (b"to\n\0\n", "x", None, "--file: is no text"),
        (b'to\n"' + b"1" * 200_000, "x", None, "--file: is no CSV from line 2 on"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    octets: bytes, template: str, to_column: str | None, problem: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        read_sheet(octets, Template(template), to_column)
    assert str(caught.value).startswith(problem)


def test_a_column_of_any_name_may_have_the_numbers() -> None:
    sheet = read_sheet("联系方式\n13800001234\n".encode(), Template("x"), "联系方式")
    assert [row.to for row in sheet.rows] == ["13800001234"]
