"""The public names, pinned: one more or one less is a decision, and goes into the news. All have docstrings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import natsroute

PACKAGE = Path(natsroute.__file__).parent

PUBLIC = ["Event", "EventRoutes", "NatsrouteService", "Settings", "__version__"]


def undocumented(tree: ast.Module) -> Iterator[str]:
    """
    The public classes, functions and methods of a module that nothing describes.

    A property may be described by ``:ivar`` in its class, a method by the interface that it is there for: one in the
    same module, or one of Twisted's, which are in camelCase.
    """
    interfaces = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and "Interface" in map(ast.unparse, node.bases)
    ]
    described = {node.name for interface in interfaces for node in _definitions(interface) if ast.get_docstring(node)}
    for node in _definitions(tree):
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef):
            members = _definitions(node)
            by_others = set(re.findall(r":ivar (\w+):", ast.get_docstring(node) or "")) | described
            by_others |= {member.name for member in members if ast.get_docstring(member)}  # a setter by its property
            for member in members:
                of_twisted = member.name != member.name.lower()
                if not (ast.get_docstring(member) or of_twisted or member.name in by_others):
                    yield f"{node.name}.{member.name}"


def _definitions(parent: ast.Module | ast.ClassDef) -> list[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """What is defined there under a public name."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in parent.body if isinstance(node, kinds) and not node.name.startswith("_")]


class ExportsTests(SynchronousTestCase):
    """What ``from natsroute import`` gives."""

    def test_names(self) -> None:
        """These and no others."""
        self.assertEqual(sorted(natsroute.__all__), PUBLIC)

    def test_star(self) -> None:
        """Each of them is there."""
        for name in natsroute.__all__:
            self.assertTrue(hasattr(natsroute, name), name)

    def test_documented(self) -> None:
        """Each of them says what it is, in words of its own."""
        for name in natsroute.__all__:
            if name != "__version__":
                self.assertTrue((vars(getattr(natsroute, name)).get("__doc__") or "").strip(), name)


class DocstringTests(SynchronousTestCase):
    """Each module, and each public class, function and method in it, has a docstring."""

    def test_modules(self) -> None:
        """The first thing in a file says what is in it."""
        missing = [
            str(path.relative_to(PACKAGE))
            for path in sorted(PACKAGE.rglob("*.py"))
            if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        ]
        self.assertEqual(missing, [])

    def test_definitions(self) -> None:
        """The first line of each says what it does."""
        missing = [
            f"{path.relative_to(PACKAGE)}: {name}"
            for path in sorted(PACKAGE.rglob("*.py"))
            for name in undocumented(ast.parse(path.read_text(encoding="utf-8")))
        ]
        self.assertEqual(missing, [])

    def test_sees_what_is_missing(self) -> None:
        """Classes, functions and methods; but not what is private, of Twisted's, or described elsewhere."""
        source = """
class Interface(Protocol): "..."
class Lane(Interface):
    "..."
    def take(self): "..."
class Serial:
    ":ivar size: ..."
    def take(self): pass
    def size(self): pass
    def seal(self): '...'
    @seal.setter
    def seal(self, seal): pass
    def dataReceived(self): pass
    def _take(self): pass
    def give(self): pass
def function(): pass
def _private(): pass
class Bare: pass
"""
        self.assertEqual(list(undocumented(ast.parse(source))), ["Serial.give", "function", "Bare"])
