"""natsroute.kamailio.transformations.json"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio import evaluation as evaluation_module
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.json import documents as json_documents
from natsroute.kamailio.transformations.json import encode, parse_path
from natsroute.kamailio.values import Value
from tests.support.expressions import evaluate, make_evaluation

DOCUMENT = (
    b'{"a":{"b":{"c":1}},"list":[10,{"x":"y"},[1,2]],"x.y":7,"text":"5","t":true,"z":null,'
    b'"Event-Package-With-A-Name-Of-More-Than-24-Bytes":1.50,"\xc3\xa9":"e","%":"never"}'
)


class ParseTests(SynchronousTestCase):
    """``{json.parse,…}``."""

    def check(self, path: str, expected: Value) -> None:
        assignments: dict[str, Value] = {"$var(key)": b"list[1].x", "$var(b)": b"b", "$var(n)": 5}
        self.assertEqual(
            evaluate(f"$(natsData{{json.parse,{path}}})", DOCUMENT, assignments=assignments), expected, path
        )

    def test_paths(self) -> None:
        """Names, dots, indexes, and a percent sign for a dot."""
        for path, expected in (
            ("a.b.c", b"1"),
            ("a", b'{ "b": { "c": 1 } }'),
            ("list", b'[ 10, { "x": "y" }, [ 1, 2 ] ]'),
            ("list[0]", b"10"),
            ("list[1].x", b"y"),
            ("x%y", b"7"),
            ("text", b"5"),
            ("t", b"true"),
            ("Event-Package-With-A-Name-Of-More-Than-24-Bytes", b"1.50"),
            ("é", b"e"),
            (" text", b"5"),
        ):
            self.check(path, expected)

    def test_nothing(self) -> None:
        """What is not there, and null, are empty strings."""
        for path in (
            "nope",
            "a.nope",
            "a.b.c.d",
            "list[3]",
            "list[-1]",
            "list.x",
            "z",
            "text ",
            "te xt",
            "%",
            "[0]",
            "text.x",
        ):
            self.check(path, b"")

    def test_odd_indexes(self) -> None:
        """An index that is no number is 0; one of what is no array, and a second one, do not count."""
        for path, expected in (("list[x]", b"10"), ("list[1", b'{ "x": "y" }'), ("list[2][1]", b"[ 1, 2 ]"),
                               ("text[7]", b"5"), ("list[ 0]", b"10")):  # fmt: skip
            self.check(path, expected)

    def test_empty_steps(self) -> None:
        """They are left out."""
        for path in ("a..b.c", ".a.b.c", "a.b.c.", "a.b.c..."):
            self.check(path, b"1")

    def test_variables(self) -> None:
        """A path can be one, or have some in it."""
        self.check("$var(key)", b"y")
        self.check("a.$var(b).c", b"1")
        self.check("$_s(a.$var(b).c)", b"1")
        self.check("a$$b", b"")
        self.check("$var(n)", b"")

    def test_null_path(self) -> None:
        """It has no value."""
        for path in ("$null", "$vn(x)"):
            expression = compile_expression(f"$(natsData{{json.parse,{path}}})")
            self.assertRaises(EvaluationError, expression.evaluate, make_evaluation(DOCUMENT))

    def test_refused(self) -> None:
        """No path, or too many."""
        for text in ("json.parse", "json.parse,", "json.parse,a,b", "json.parse,$var(x).b", "json.parse,a.$nope"):
            self.assertRaises(ExpressionError, compile_expression, f"$(natsData{{{text}}})")

    def test_not_json(self) -> None:
        """An empty string, whatever is asked for."""
        for payload in (b"", b"nope", b"{", b"5", b'"a"', b"[1]"):
            self.assertEqual(evaluate("$(natsData{json.parse,a})", payload), b"", payload)

    def test_in_each_other(self) -> None:
        """JSON in a string of JSON."""
        payload = b'{"a":"{\\"b\\":\\"c\\"}"}'
        self.assertEqual(evaluate("$(natsData{json.parse,a}{json.parse,b})", payload), b"c")

    def test_parsed_once(self) -> None:
        """However many expressions look into the payload of an event."""
        parsed: list[bytes] = []
        parse = json_documents.parse

        def counting(data: bytes) -> object:
            parsed.append(data)
            return parse(data)

        self.patch(evaluation_module.json_documents, "parse", counting)
        evaluation = make_evaluation(DOCUMENT)
        for path in ("a", "text", "nope", "list[1].x"):
            compile_expression(f"$(natsData{{json.parse,{path}}})").evaluate(evaluation)
        self.assertEqual(parsed, [DOCUMENT])


class OtherTests(SynchronousTestCase):
    """``{json.parsex,…}`` and ``{json.encode}``."""

    def test_parsex(self) -> None:
        """The first character separates."""
        for path, expected in (("/a/b/c", b"1"), ("|list[1]|x", b"y"), ("/x%y", b"7"), (".a.b", b'{ "c": 1 }')):
            self.assertEqual(evaluate(f"$(natsData{{json.parsex,{path}}})", DOCUMENT), expected, path)
        self.assertEqual(evaluate("$(natsData{json.parsex,/x.y})", b'{"x.y":1}'), b"1")

    def test_encode(self) -> None:
        """What a routing key may hold."""
        for value, expected in ((b"a.b c/\xe9", b"a%2Eb+c%2F%E9"), (b"#", b"#"), (b"*", b"*"), (b"a-b_c~", b"a-b_c~")):
            self.assertEqual(encode(value), expected)

    def test_path(self) -> None:
        """Names and indexes."""
        self.assertEqual(parse_path(b"a.b[2].c%d[x].[1]"), (("a", None), ("b", 2), ("c.d", 0), ("", 1)))
        self.assertEqual(parse_path(b"a.b/c", "/"), (("a.b", None), ("c", None)))
