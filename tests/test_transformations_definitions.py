"""natsroute.kamailio.transformations.definitions"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.transformations import CLASSES
from natsroute.kamailio.transformations.definitions import Transformation
from natsroute.kamailio.values import Value
from tests.support.expressions import evaluate, make_evaluation

ASSIGNMENTS: dict[str, Value] = {"$var(n)": 2, "$var(digits)": b"2", "$var(empty)": b"", "$var(text)": b";,"}


class ParameterTests(SynchronousTestCase):
    """How parameters are written."""

    def value(self, transformation: str, payload: bytes = b"a;b,c}d e") -> Value:
        evaluation = make_evaluation(payload, assignments=ASSIGNMENTS)
        return compile_expression(f"$(natsData{{{transformation}}})").evaluate(evaluation)

    def test_numbers(self) -> None:
        """With a sign, with blanks, or from a variable."""
        texts = (
            "s.strip,2",
            "s.strip, 2 ",
            "s.strip,+2",
            "s.strip,+ 2",
            "s.strip,\t2\n",
            "s.strip,$var(n)",
            "s.strip,$(var(n))",
        )
        self.assertEqual([self.value(text) for text in texts], [b"b,c}d e"] * len(texts))
        self.assertEqual(self.value("s.strip,-2"), b"a;b,c}d e")
        self.assertEqual(self.value("s.strip,-"), b"a;b,c}d e")

    def test_number_of_variable(self) -> None:
        """Digits in a string are no number."""
        for text in ("s.strip,$var(digits)", "s.strip,$null"):
            self.assertRaises(EvaluationError, self.value, text)

    def test_wrong_numbers(self) -> None:
        """What is no number is an error at once; so is a negative length."""
        for text in ("s.strip,a", "s.strip,", "s.strip,1a", "s.strip,1 2", "s.substr,0,-1", "s.fmtlines,-1,2"):
            self.assertRaises(ExpressionError, self.value, text)

    def test_texts(self) -> None:
        """Blanks before them do not count, those behind do."""
        self.assertEqual(self.value("s.replace, b, X "), b"a;X ,c}d e")
        self.assertEqual(self.value("s.replace,d e,"), b"a;b,c}")
        self.assertEqual(self.value("s.replace,b\t,X\n"), b"a;X,c}d e")
        self.assertEqual(self.value("s.replace,$var(text),X", b"a;,b"), b"aXb")

    def test_text_of_variable(self) -> None:
        """It must neither be null nor empty; a number is text too."""
        for text in ("s.replace,a,$null", "s.replace,$var(empty),x", "s.before,$var(empty)", "line.sw,$null"):
            self.assertRaises(EvaluationError, self.value, text)
        self.assertEqual(self.value("s.replace,b,$var(n)"), b"a;2,c}d e")

    def test_characters(self) -> None:
        """The first of the text; a comma can be it, nothing is the closing brace."""
        for text, expected in (
            ("s.before,;", b"a"),
            ("s.before,,", b"a;b"),
            ("s.before,cx", b"a;b,"),
            ("s.before,", b"a;b,c"),
            ("s.before,$var(text)", b"a"),
            ("s.stripto,", b"}d e"),
            ("s.stripto,$var(text)", b";b,c}d e"),
            ("s.stripto,b,", None),
        ):
            if expected is None:
                self.assertRaises(ExpressionError, self.value, text)
            else:
                self.assertEqual(self.value(text), expected, text)

    def test_selectors(self) -> None:
        """Any one character, with a few escapes."""
        for text, payload, expected in (
            ("s.select,1,}", b"a}b", b"b"),
            ("s.select,1, ", b"a b", b"b"),
            ("s.select,1,,", b"a,b", b"b"),
            ("s.select,1,\\n", b"a\nb", b"b"),
            ("s.select,1,\\\\", b"a\\b", b"b"),
            ("s.select,1 , ", b"a b", b"b"),
        ):
            self.assertEqual(self.value(text, payload), expected, text)
        for text in ("s.select,1", "s.select,1,", "s.select,1,ab", "s.select,1,\\x", "s.select,,,"):
            self.assertRaises(ExpressionError, self.value, text)

    def test_separators(self) -> None:
        """One character, which is not one of those that have a meaning."""
        self.assertEqual(self.value("param.name,1,&", b"a&b"), b"b")
        self.assertEqual(self.value("param.count,$var(text)", b"a;b"), 2)
        for text in ("param.name,1,", "param.name,1,ab", "param.name,1,,", "param.name,1, ", "param.name,1,$var(text)"):
            self.assertRaises(ExpressionError, self.value, text)


class InputTests(SynchronousTestCase):
    """What transformations are applied to."""

    def test_null(self) -> None:
        """None but ``{val}`` and ``{num}`` takes it."""
        takes_null = []
        for class_name, names in CLASSES.items():
            for name, builder in names.items():
                parameters = getattr(builder, "parameters", ())
                text = f"$(null{{{class_name}.{name}}})"
                if isinstance(builder, Transformation) and len(parameters) == builder.optional:
                    try:
                        compile_expression(text).evaluate(make_evaluation())
                    except EvaluationError:
                        continue
                    takes_null.append(class_name)
        self.assertEqual(set(takes_null), {"val", "num"})

    def test_empty(self) -> None:
        """Those of ``{s}`` take an empty string, those of SIP and lists do not."""
        self.assertEqual(evaluate("$(natsData{s.len})"), 0)
        for text in (
            "uri.user",
            "nameaddr.uri",
            "tobody.uri",
            "param.count",
            "line.count",
            "urialias.encode",
            "re.subst,/a/b/",
        ):
            expression = compile_expression(f"$(natsData{{{text}}})")
            self.assertRaises(EvaluationError, expression.evaluate, make_evaluation())

    def test_numbers(self) -> None:
        """A number is taken as its text."""
        self.assertEqual(evaluate("$(var(n){s.encode.hexa})", assignments={"$var(n)": -12}), b"2d3132")

    def test_evaluated_in_order(self) -> None:
        """One after the other, for each event anew."""
        expression = compile_expression("$(natsData{s.tolower}{s.select,0,,}{s.len})")
        found = [expression.evaluate(make_evaluation(payload)) for payload in (b"ABC,D", b"X")]
        self.assertEqual(found, [3, 1])

    def test_failure_names_the_reason(self) -> None:
        """The error says what is wrong."""
        failures: list[str] = []
        service = ServiceVariables(on_failure=lambda text, error: failures.append(str(error)))
        evaluate("$(natsData{s.substr,5,1})", b"abc", service=service)
        self.assertEqual(failures, ["substr is out of range"])
