"""The modules of the checkout and what they import, read from their source. Nothing is imported to find out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

from tests.support import ROOT

#: The folders with modules.
TOPS = ("natsroute", "tests", "benchmarks", "examples")


@attrs.frozen
class Import:
    """
    One imported name. ``from natsroute.errors import SettingError`` has both a module and a name.

    :ivar at_import: whether it happens when the importing module is imported: neither in a function nor only for type
        checkers.
    """

    module: str
    name: str = ""
    at_import: bool = True
    in_function: bool = False


@cache
def modules(*tops: str) -> dict[str, Path]:
    """All modules of these folders by name; default: all :data:`TOPS`."""
    found = {}
    for top in tops or TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> list[Import]:
    """All imports of a file, wherever they stand in it."""
    return list(imports_of(path.read_text(encoding="utf-8")))


def imports_of(source: str) -> Iterator[Import]:
    """
    All imports of a source text.

    :raises AssertionError: it has a relative import.
    """
    return _walk(ast.parse(source), at_import=True, in_function=False)


def _walk(node: ast.AST, *, at_import: bool, in_function: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, at_import=at_import, in_function=in_function)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise AssertionError(f"line {node.lineno}: a relative import; name the module in full")
        for alias in node.names:
            module = f"{node.module}.{alias.name}"
            if module in modules():  # "from natsroute import payloads"
                yield Import(module, at_import=at_import, in_function=in_function)
            else:
                yield Import(str(node.module), alias.name, at_import=at_import, in_function=in_function)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_import, in_function = False, True
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from _walk(child, at_import=False, in_function=in_function)
        for child in node.orelse:
            yield from _walk(child, at_import=at_import, in_function=in_function)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, at_import=at_import, in_function=in_function)
