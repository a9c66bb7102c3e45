"""README and the pages of docs/, taken apart for the tests that check what they say."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.support import ROOT

#: Names that a snippet may use without defining them, each with the definition that a program would have.
PRELUDE = {
    "Event": "from natsroute import Event",
    "event_route": "from natsroute import EventRoutes\nevent_route = EventRoutes()",
    "log": "from twisted.logger import Logger\nlog = Logger()",
    "vault": (
        "class Vault:\n    async def read(self, path: str) -> str:\n        raise NotImplementedError\nvault = Vault()"
    ),
    "write_to_database": "def write_to_database(record: object) -> None:\n    raise NotImplementedError",
}

_FENCE = re.compile(r"^```(?P<language>.*)\n(?P<text>(?:(?!```).*\n)*)```$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@attrs.frozen
class Snippet:
    """
    A fenced block.

    :ivar document: the document's path in the repository, such as ``docs/routes.md``.
    :ivar heading: the heading that it stands under.
    :ivar line: the number of its first line.
    :ivar language: what stands behind the opening fence, or "".
    """

    document: str
    heading: str
    line: int
    language: str
    text: str

    @property
    def source(self) -> str:
        """A Python snippet with the definitions of :data:`PRELUDE` that it needs before it."""
        needed = [PRELUDE[name] for name in sorted(free_names(self.text) & PRELUDE.keys())]
        return "\n".join([*needed, self.text])

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@attrs.frozen
class Document:
    """A Markdown file."""

    name: str
    text: str

    @property
    def snippets(self) -> list[Snippet]:
        """Its fenced blocks, in order."""
        found = []
        for fence in _FENCE.finditer(self.text):
            before = self.text[: fence.start()]
            heading = _HEADING.findall(_FENCE.sub("", before))[-1]
            line = before.count("\n") + 2
            found.append(Snippet(self.name, heading, line, fence["language"], fence["text"]))
        return found

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def code(self) -> list[str]:
        """What the prose has between backticks."""
        return _CODE.findall(self.prose)

    @property
    def links(self) -> list[str]:
        """The targets of its links."""
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link may name behind ``#``, as GitHub makes it from the headings."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.prose)}

    @classmethod
    def read(cls, path: Path) -> Document:
        """The document in a file of the repository."""
        return cls(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


def documents() -> list[Document]:
    """README and all pages of docs/."""
    return [Document.read(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]


def snippets(language: str) -> list[Snippet]:
    """All snippets in a language."""
    return [snippet for document in documents() for snippet in document.snippets if snippet.language == language]


def snippet(document: str, heading: str, language: str = "python", index: int = 0) -> Snippet:
    """A snippet of a language by the heading that it stands under, and its number there."""
    return [one for one in snippets(language) if (one.document, one.heading) == (document, heading)][index]


def tests_of_the_project() -> set[str]:
    """Each test module, test class and test by its full name."""
    names = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        names.add(module)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                names.add(f"{module}.{node.name}")
                methods = (one for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)))
                names.update(f"{module}.{node.name}.{method.name}" for method in methods)
    return names


#: What the prose calls an object, with its type.
_OBJECTS = {"service": "NatsrouteService", "event": "Event", "tester": "RouteTester"}


def prose_source() -> str:
    """A Python module with each expression that the prose has on an object, as ``service.flush()``."""
    found = {code for document in documents() for code in document.code if _object_of(code) in _OBJECTS}
    names = sorted(set().union(*map(free_names, found)) - _OBJECTS.keys())
    parameters = [f"{name}: {kind}" for name, kind in _OBJECTS.items()] + [f"{name}: Any" for name in names]
    return "\n".join(
        [
            "from typing import Any",
            "from natsroute import Event, NatsrouteService",
            "from natsroute.testing import RouteTester",
            f"def prose({', '.join(parameters)}) -> None:",
            *(f"    {code.removesuffix('()')}" for code in sorted(found)),  # there they only mark a function
            "",
        ]
    )


def _object_of(code: str) -> str:
    """``service`` of ``service.connections[0].status()``; empty if the code is no such expression."""
    try:
        node = ast.parse(code, mode="eval").body
    except SyntaxError:
        return ""
    depth = 0
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node, depth = node.func if isinstance(node, ast.Call) else node.value, depth + 1
    return node.id if isinstance(node, ast.Name) and depth else ""


def free_names(source: str) -> set[str]:
    """The names that a piece of Python uses, and neither defines nor has from Python itself."""
    used: set[str] = set()
    defined = set(dir(builtins))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        else:
            defined.update(_names_defined_by(node))
    return used - defined


def _names_defined_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
