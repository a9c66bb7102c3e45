"""natsroute.kamailio.script.functions.pv"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call

#: A value; whether it is set, an integer by ``is_int`` and by ``typeof``, a string, null, not empty.
KINDS: tuple[tuple[str, Value, str], ...] = (
    ("$vn(x)", None, "-----n"),
    ("$vn(x)", 0, "sii---"),
    ("$vn(x)", b"", "s--t--"),
    ("$vn(x)", b"0", "s--te-"),
    ("$var(never)", None, "sii---"),
    ("$rm", None, "si-te-"),
    ("$(vn(x){s.int})", b"12", "sii---"),
    ("$(vn(x){s.int})", b"a", "------"),
)


class VariableTests(SynchronousTestCase):
    """What a variable holds."""

    def evaluation(self, value: Value) -> Evaluation:
        """With a variable of this value."""
        return make_evaluation(assignments={"$vn(x)": value})

    def test_kinds(self) -> None:
        """All questions, for each kind of value."""
        for variable, value, expected in KINDS:
            found = ""
            for letter, name, *more in (
                ("s", "pv_isset"),
                ("i", "is_int"),
                ("i", "typeof", "int"),
                ("t", "typeof", "String"),
                ("e", "not_empty"),
                ("n", "typeof", "NULL"),
            ):
                result = call(self.evaluation(value), name, variable, *more)
                self.assertIn(result, (1, -1))
                found += letter if result == 1 else "-"
            self.assertEqual(found, expected, (variable, value))

    def test_unknown_type(self) -> None:
        """There is none of these."""
        for kind in ("other", "", 5):
            self.assertEqual(call(self.evaluation(1), "typeof", "$vn(x)", kind), -1)

    def test_unset(self) -> None:
        """Nothing happens to what cannot be assigned to."""
        evaluation = self.evaluation(5)
        self.assertEqual(call(evaluation, "pv_unset", "$vn(x)"), 1)
        self.assertEqual(call(evaluation, "pv_unset", "$rm"), 1)
        self.assertEqual(evaluation.consumer.vn, {})

    def test_printf(self) -> None:
        """A format string."""
        evaluation = self.evaluation(5)
        self.assertEqual(call(evaluation, "pv_printf", "$var(y)", "<$vn(x)$null>"), 1)
        self.assertEqual(call(evaluation, "avp_printf", "$avp(y)", "$rm"), 1)
        self.assertEqual(compile_expression("$var(y)").value(evaluation), b"<5<null>>")
        self.assertEqual(compile_expression("$avp(y)").value(evaluation), b"OPTIONS")
        self.assertRaises(ScriptError, compile_call, "pv_printf", "$rm", "x")
