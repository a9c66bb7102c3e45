"""The public names, pinned: a name more or less is a decision, and needs a news fragment. All have docstrings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_origin

from twisted.trial.unittest import SynchronousTestCase

import natsroute

PACKAGE = Path(natsroute.__file__).parent

#: The public modules, and the names in each. natsroute.errors prints its tree, which test_errors compares.
PUBLIC = {
    "natsroute": [
        "Credentials",
        "Endpoint",
        "Event",
        "EventRoutes",
        "KeyValueEvent",
        "NatsrouteService",
        "Reject",
        "RunningService",
        "Settings",
        "__version__",
        "log_observer",
    ],
    "natsroute.kamailio.pua_json": ["pua_json_publish"],
    "natsroute.kamailio.transactions": ["Decision", "SipTransaction", "answer_transactions"],
    "natsroute.middleware": [
        "Middleware",
        "RouteFunction",
        "correlation",
        "dead_letter",
        "deduplicate",
        "message_id",
        "retry",
        "throttle",
        "timeout",
    ],
    "natsroute.testing": ["Acknowledged", "Published", "RouteTester"],
}


def undocumented(tree: ast.Module) -> Iterator[str]:
    """
    The public classes, functions and methods of a module that have no docstring.

    A property may be described by ``:ivar`` in its class, and a method by the interface that it implements: one in the
    same module, or one of Twisted's, whose names are in camelCase.
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
    """The classes and functions in it that have a public name."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in parent.body if isinstance(node, kinds) and not node.name.startswith("_")]


class ExportsTests(SynchronousTestCase):
    """What ``from natsroute import`` and the other public modules give."""

    def test_names(self) -> None:
        """These and no others."""
        self.assertEqual({module: sorted(import_module(module).__all__) for module in PUBLIC}, PUBLIC)

    def test_star(self) -> None:
        """Each of them is there."""
        for module, names in PUBLIC.items():
            for name in names:
                self.assertTrue(hasattr(import_module(module), name), f"{module}.{name}")

    def test_documented(self) -> None:
        """Each class and function has a docstring. A type alias, such as RouteFunction, cannot have one."""
        for module, names in PUBLIC.items():
            for name in names:
                public = getattr(import_module(module), name)
                if callable(public) and get_origin(public) is None:
                    self.assertTrue((public.__doc__ or "").strip(), name)

    def test_import_is_light(self) -> None:
        """No reactor is installed, and the WebSocket library is not imported before it is needed."""
        program = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
        program += "".join(f"import {module}\n" for module in PUBLIC)
        program += "print(sorted({'autobahn', 'twisted.internet.reactor'} & set(sys.modules)))"
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual((ended.stdout.strip(), ended.stderr), ("[]", ""))


class DocstringTests(SynchronousTestCase):
    """Each module, and each public class, function and method in it, has a docstring."""

    def test_modules(self) -> None:
        """Each file begins with a docstring."""
        missing = [
            str(path.relative_to(PACKAGE))
            for path in sorted(PACKAGE.rglob("*.py"))
            if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        ]
        self.assertEqual(missing, [])

    def test_definitions(self) -> None:
        """None is missing."""
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
class Queue(Interface):
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
