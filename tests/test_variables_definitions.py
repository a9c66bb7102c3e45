"""natsroute.kamailio.variables.definitions"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.tables import HashTable
from natsroute.kamailio.variables import VARIABLES, message, script, sip, surroundings
from tests.support.expressions import evaluate, make_evaluation


class TableTests(SynchronousTestCase):
    """All variables."""

    def test_none_hides_another(self) -> None:
        """Each name is in one module only."""
        modules = (message, script, sip, surroundings)
        self.assertEqual(sum(len(module.VARIABLES) for module in modules), len(VARIABLES))


class IndexTests(SynchronousTestCase):
    """What stands in square brackets."""

    def value(self, index: str) -> object:
        evaluation = make_evaluation()
        evaluation.own.avps[b"a"] = [1, 2, 3]
        evaluation.consumer.var.update({b"n": 1, b"text": b"1"})
        return compile_expression(f"$(avp(a)[{index}])").evaluate(evaluation)

    def test_numbers(self) -> None:
        """From the newest, and from the oldest."""
        found = [self.value(index) for index in ("0", "1", "2", "3", "-1", "-3", "-4")]
        self.assertEqual(found, [3, 2, 1, None, 1, 3, None])

    def test_variable(self) -> None:
        """A variable that holds a number, which digits in a string are not."""
        self.assertEqual(self.value("$var(n)"), 2)
        self.assertRaises(EvaluationError, self.value, "$var(text)")

    def test_refused(self) -> None:
        """Anything else is no index."""
        for index in ("", "a", "1a", "--1", "+", "$var(n)x", "$nope"):
            self.assertRaises(ExpressionError, self.value, index)


class NameTests(SynchronousTestCase):
    """What stands in parentheses."""

    def test_dynamic(self) -> None:
        """A name can be a variable; then it must not be null, and nothing may come behind it."""
        assignments = {"$avp(5)": b"text", "$avp(i:5)": b"number", "$var(t)": b"5", "$var(n)": 5}
        self.assertEqual(evaluate("$avp($var(t))", assignments=assignments), b"text")
        self.assertEqual(evaluate("$avp($var(n))", assignments=assignments), b"number")
        self.assertRaises(EvaluationError, compile_expression("$avp($null)").evaluate, make_evaluation())
        self.assertRaises(ExpressionError, compile_expression, "$avp($var(t)x)")

    def test_one_of_a_few(self) -> None:
        """The error says which there are."""
        error = self.assertRaises(ExpressionError, compile_expression, "$TV(x)")
        self.assertEqual(error.problem, "unknown name 'x'; there are s, u, sn, un, Sn, Fn")

    def test_table_and_key(self) -> None:
        """Blanks around the table do not count, those of the key do."""
        assignments = {"$sht(seen=> key)": 1}
        service = ServiceVariables(tables={b"seen": HashTable()})
        found = evaluate("$sht( seen\t=> key)", service=service, assignments=assignments)
        self.assertEqual(found, 1)
        for text in ("$sht(seen)", "$sht(seen=key)", "$sht(=>key)", "$sht(seen=>)", "$sht(a b=>c)"):
            self.assertRaises(ExpressionError, compile_expression, text)
