"""The form in which a carrier's reports name what its answers named.

Some SMSCs answer a submit with an id in one form and report it in another: in decimal what was
hexadecimal, without its leading zeros, in other letters. Which one a link uses is learned from the
first report that no id fits as it stands, kept in ``report_id_form``, and tried first from then on.
A writing connection knows the forms of all links by heart.
"""

from __future__ import annotations

import re

import msgspec
from sqlalchemy import Connection, event, select

from smsgw.store.schema import report_id_form
from smsgw.store.statements import run

AS_GIVEN = "as given"
OTHER_CASE = "other case"
OTHER_ZEROS = "other leading zeros"
DECIMAL_OF_HEX = "decimal of hex"
HEX_OF_DECIMAL = "hex of decimal"

DIGITS_MAX = 20
"""The widest number that is padded with zeros: 64 bits in decimal."""

CERTAIN_DIGITS = 8
"""Digits an id must have to be looked for in other forms when its report names no phone: what a
shorter one comes to may be another message's by chance."""

_HEX = re.compile(r"[0-9A-Fa-f]{1,40}")
_DECIMAL = re.compile(r"[0-9]{1,40}")
_FORMS = "smsgw.report_id_forms"


class IdForm(msgspec.Struct, frozen=True, array_like=True):
    """How a link's reports spell ids, and how its answers do.

    Attributes:
        name: What a report's id is of the answer's: "decimal of hex".
        width: Digits to which answers pad ids with zeros; 0 = they do not.
        upper: Answers spell letters as capitals.
        report_width: Digits to which reports pad them.
        report_upper: Reports spell letters as capitals.
    """

    name: str
    width: int = 0
    upper: bool = False
    report_width: int = 0
    report_upper: bool = False

    def answered(self, report_id: str) -> str | None:
        """The id an answer gave to what a report names so; None when it cannot be."""
        return _spelled(_value(self.name, report_id), self.width, self.upper)

    def reported(self, answer_id: str) -> str | None:
        """The id by which a report names what an answer named so; None when it cannot be."""
        value = _value(_INVERSE.get(self.name, self.name), answer_id)
        return _spelled(value, self.report_width, self.report_upper)


_INVERSE = {DECIMAL_OF_HEX: HEX_OF_DECIMAL, HEX_OF_DECIMAL: DECIMAL_OF_HEX}
_decoder = msgspec.json.Decoder(IdForm)


def others(report_id: str) -> dict[str, str]:
    """Return every other id that a report's may stand for, with the name of its form.

    The names are in the order in which they are more likely by themselves.
    """
    found: dict[str, str] = {}
    if not report_id.isascii():
        return found
    for name in (OTHER_CASE, OTHER_ZEROS, DECIMAL_OF_HEX, HEX_OF_DECIMAL):
        value = _value(name, report_id)
        if value is None:
            continue
        widths = (0,) if name == OTHER_CASE else (0, *range(len(value) + 1, DIGITS_MAX + 1))
        for width in widths:
            for upper in (False, True):
                found.setdefault(_spelled(value, width, upper) or "", name)
    found.pop(report_id, None)
    return found


def learned(name: str, report_id: str, answer_id: str, known: IdForm | None) -> IdForm:
    """Return the form that this pair shows, beside what is known of the link."""
    width, upper = _spelling(answer_id)
    report_width, report_upper = _spelling(report_id)
    if known is not None and known.name == name:
        # One id shows zeros or letters, another has none: what was seen once stays.
        width, report_width = max(width, known.width), max(report_width, known.report_width)
        upper, report_upper = upper or known.upper, report_upper or known.report_upper
    return IdForm(name, width, upper, report_width, report_upper)


def is_certain(report_id: str) -> bool:
    """Tell whether an id is long enough to be meant by itself."""
    return len(report_id.lstrip("0")) >= CERTAIN_DIGITS


def forms(connection: Connection) -> dict[str, IdForm]:
    """Return the form of each link whose reports do not name ids as they were given."""
    found: dict[str, IdForm] | None = connection.info.get(_FORMS)
    if found is None:
        found = connection.info[_FORMS] = stored(connection)
        for undone in ("rollback", "rollback_savepoint"):
            event.listen(connection, undone, _forget)
    return found


def _forget(connection: Connection, *_: object) -> None:
    """Know nothing by heart that may have been undone."""
    connection.info.pop(_FORMS, None)


def stored(connection: Connection) -> dict[str, IdForm]:
    """Return what is recorded of all links."""
    table = report_id_form.c
    rows = connection.execute(select(table.link, table.form))
    return {row.link: _decoder.decode(row.form) for row in rows}


def remember(connection: Connection, link: str, form: IdForm) -> None:
    """Record a link's form, and try it first from now on."""
    forms(connection)[link] = form
    text = msgspec.json.encode(form).decode()
    changed = run(connection, "UPDATE report_id_form SET form = ? WHERE link = ?", text, link)
    if not changed.rowcount:
        run(connection, "INSERT INTO report_id_form (link, form) VALUES (?, ?)", link, text)


def _value(name: str, text: str) -> str | None:
    """What is the same in both spellings of an id: digits without zeros in front."""
    if name == OTHER_CASE:
        return text
    if name == DECIMAL_OF_HEX:
        return f"{int(text):x}" if _DECIMAL.fullmatch(text) else None
    if not _HEX.fullmatch(text):
        return None
    return str(int(text, 16)) if name == HEX_OF_DECIMAL else text.lstrip("0") or "0"


def _spelled(value: str | None, width: int, upper: bool) -> str | None:
    if value is None:
        return None
    return (value.upper() if upper else value.lower()).zfill(width)


def _spelling(text: str) -> tuple[int, bool]:
    """How many digits zeros fill up, and whether letters are capitals."""
    return (len(text) if text[:1] == "0" else 0), text.isupper()
