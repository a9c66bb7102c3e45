"""natsroute.kamailio.script.functions.json"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ScriptError
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import Bare, call, compile_call

DOCUMENT = '{"s": "t\\"/é", "n": 2, "r": 1.50, "o": {"b": [1]}, "z": null, "t": true}'


class JsonTests(SynchronousTestCase):
    """``json_get_field`` gives JSON, ``json_get_string`` gives strings without quotes."""

    def get(self, name: str, document: str, field: str) -> tuple[int, Value]:
        """The result, and the variable."""
        evaluation = make_evaluation(document.encode(), assignments={"$var(field)": field.encode()})
        result = call(evaluation, name, Bare("$natsData"), "$var(field)", "$vn(out)")
        return result, evaluation.consumer.vn.get(b"out")

    def test_field(self) -> None:
        """As json-c writes it."""
        for field, expected in (
            ("s", '"t\\"\\/é"'),
            ("n", "2"),
            ("r", "1.50"),
            ("o", '{ "b": [ 1 ] }'),
            ("t", "true"),
        ):
            self.assertEqual(self.get("json_get_field", DOCUMENT, field), (1, expected.encode()))

    def test_string(self) -> None:
        """Anything but a string is JSON all the same."""
        for field, expected in (("s", 't"/é'), ("n", "2"), ("o", '{ "b": [ 1 ] }')):
            self.assertEqual(self.get("json_get_string", DOCUMENT, field), (1, expected.encode()))

    def test_nothing(self) -> None:
        """The variable keeps its value. A name is no path."""
        for field in ("z", "missing", "o.b", ""):
            self.assertEqual(self.get("json_get_field", DOCUMENT, field), (-1, None))
        for document in ("[1]", "5", '"s"'):
            self.assertEqual(self.get("json_get_field", document, "s"), (-1, None))

    def test_not_json(self) -> None:
        """An error, which a script sees as -1."""
        run = compile_call("json_get_field", "$natsData", "a", "$var(x)")
        for payload in (b"", b"{", b"\xff"):
            self.assertRaises(EvaluationError, run, make_evaluation(payload))

    def test_read_only(self) -> None:
        """A variable that cannot be assigned to is found at the start."""
        self.assertRaises(ScriptError, compile_call, "json_get_field", "$natsData", "a", "$natsData")
