"""Builds the reference as HTML: ``make docs`` leaves it in ``build/docs``.

The Python part comes from the docstrings of the public modules, by pdoc. The HTTP part comes from a
gateway that is started for it, so it cannot say anything else than ``/openapi.json``.
"""

from __future__ import annotations

import html
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pdoc

from smsgw.testing import Simulation

MODULES = (
    "smsgw",
    "smsgw.errors",
    "smsgw.model",
    "smsgw.protocols",
    "smsgw.protocols.cmpp",
    "smsgw.protocols.smgp",
    "smsgw.protocols.sgip",
    "smsgw.protocols.smpp",
    "smsgw.text",
    "smsgw.text.charset",
    "smsgw.text.gsm7",
    "smsgw.text.segmentation",
    "smsgw.text.udh",
    "smsgw.transport.link",
    "smsgw.client",
    "smsgw.client.webhooks",
    "smsgw.testing",
)
"""What a program may rely on."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>smsgw: HTTP API</title><style>
body {{ max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui; }}
code {{ background: #8882; padding: 0 .2em; }}
table {{ border-collapse: collapse; margin: .5rem 0; }}
td, th {{ border: 1px solid #8886; padding: .1rem .5rem; text-align: left; vertical-align: top; }}
h3 {{ margin: 2rem 0 0; }}
</style></head><body><h1>smsgw {version}: HTTP API</h1>
<p>From <a href="openapi.json">openapi.json</a>. The
<a href="smsgw.html">Python reference</a> is beside it.</p>
{body}</body></html>
"""


def python(folder: Path) -> None:
    """Write the pages of the public modules; a warning is an error."""
    excluded = [f"!{name}\\." for name in MODULES]
    wanted = [one for pair in zip(MODULES, excluded, strict=True) for one in pair]
    for name in MODULES:
        module = import_module(name)
        for lazy in getattr(module, "__all__", ()):
            setattr(module, lazy, getattr(module, lazy))  # pdoc looks no further
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdoc.pdoc(*wanted, output_directory=folder)


def openapi() -> bytes:
    """Return what a gateway says about itself."""
    with Simulation() as simulation, simulation.gateway() as gateway:
        answer = httpx.get(f"{gateway.url}/openapi.json", trust_env=False)
        return answer.raise_for_status().content


def http(document: dict[str, Any]) -> str:
    """Return the API as a page."""
    schemas = document["components"]["schemas"]
    body: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body += _operation(method, path, operation)
    body.append("<h2>Types</h2>")
    for name, schema in schemas.items():
        body += _type(name, schema)
    return PAGE.format(version=html.escape(document["info"]["version"]), body="\n".join(body))


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    name = html.escape(operation["operationId"])
    yield f'<h3 id="{name}"><code>{method.upper()} {html.escape(path)}</code></h3>'
    said = [operation["summary"] + ".", operation.get("description", "")]
    yield f"<p>{html.escape(' '.join(filter(None, said)))}</p>"
    rows = [
        (one["name"], one["in"], _said(one["schema"]), one.get("description", ""))
        for one in operation["parameters"]
    ]
    content = operation.get("requestBody", {}).get("content", {})
    rows += [("", "body", _said(one["schema"]), kind) for kind, one in content.items()]
    yield from _table(("parameter", "in", "type", ""), rows)
    answers = [
        (status, answer.get("description", "a problem"), _kinds(answer))
        for status, answer in operation["responses"].items()
    ]
    yield from _table(("status", "", "type"), answers)


def _kinds(answer: dict[str, Any]) -> str:
    found = [_said(one["schema"]) for one in answer.get("content", {}).values()]
    return ", ".join(found) or '<a href="#Problem">Problem</a>'


def _type(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{name}">{name}</h3><p>{html.escape(schema.get("description", ""))}</p>'
    required = schema.get("required", ())
    rows = [
        (key, _said(one), "required" if key in required else _default(one))
        for key, one in schema.get("properties", {}).items()
    ]
    yield from _table(("field", "type", ""), rows)


def _default(schema: dict[str, Any]) -> str:
    return html.escape(f"default {schema['default']!r}") if "default" in schema else ""


def _said(schema: dict[str, Any]) -> str:
    """Return a schema in a few words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_said(one) for one in schema[key])
    if "enum" in schema:
        return html.escape(", ".join(map(str, schema["enum"])))
    if schema.get("type") == "array":
        return f"list of {_said(schema['items'])}"
    if properties := schema.get("properties"):
        return "; ".join(f"<code>{key}</code>: {_said(one)}" for key, one in properties.items())
    kinds = schema.get("type", "anything")
    said = " or ".join(kinds) if isinstance(kinds, list) else kinds
    limits = [f"{key} {schema[key]}" for key in schema if key not in ("type", "default", "title")]
    return html.escape(", ".join([said, *limits]))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table of cells that are HTML already."""
    if rows:
        yield "<table><tr>" + "".join(f"<th>{one}</th>" for one in columns) + "</tr>"
        yield from ("<tr>" + "".join(f"<td>{one}</td>" for one in row) + "</tr>" for row in rows)
        yield "</table>"


def main(folder: Path) -> None:
    """Write the whole reference into a folder."""
    python(folder)
    document = openapi()
    (folder / "openapi.json").write_bytes(document)
    (folder / "http.html").write_text(http(json.loads(document)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]))
