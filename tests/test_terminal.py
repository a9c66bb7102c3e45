"""natsroute.console.terminal"""

from __future__ import annotations

import io
import os
import re
import sys
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from natsroute.console.overview_pages import status_page
from natsroute.console.pages import Cell, Page, Style, Table, number
from natsroute.console.terminal import PlainScreen, RichScreen, new_screen, plain_lines
from tests.support.console_case import HOSTILE, sample_overview

PAGE = Page(
    (Cell("ready", Style.GOOD),),
    (
        Table("One", ("name", "count"), ((Cell("a"), number(1)), (Cell("long"), number(1234)))),
        Table("Empty", ("name",), ()),
    ),
)


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


class ScreenTests(SynchronousTestCase):
    """Which screen is used."""

    def test_no_terminal(self) -> None:
        """In a pipe or a file: plain text of any width."""
        file = io.StringIO()
        new_screen(file, {"TERM": "xterm"}).show(status_page(sample_overview()))
        self.assertNotIn("\x1b", file.getvalue())
        self.assertGreater(max(map(len, file.getvalue().splitlines())), 80)

    def test_terminal(self) -> None:
        self.assertIsInstance(new_screen(Terminal(), {"TERM": "xterm"}), RichScreen)
        for term in ("dumb", ""):
            self.assertIsInstance(new_screen(Terminal(), {"TERM": term}), PlainScreen)

    def test_without_rich(self) -> None:
        """It is not needed."""
        with mock.patch.dict(sys.modules, {"rich.console": None}):
            self.assertIsInstance(new_screen(Terminal(), {"TERM": "xterm"}), PlainScreen)


class PlainTests(SynchronousTestCase):
    """Plain text."""

    def test_table(self) -> None:
        """Numbers at the right; no empty tables."""
        self.assertEqual(
            list(plain_lines(PAGE, None)), ["ready", "", "One", "name  count", "a         1", "long  1,234"]
        )

    def test_narrow(self) -> None:
        """A table that does not fit becomes a list."""
        self.assertEqual(list(plain_lines(PAGE, 11)), list(plain_lines(PAGE, None)))
        self.assertEqual(list(plain_lines(PAGE, 10))[3:], ["a", "  count  1", "long", "  count  1,234"])

    def test_hostile(self) -> None:
        page = Page((Cell(HOSTILE),), (Table("T", ("name", "x"), ((Cell(HOSTILE), Cell(HOSTILE)),)),))
        for width in (None, 5):
            for line in plain_lines(page, width):
                self.assertTrue(line.isprintable(), line)

    def test_replace(self) -> None:
        """In a terminal, the page begins at the top, and has no more lines than the terminal."""
        file = io.StringIO()
        PlainScreen(file, lambda: os.terminal_size((80, 4))).replace(PAGE)
        self.assertEqual(file.getvalue(), "\x1b[H\x1b[2Jready\n\nOne\n")
        file = io.StringIO()
        PlainScreen(file, None).replace(PAGE)
        self.assertEqual(file.getvalue().splitlines(), [*plain_lines(PAGE, None), ""])


class RichTests(SynchronousTestCase):
    """With rich."""

    def drawn(self, page: Page, **environment: str) -> str:
        """What is written to a terminal."""
        file = Terminal()
        RichScreen(file, {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "50", **environment}).show(page)
        return file.getvalue()

    def text(self, page: Page, **environment: str) -> str:
        """The same without styles."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.drawn(page, **environment))

    def test_colours(self) -> None:
        self.assertIn("\x1b[32mready\x1b[0m", self.drawn(PAGE))
        self.assertIn("ready\n", self.drawn(PAGE, NO_COLOR="1"))
        self.assertNotIn("[32m", self.drawn(PAGE, NO_COLOR="1"))

    def test_same_text(self) -> None:
        """As in plain text, but for its styles."""
        drawn = self.text(status_page(sample_overview()), COLUMNS="200")
        plain = "\n".join(plain_lines(status_page(sample_overview()), 200))
        self.assertEqual(drawn.split(), plain.split())

    def test_narrow(self) -> None:
        """Nothing is cut off."""
        drawn = self.text(status_page(sample_overview()), COLUMNS="40")
        for text in ("dead-lettered", "1,234", "nats://127.0.0.1:1"):
            self.assertIn(text, drawn)
        self.assertLessEqual(max(map(len, drawn.splitlines())), 40)

    def test_hostile(self) -> None:
        """What was received neither controls the terminal nor is read as rich's markup."""
        text = f"{HOSTILE}[red]:smile:"
        page = Page((Cell(text),), (Table("T", ("name", "x"), ((Cell(text), Cell(text)),)),))
        drawn = self.text(page)
        self.assertEqual(drawn.count("a\\x1b[2J\\u202eb\\nc[red]:smile:"), 3)

    def test_replace(self) -> None:
        """It uses another screen of the terminal, and leaves it again."""
        file = Terminal()
        screen = RichScreen(file, {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "20"})
        screen.replace(PAGE)
        screen.replace(PAGE)
        self.assertEqual(file.getvalue().count("\x1b[?1049h"), 1)
        self.assertNotIn("\x1b[?1049l", file.getvalue())
        screen.close()
        screen.close()
        self.assertEqual(file.getvalue().count("\x1b[?1049l"), 1)
