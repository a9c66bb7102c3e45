"""natsroute.kamailio.cfg.conditions"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.conditions import Conditions
from natsroute.kamailio.cfg.source import Position

HERE = Position("k.cfg", 3, 1)


class ConditionsTests(SynchronousTestCase):
    """Nested conditions."""

    def test_nested(self) -> None:
        """All must hold, and #!else changes the innermost one only."""
        conditions = Conditions()
        seen = [conditions.skipping]
        for step in (
            lambda: conditions.open(True, HERE, "#!ifdef A"),
            lambda: conditions.open(False, HERE, "#!ifdef B"),
            conditions.otherwise,
            conditions.otherwise,
            lambda: conditions.close(HERE),
            conditions.otherwise,
            lambda: conditions.open(True, HERE, "#!ifdef C"),
            lambda: conditions.close(HERE),
            lambda: conditions.close(HERE),
        ):
            step()
            seen.append(conditions.skipping)
        self.assertEqual(seen, [False, False, True, False, True, False, True, True, True, False])
        conditions.check_closed()

    def test_without_condition(self) -> None:
        """#!else alone counts for nothing, #!endif alone is an error."""
        conditions = Conditions()
        self.assertFalse(conditions.otherwise())
        error = self.assertRaises(ScriptError, conditions.close, HERE)
        self.assertEqual((error.line, error.problem), (3, "#!endif without #!ifdef"))

    def test_not_closed(self) -> None:
        """The innermost one is named, and an #!endif that counts as a comment."""
        conditions = Conditions()
        conditions.open(True, Position("k.cfg", 1, 1), "#!ifdef A")
        conditions.open(True, HERE, "#!ifndef B")
        error = self.assertRaises(ScriptError, conditions.check_closed)
        self.assertEqual((error.line, error.problem), (3, "#!ifndef B is never closed by #!endif"))
        self.assertNotIn("comment", error.remedy)
        conditions.saw_in_comment(Position("k.cfg", 5, 2))
        conditions.saw_in_comment(Position("k.cfg", 6, 2))
        error = self.assertRaises(ScriptError, conditions.check_closed)
        self.assertIn("what stands at k.cfg:5:2 counts as a comment", error.remedy)
