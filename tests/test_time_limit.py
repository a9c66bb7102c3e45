"""natsroute.daemon.code.time_limit"""

from __future__ import annotations

import sys
import threading
from queue import SimpleQueue
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.code.time_limit import begin_time_limit, late


def _frame() -> FrameType:
    return sys._getframe()


class TimeLimitTests(SynchronousTestCase):
    """Where code is that is not loaded in time."""

    def test_in_a_file(self) -> None:
        """The innermost line in one of the files that the settings name."""
        inner = eval(compile("\n\ncall()", "/a.py", "eval"), {"call": _frame})
        self.assertEqual(
            late(2.5, ["/b.py", "/a.py"], {1: inner}),
            "/a.py:3:1: it is still busy here after 2.5 s, and was not loaded within that time. "
            "Code must not block while it is loaded",
        )

    def test_elsewhere(self) -> None:
        """As in a module that was imported, or in Lua, whose lines Python does not see."""
        text = "the code was not loaded within 2 s (reload_timeout): it blocks, or something it imports"
        self.assertEqual(late(2, ["/b.py"], {1: _frame()}), text)
        self.assertEqual(late(2, ["/b.lua"], {1: _frame()}), f"/b.lua:1:1: {text}")

    def test_wait(self) -> None:
        """In a thread."""
        found: SimpleQueue[tuple[str, bool]] = SimpleQueue()
        main = threading.current_thread()
        begin_time_limit(0, [], lambda text: found.put((text, threading.current_thread() is main)))
        text, is_main = found.get(timeout=120)
        self.assertIn("within 0 s", text)
        self.assertFalse(is_main)
