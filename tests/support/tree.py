"""
``python -m tests.support.tree`` writes the tree of folders in CONTRIBUTING.md from the code.

The descriptions are the first sentences of docstrings. The order of the folders is the one that the document has; a
folder that is new comes last.
"""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from tests.support import ROOT

DOCUMENT = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- tree: begin -->\n\n```text\n", "```\n\n<!-- tree: end -->\n"

#: The folders, and whether the tree lists their modules.
_TOPS = {"natsroute": True, "tests": False, "benchmarks": True}
_WIDTH, _COLUMN = 118, 20


def tree(before: str) -> str:
    """
    The tree of folders as it is now.

    :param before: the tree that the document has.
    """
    order = re.findall(r"^ *(\S+)/", before, re.MULTILINE)
    return "".join(line for top, detailed in _TOPS.items() for line in _folder(ROOT / top, 0, order, detailed))


def written(document: str) -> str:
    """
    The tree in the text of the document.

    :raises ValueError: the document has no marks.
    """
    return document[document.index(BEGIN) + len(BEGIN) : document.index(END)]


def _folder(folder: Path, depth: int, order: list[str], detailed: bool) -> list[str]:
    lines = [_line(depth, f"{folder.name}/", _description(folder / "__init__.py"))]
    modules = [path for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "__main__")]
    if detailed and depth == 0:
        lines += [_line(1, path.name, _description(path)) for path in modules]
    elif detailed and modules:
        names = textwrap.wrap(", ".join(path.stem for path in modules), _WIDTH - _COLUMN)
        lines += [f"{'':{_COLUMN}}{line}\n" for line in names]
    folders = sorted(path.parent for path in folder.glob("*/__init__.py"))
    for path in sorted(folders, key=lambda path: [*order, path.name].index(path.name)):
        lines += _folder(path, depth + 1, order, detailed)
    return lines


def _line(depth: int, name: str, description: str) -> str:
    first, *rest = textwrap.wrap(description, _WIDTH - _COLUMN)
    return f"{'  ' * depth + name:{_COLUMN - 1}} {first}\n" + "".join(f"{'':{_COLUMN}}{line}\n" for line in rest)


def _description(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].replace("``", "").split())
    return paragraph.partition(". ")[0].rstrip(".:")


def main() -> None:
    """Write the tree into the document."""
    document = DOCUMENT.read_text(encoding="utf-8")
    before = written(document)
    DOCUMENT.write_text(document.replace(BEGIN + before + END, BEGIN + tree(before) + END), encoding="utf-8")


if __name__ == "__main__":
    main()
