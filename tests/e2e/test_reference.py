"""The generated reference: every public name says what it is, and all of it can be built."""

from __future__ import annotations

import importlib.util
import inspect
import json
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def load() -> Any:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load()


def names(module: ModuleType) -> list[str]:
    """What a module has for others."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if name != "__version__"]
    return [
        name
        for name, one in vars(module).items()
        if not name.startswith("_") and getattr(one, "__module__", "") == module.__name__
    ]


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """What a class of ours says it can."""
    for name, one in vars(kind).items():
        called = inspect.isfunction(one) or isinstance(
            one, property | cached_property | staticmethod | classmethod
        )
        if called and not name.startswith("_"):
            yield name, one


def unexplained(module: ModuleType) -> list[str]:
    found = []
    for name in names(module):
        one = getattr(module, name)
        ours = inspect.isclass(one) or inspect.isfunction(one)
        if ours and not inspect.getdoc(one):
            found.append(name)
        if inspect.isclass(one) and one.__module__.startswith("smsgw."):
            found += [
                f"{name}.{member}"
                for member, _ in members(one)
                if not any(
                    inspect.getdoc(vars(base)[member])
                    for base in one.__mro__
                    if member in vars(base)
                )
            ]
    return found


@pytest.mark.parametrize("name", build.MODULES)
def test_every_public_name_says_what_it_is(name: str) -> None:
    module = import_module(name)
    assert module.__doc__
    assert unexplained(module) == []


def test_what_says_nothing_is_found() -> None:
    module = ModuleType("bare")
    code = "class Bare:\n    '''Says something.'''\n    def does(self): pass\ndef bare(): pass\n"
    exec(code, vars(module))
    for one in (module.Bare, module.bare):
        one.__module__ = "smsgw.bare"
    vars(module)["__all__"] = ["Bare", "bare"]
    assert unexplained(module) == ["Bare.does", "bare"]


@pytest.mark.long
def test_the_reference_is_built_without_a_warning(tmp_path: Path) -> None:
    build.main(tmp_path)
    for name in build.MODULES:
        assert (tmp_path / (name.replace(".", "/") + ".html")).is_file(), name
    client = (tmp_path / "smsgw" / "client.html").read_text("utf-8")
    assert 'id="Client.send"' in client
    assert "smsgw.client.core" not in client  # calls are shown as people make them
    document = json.loads((tmp_path / "openapi.json").read_bytes())
    page = (tmp_path / "http.html").read_text("utf-8")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in page
            assert f'id="{operation["operationId"]}"' in page
    for name in document["components"]["schemas"]:
        assert f'id="{name}"' in page
