"""natsroute.kamailio.transformations.numbers"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.values import Value
from tests.support.expressions import evaluate


class ValueTests(SynchronousTestCase):
    """``{val.…}``."""

    def check(self, name: str, *pairs: tuple[Value, Value]) -> None:
        for value, expected in pairs:
            self.assertEqual(evaluate(f"$(vn(x){{{name}}})", assignments={"$vn(x)": value}), expected, (name, value))

    def test_null(self) -> None:
        """Null becomes something, all else stays."""
        self.check("val.n0", (None, 0), (5, 5), (b"", b""), (b"x", b"x"))
        self.check("val.ne", (None, b""), (5, 5), (b"x", b"x"))

    def test_json(self) -> None:
        """What stands between quotes."""
        self.check(
            "val.json",
            (None, b""),
            (5, 5),
            (b"plain \xff", b"plain \xff"),
            (b'"\\\n\t\r\b\f\x01', b'\\"\\\\\\n\\t\\r\\b\\f\\u0001'),
        )

    def test_json_with_quotes(self) -> None:
        """Quotes are added where something is escaped, and to null."""
        self.check("val.jsonqe", (None, b'""'), (5, 5), (b"plain", b"plain"), (b'a"b', b'"a\\"b"'))


class NumberTests(SynchronousTestCase):
    """``{num.…}``."""

    def test_digits(self) -> None:
        """Of numbers; anything else has 0."""
        for value, first, last in ((1234, 1, 4), (-56, 5, -6), (0, 0, 0), (b"78", 0, 0), (None, 0, 0)):
            found = [
                evaluate(f"$(vn(x){{num.{name}}})", assignments={"$vn(x)": value}) for name in ("fdigit", "ldigit")
            ]
            self.assertEqual(found, [first, last], value)
        self.assertEqual(evaluate("$(rm{num.ldigit})"), 2)
