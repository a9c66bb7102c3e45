"""What is shown in a terminal, as values: a page has headings and tables, whatever draws it."""

from __future__ import annotations

import enum

import attrs


class Style(enum.Enum):
    """What a text means; a terminal with colours shows it."""

    PLAIN = ""
    GOOD = "green"
    BAD = "red"
    FAINT = "dim"


@attrs.frozen
class Cell:
    """
    A cell of a table, or a line.

    :ivar text: as received; whoever draws it escapes it.
    :ivar right: whether it is aligned at its right end, as numbers are.
    """

    text: str
    style: Style = Style.PLAIN
    right: bool = False


@attrs.frozen
class Table:
    """
    A table.

    :ivar headings: the headings of its columns; the first column names the row.
    :ivar rows: rows of as many cells.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @property
    def right(self) -> set[int]:
        """The columns that are aligned at their right end."""
        return {number for row in self.rows for number, cell in enumerate(row) if cell.right}


@attrs.frozen
class Page:
    """
    A page.

    :ivar lines: lines at its beginning.
    :ivar tables: tables below them. Those without rows are left out.
    """

    lines: tuple[Cell, ...] = ()
    tables: tuple[Table, ...] = ()


def number(value: int | float, style: Style = Style.PLAIN) -> Cell:
    """A cell with a number: whole ones with commas, others with one decimal."""
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:,.1f}", style, right=True)


def count_of_bad(value: int) -> Cell:
    """A cell with the number of things that should not happen."""
    return number(value, Style.BAD if value else Style.PLAIN)


def duration(seconds: float | None) -> Cell:
    """A cell with a time span, such as ``35 ms``, ``2.5 s`` or ``3 h 12 min``; None is shown as ``-``."""
    return Cell("-" if seconds is None else duration_text(seconds), right=True)


def duration_text(seconds: float) -> str:
    """A time span, such as ``35 ms``, ``2.5 s`` or ``3 h 12 min``."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"
