"""natsroute.kamailio.script.functions.xlog"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import Bare, call, compile_call
from tests.support.log_recorder import LogRecorder


class XlogTests(SynchronousTestCase):
    """Lines in the log."""

    def setUp(self) -> None:
        self.recorder = LogRecorder(self)

    def written(self, name: str, *written: Any, result: int = 1, **variables: Value) -> tuple[str, str, str]:
        """The line that a call writes: level here, level of Kamailio, text."""
        self.recorder.events.clear()
        assignments = {f"$var({key})": value for key, value in variables.items()}
        self.assertEqual(call(make_evaluation(b"data", assignments=assignments), name, *written), result)
        (event,) = self.recorder.events
        (line,) = self.recorder.lines()
        return event["log_level"].name, event["kamailio_level"], line

    def test_names(self) -> None:
        """Each function has its level."""
        for name, level, kamailio in (
            ("xdbg", "debug", "L_DBG"),
            ("xinfo", "info", "L_INFO"),
            ("xnotice", "info", "L_NOTICE"),
            ("xwarn", "warn", "L_WARN"),
            ("xerr", "error", "L_ERR"),
            ("xbug", "critical", "L_BUG"),
            ("xcrit", "critical", "L_CRIT2"),
            ("xalert", "critical", "L_ALERT"),
            ("xlog", "error", "L_ERR"),
        ):
            self.assertEqual(self.written(name, "got $natsData\n"), (level, kamailio, "<script>: got data"))

    def test_levels(self) -> None:
        """By name, where the third letter counts; by number; from a variable."""
        for written, level, kamailio in (
            ("L_ALERT", "critical", "L_ALERT"),
            ("L_BUG", "critical", "L_BUG"),
            ("L_CRIT", "critical", "L_CRIT2"),
            ("L_ERR", "error", "L_ERR"),
            ("L_WARN", "warn", "L_WARN"),
            ("L_NOTICE", "info", "L_NOTICE"),
            ("L_INFO", "info", "L_INFO"),
            ("L_DBG", "debug", "L_DBG"),
            ("L_Debug", "debug", "L_DBG"),
            (2, "info", "L_INFO"),
            (-1, "error", "L_ERR"),
            (9, "debug", "L_DBG"),
            (-9, "critical", "L_ALERT"),
            ("$var(level)", "warn", "L_WARN"),
            (Bare("$var(level)"), "warn", "L_WARN"),
        ):
            line = self.written("xlog", written, "text", level=0)
            self.assertEqual(line, (level, kamailio, "<script>: text"))

    def test_level_is_no_number(self) -> None:
        """As in Kamailio, nothing is written, and the result is -1."""
        for value in (b"L_INFO", b"two", None):
            evaluation = make_evaluation(assignments={"$vn(level)": value})
            self.assertEqual(call(evaluation, "xlog", "$vn(level)", "text"), -1)
        self.assertEqual(self.recorder.events, [])

    def test_position(self) -> None:
        """The names with an l show the position; fields have it always."""
        self.assertEqual(self.written("xlogl", "text"), ("error", "L_ERR", "<script>: kamailio.cfg:7:5: text"))
        self.assertEqual(self.written("xlogl", "L_WARN", "text")[2], "<script>: kamailio.cfg:7:5: text")
        self.assertEqual(self.written("xdbgl", "text"), ("debug", "L_DBG", "<script>: kamailio.cfg:7:5: text"))
        self.written("xinfo", "text")
        (event,) = self.recorder.events
        self.assertEqual((event["position"], event["route"]), ("kamailio.cfg:7:5", "nats:Kamailio-World"))

    def test_facility(self) -> None:
        """It is a field of the line."""
        for name in ("xlog", "xlogl"):
            self.written(name, "LOG_LOCAL0", "L_INFO", "text")
            self.assertEqual(self.recorder.events[0]["facility"], "LOG_LOCAL0")

    def test_text(self) -> None:
        """What was received cannot forge a line, nor control a terminal; line ends at the end are left out."""
        self.assertEqual(
            self.written("xinfo", "a\nb $var(x) $null $(var(x){s.int})\r\n\n", x=b"\x1b[1m\xff")[2],
            "<script>: a\\nb \\x1b[1m\\xff <null> ",
        )

    def test_xlogm(self) -> None:
        """Writes nothing without a filter."""
        self.assertEqual(call(make_evaluation(), "xlogm", "L_ERR", "text"), 1)
        self.assertEqual(self.recorder.events, [])

    def test_core(self) -> None:
        """``log`` does not expand; its level is a number."""
        self.assertEqual(self.written("log", "$rm\n"), ("debug", "L_DBG", "<script>: $rm"))
        self.assertEqual(self.written("log", -1, "$rm"), ("error", "L_ERR", "<script>: $rm"))

    def test_errors(self) -> None:
        """At the start."""
        for name, *written in (
            ("xlog", "INFO_", "text"),
            ("xlog", "", "text"),
            ("xlog", "$nothing", "text"),
            ("xlog", "L_INFO", "$nothing"),
            ("xlog", "LOG_NOWHERE", "L_INFO", "text"),
            ("xlogm", "?", "text"),
            ("xinfo", "$nothing"),
            ("log", "L_INFO", "text"),
            ("log", Bare("$var(x)")),
        ):
            with self.assertRaises(ScriptError, msg=str(written)):
                compile_call(name, *written)  # type: ignore[arg-type]
