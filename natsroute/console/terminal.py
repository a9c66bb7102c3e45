"""
Shows pages: with rich in a terminal, if it is installed, or else as plain text.

Received text is escaped, so that it cannot control the terminal.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import IO, Any, Protocol

from natsroute.console.pages import Page, Style, Table
from natsroute.text import aligned, printable

_CLEAR = "\x1b[H\x1b[2J"


class Screen(Protocol):
    """Something that pages are shown on."""

    def show(self, page: Page) -> None:
        """Show a page, once."""

    def replace(self, page: Page) -> None:
        """Show a page in place of the last one."""

    def close(self) -> None:
        """Restore the terminal."""


def new_screen(file: IO[str] | None = None, environment: Mapping[str, str] = os.environ) -> Screen:
    """The screen for a file; None: standard output."""
    file = sys.stdout if file is None else file
    if not file.isatty():
        return PlainScreen(file, None)
    if environment.get("TERM", "") not in ("", "dumb"):
        try:
            return RichScreen(file, environment)
        except ImportError:
            pass
    return PlainScreen(file, lambda: shutil.get_terminal_size())


def discard_output() -> None:
    """Nobody reads standard output any more. What Python flushes at its end goes nowhere, and is no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class PlainScreen:
    """
    Plain text.

    :param size: returns the columns and lines of the terminal; None: it is no terminal, and lines may have any length.
    """

    def __init__(self, file: IO[str], size: Any) -> None:
        self._file = file
        self._size = size

    def show(self, page: Page) -> None:
        """Write the page."""
        width = None if self._size is None else self._size().columns
        self._write(plain_lines(page, width))

    def replace(self, page: Page) -> None:
        """Write the page; in a terminal, clear it first, and write no more lines than it has."""
        if self._size is None:
            self._write([*plain_lines(page, None), ""])
            return
        columns, lines = self._size()
        self._file.write(_CLEAR)
        self._write(list(plain_lines(page, columns))[: lines - 1])

    def close(self) -> None:
        """Nothing has to be restored."""

    def _write(self, lines: Any) -> None:
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


class RichScreen:
    """
    Drawn by rich, with colours unless ``NO_COLOR`` is set.

    :param environment: the variables that say what the terminal can do.
    :raises ImportError: rich is not installed.
    """

    def __init__(self, file: IO[str], environment: Mapping[str, str]) -> None:
        from rich.console import Console

        self._console = Console(file=file, highlight=False, markup=False, emoji=False, _environ=environment)
        self._live: Any = None

    def show(self, page: Page) -> None:
        """Draw the page."""
        self._console.print(_drawn(page, self._console.width), end="")

    def replace(self, page: Page) -> None:
        """Draw the page on the whole terminal."""
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
        self._live.update(_drawn(page, self._console.width), refresh=True)

    def close(self) -> None:
        """Leave the whole terminal again."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def plain_lines(page: Page, width: int | None) -> Iterator[str]:
    """
    A page as lines of text.

    :param width: columns of the terminal, or None. A table that is wider is written as a list instead.
    """
    for line in page.lines:
        yield printable(line.text)
    for table in page.tables:
        if table.rows:
            yield ""
            yield table.title
            lines = list(_aligned(table))
            if width is not None and max(map(len, lines)) > width:
                lines = list(as_list(table))
            yield from lines


def _aligned(table: Table) -> Iterator[str]:
    return aligned([table.headings, *([cell.text for cell in row] for row in table.rows)], table.right)


def as_list(table: Table) -> Iterator[str]:
    """The rows of a table below each other, for a narrow terminal: a line for each cell."""
    _, *others = table.headings
    width = max(map(len, others))
    for name, *cells in table.rows:
        yield printable(name.text)
        for heading, cell in zip(others, cells):
            yield f"  {heading:<{width}}  {printable(cell.text)}"


def _drawn(page: Page, width: int) -> Any:
    """A page for rich."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(printable(line.text), style=line.style.value) for line in page.lines]
    for table in page.tables:
        if table.rows:
            parts += [Text(""), Text(table.title, style="bold")]
            if max(map(len, _aligned(table))) > width:
                parts += [Text(line) for line in as_list(table)]
            else:
                parts.append(_drawn_table(table))
    return Group(*parts)


def _drawn_table(table: Table) -> Any:
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=Style.FAINT.value)
    for number, heading in enumerate(table.headings):
        drawn.add_column(heading, justify="right" if number in table.right else "left", no_wrap=True)
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell.text), style=cell.style.value) for cell in row))
    return drawn
