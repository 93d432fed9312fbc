"""``[requests]``: how replies to requests are read, beyond what is built in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from smsgw.daemon.sections import Section
from smsgw.daemon.settings import Requests
from smsgw.errors import ConfigError
from smsgw.services.questions import with_words
from smsgw.services.requests.presets import PRESETS, Preset


def read_requests(section: Section) -> Requests:
    """Return the settings, and the presets with the words that the file adds to them."""
    accept = section.flag("accept_lost_extension")
    tables = section.section("words")
    section.finish()
    presets, words = {}, {}
    for name, preset in PRESETS.items():
        table = tables.section(name)
        own = {one.key: table.texts(one.key) for one in preset.choices if table.has(one.key)}
        table.finish()
        presets[name] = _with_words(preset, own, table)
        if own:
            words[name] = own
    tables.finish()
    return Requests(accept_lost_extension=accept, words=words, presets=presets)


def shown_requests(settings: Requests) -> dict[str, Any]:
    """Return the settings, JSON-ready, as they can be written."""
    words = {
        preset: {key: list(texts) for key, texts in keys.items()}
        for preset, keys in settings.words.items()
    }
    return {"accept_lost_extension": settings.accept_lost_extension, "words": words}


def _with_words(preset: Preset, words: Mapping[str, Sequence[str]], table: Section) -> Preset:
    """Return a preset with these words: one after the other, so that each mistake is told."""
    question = preset.question
    for key, texts in words.items():
        for place, word in enumerate(texts):
            try:
                question = with_words(question, {key: [word]}, table.path)
            except ConfigError as error:
                table.add(f"{key}[{place}]", f"{word[:40]!r} {error.problem}")
    return dataclasses.replace(preset, question=question)
