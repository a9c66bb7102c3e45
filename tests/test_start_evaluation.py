"""natsroute.kamailio.cfg.start_evaluation"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ExpressionError
from natsroute.kamailio.cfg.start_evaluation import StartEvaluation


class StartEvaluationTests(SynchronousTestCase):
    """Variables without a message."""

    def setUp(self) -> None:
        self.definitions = {b"A": b"5"}
        self.start = StartEvaluation(self.definitions, {"HOME": "/home/ana"})

    def test_values(self) -> None:
        """Definitions and the environment are there, new ones too; the rest is that of a faked message."""
        self.definitions[b"B"] = b"\xff"
        for variable, value in [
            ("$def(A)", "5"),
            ("$def(B)", "\udcff"),
            ("$env(HOME)", "/home/ana"),
            ("$null", None),
            ("$natsData", None),
            ("$natsQueueGroup", None),
            ("$(def(A){s.len})", 1),
            ("$rm", "OPTIONS"),
        ]:
            self.assertEqual(self.start.value(variable), value, variable)
        self.assertRaises(ExpressionError, self.start.value, "$nosuch(x)")

    def test_text(self) -> None:
        """A text with variables in it."""
        self.assertEqual(self.start.text("é $env(HOME)/$def(A)"), "é /home/ana/5")
        self.assertRaises(ExpressionError, self.start.text, "$nosuch(x)")

    def test_substitutions(self) -> None:
        """All rules, in order; one that matches an empty string does nothing."""
        for rule in ("/a/b/g", "/b/$def(A)/", "!x*!y!", "/(5)(b)/\\2\\1/"):
            self.start.add_substitution(rule)
        self.assertEqual(self.start.substituted("aa"), "b5")
        self.assertEqual(self.start.substituted(""), "")
        self.assertEqual(self.start.substituted("\udcffa"), "\udcff5")
        self.assertRaises(ExpressionError, self.start.add_substitution, "/a/")
