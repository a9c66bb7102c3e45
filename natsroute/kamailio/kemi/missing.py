"""Which functions of ``KSR`` a script uses, and which of them natsroute does not have. The script does not run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.kemi.ksr import FUNCTIONS
from natsroute.kamailio.kemi.script_file import read_script_file

#: What only scripts in Lua have.
LUA_FUNCTIONS = frozenset({"x.exit", "x.drop", "x.probe"})

#: What no code is, in Lua: comments and strings, the long ones first.
_NO_CODE = re.compile(
    r"""--\[(?P<comment>=*)\[.*?\](?P=comment)\] | --[^\n]* | \[(?P<string>=*)\[.*?\](?P=string)\]
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE,
)
_USE = re.compile(r"(?<![\w.:])KSR((?:\s*\.\s*[A-Za-z_]\w*)+)")


@attrs.frozen(order=True)
class MissingFunction:
    """
    A function that a script uses and natsroute does not have.

    :ivar position: where it is used first.
    :ivar name: such as ``tm.t_relay``.
    :ivar uses: how often it is used.
    """

    position: Position
    name: str
    uses: int


def missing_functions(path: str) -> list[MissingFunction]:
    """
    The functions that a script uses and natsroute does not have, in the order of their first use.

    :param path: the path of a script in Python (``.py``) or Lua.
    :raises ScriptError: it cannot be read, or has a syntax error that hides what it uses.
    """
    source = read_script_file(path)
    in_python = Path(path).suffix == ".py"
    uses = sorted(_in_python(path, source) if in_python else _in_lua(path, source.decode("utf-8", "surrogateescape")))
    known = FUNCTIONS.keys() if in_python else FUNCTIONS.keys() | LUA_FUNCTIONS
    counts: dict[str, list[Position]] = {}
    for position, name in uses:
        if name not in known and not any(function.startswith(f"{name}.") for function in known):
            counts.setdefault(name, []).append(position)
    return [MissingFunction(positions[0], name, len(positions)) for name, positions in counts.items()]


def _in_python(path: str, source: bytes) -> Iterator[tuple[Position, str]]:
    try:
        tree = ast.parse(source, path)
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1
        raise ScriptError(path, line, column, f"syntax error: {error.args[0]}", "Fix that line") from None
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "KSR"
    }
    inner: set[int] = set()  # attributes that are a part of a longer chain
    for node in ast.walk(tree):  # the outer ones come first
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            parts: list[str] = []
            owner: ast.expr = node
            while isinstance(owner, ast.Attribute):
                parts.append(owner.attr)
                inner.add(id(owner))
                owner = owner.value
            if isinstance(owner, ast.Name) and owner.id in names:
                yield Position(path, owner.lineno, owner.col_offset + 1), ".".join(reversed(parts[-2:]))


def _in_lua(path: str, source: str) -> Iterator[tuple[Position, str]]:
    code = _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    for found in _USE.finditer(code):
        line = code.count("\n", 0, found.start()) + 1
        column = found.start() - (code.rfind("\n", 0, found.start()) + 1) + 1
        parts = re.findall(r"\w+", found[1])
        yield Position(path, line, column), ".".join(parts[:2])
