"""natsroute.kamailio.kemi.attempt"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.attempt import attempt
from natsroute.kamailio.kemi.scripts import read_script
from tests.support.garbage import left_in_cycles
from tests.support.kemi_scripts import ScriptCase

PUBLISHES = """\
import sys, threading
import KSR

seen = sys.modules["tests.test_kemi_attempt"].seen

def mod_init():
    KSR.info("here\\n")
    seen.extend([KSR.nats.publish("a", "b"), KSR.nats.request("a", "b"), KSR.pv.get("$sht(n=>x)")])
    seen.append(threading.current_thread() is threading.main_thread())
    return Routes()

class Routes:
    def child_init(self, rank):
        seen.append("child_init")

    def on_event(self, msg, evname):
        seen.append("on_event")
"""


#: What the script has seen.
seen: list[Any] = []


class AttemptTests(ScriptCase):
    """A script is loaded, and nothing leaves it."""

    def attempt(self, source: str, suffix: str = ".py") -> None:
        attempt(read_script(self.script(source, suffix), "on_event"), self.service)

    def test_python(self) -> None:
        """What it publishes goes nowhere, nobody answers, and neither the callback nor child_init is called."""
        seen.clear()
        modules = set(sys.modules)
        self.attempt(PUBLISHES)
        self.assertEqual(seen, [1, None, 0, False])
        self.assertEqual(self.failures, [("KSR.nats.request('a')", "the script is only tried, and nothing is sent")])
        self.assertEqual(set(sys.modules) - modules - {"KSR"}, set())

    def test_lua(self) -> None:
        self.attempt("KSR.nats.publish('a', 'b')\nfunction on_event(evname) KSR.nats.publish('a', 'b') end", ".lua")

    def test_no_cycles(self) -> None:
        """An error goes when nobody has it, and with it the script."""

        def fail() -> None:
            with contextlib.suppress(ScriptError):
                self.attempt("function other() end", ".lua")

        self.assertEqual(left_in_cycles(fail), [])

    def test_errors(self) -> None:
        """They come from its thread: of the script, of its hooks, and about its callback."""
        for source, suffix, line in (
            ("1 / 0", ".py", 1),
            ("import sys\nsys.exit()", ".py", 2),
            (PUBLISHES.replace("KSR.info", "KSR.nothing"), ".py", 7),
            (PUBLISHES.replace("self, msg, evname", "self"), ".py", 16),
            ("function other() end", ".lua", 1),
            ("\nKSR.x.exit()", ".lua", 2),
        ):
            error = self.assertRaises(ScriptError, self.attempt, source, suffix)
            self.assertEqual(error.line, line, str(error))
