"""natsroute.kamailio.script.functions.jansson"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call


class JanssonTests(SynchronousTestCase):
    """Functions that read JSON, and that make it."""

    def after(self, name: str, *written: Any, result: int = 1, payload: bytes = b"{}", **variables: Value) -> Value:
        """The variable that a call assigns to."""
        evaluation = make_evaluation(payload, assignments={f"$vn({key})": value for key, value in variables.items()})
        self.assertEqual(call(evaluation, name, *written), result, written)
        return evaluation.consumer.vn.get(b"out")

    def test_get(self) -> None:
        """Strings without quotes, small integers as numbers, everything else as text."""
        for data, expected in (
            (b'"text"', b"text"),
            (b"-2", -2),
            (b"2147483648", b"2147483648"),
            (b"1.50", b"1.5"),
            (b"true", 1),
            (b"false", 0),
            (b"null", None),
            (b'{"b": [1, "x"]}', b'{"b":[1,"x"]}'),
            (b"[ ]", b"[]"),
        ):
            payload = b'{"a": %b}' % data
            found = self.after("jansson_get", "a", "$natsData", "$vn(out)", payload=payload, out=b"before")
            self.assertEqual((type(found), found), (type(expected), expected))
            found = self.after("jansson_get_field", "$natsData", "a", "$vn(out)", payload=payload)
            self.assertEqual(found, expected)

    def test_get_nothing(self) -> None:
        """The variable keeps its value."""
        for path, payload in (("x", b"{}"), ("", b"5"), ("a", b'{"a":1,"a":2}'), ("a", b"{"), ("\udcff", b"{}")):
            found = self.after("jansson_get", path, "$natsData", "$vn(out)", payload=payload, result=-1, out=b"before")
            self.assertEqual(found, b"before")

    def test_pv_get(self) -> None:
        """Of a variable that is a text."""
        self.assertEqual(self.after("jansson_pv_get", "a", "$vn(in)", "$vn(out)", **{"in": b'{"a": 5}'}), 5)
        for value in (5, None):
            self.after("jansson_pv_get", "a", "$vn(in)", "$vn(out)", result=-1, **{"in": value})

    def test_array_size(self) -> None:
        """Of arrays only."""
        payload = b'{"a": [1, 2], "b": {}}'
        self.assertEqual(self.after("jansson_array_size", "a", "$natsData", "$vn(out)", payload=payload), 2)
        for path in ("b", "a[0]", "x"):
            self.after("jansson_array_size", path, "$natsData", "$vn(out)", payload=payload, result=-1)

    def test_set(self) -> None:
        """Each type, in an object that is there or not."""
        for kind, written, expected in (
            ("string", 'a"b', b'"a\\"b"'),
            ("str", "$rm", b'"OPTIONS"'),
            ("int", " -5", b"-5"),
            ("integer", "", b"0"),
            ("int", "99999999999999999999", b"9223372036854775807"),
            ("real", "0.1", b"0.10000000000000001"),
            ("real", "", b"0.0"),
            ("true", "any", b"true"),
            ("false", "", b"false"),
            ("null", "", b"null"),
            ("object", '{ "x" : 1 }', b'{"x":1}'),
            ("obj", "{}", b"{}"),
            ("array", "[ 1 ]", b"[1]"),
        ):
            for before, start in ((None, b""), (5, b""), (b'{"k": 1}', b'"k":1,')):
                found = self.after("jansson_set", kind, "v", written, "$vn(out)", out=before)
                self.assertEqual(found, b'{%b"v":%b}' % (start, expected))

    def test_set_nothing(self) -> None:
        """Wrong types, values and paths; a variable that is no JSON."""
        for kind, path, written, before in (
            ("other", "v", "x", b"{}"),
            ("int", "v", "5x", b"{}"),
            ("int", "v", "1_0", b"{}"),
            ("real", "v", "x", b"{}"),
            ("real", "v", "1e999", b"{}"),
            ("real", "v", "inf", b"{}"),
            ("object", "v", "[]", b"{}"),
            ("array", "v", "{}", b"{}"),
            ("object", "v", "{", b"{}"),
            ("string", "v", "\udcff", b"{}"),
            ("string", "", "x", b"{}"),
            ("string", "v", "x", b""),
            ("string", "v", "x", b"no JSON"),
        ):
            for name in ("jansson_set", "jansson_append"):
                found = self.after(name, kind, path, written, "$vn(out)", result=-1, out=before)
                self.assertEqual(found, before, (kind, written))

    def test_append(self) -> None:
        """To an array."""
        found = self.after("jansson_append", "string", "l", "x", "$vn(out)", out=b'{"l": [1]}')
        self.assertEqual(found, b'{"l":[1,"x"]}')

    def test_xavp(self) -> None:
        """From JSON and back; null and fields without a name are left out."""
        evaluation = make_evaluation(b'[{"a": 1}, {"a": "t", "n": null, "": 0, "o": {"x": 1.0}}]')
        self.assertEqual(call(evaluation, "jansson_xdecode", "$natsData", "x"), 1)
        for text, expected in (
            ("$xavp(x=>a)", b"t"),
            ("$xavp(x[1]=>a)", 1),
            ("$xavp(x=>n)", None),
            ("$xavp(x=>o)", b'{"x":1.0}'),
        ):
            self.assertEqual(compile_expression(text).value(evaluation), expected, text)
        self.assertEqual(call(evaluation, "jansson_xencode", "x", "$vn(out)"), 1)
        self.assertEqual(evaluation.consumer.vn[b"out"], b'{"o": "{\\"x\\":1.0}", "a": "t"}')
        self.assertEqual(call(evaluation, "jansson_xencode", "other", "$vn(out)"), -1)
        self.assertEqual(call(evaluation, "jansson_xdecode", "5", "x"), -1)
        compile_expression("$xavp(y[0]=>a)").assign(evaluation, 1)
        compile_expression("$xavp(y=>a)").assign(evaluation, b"\xff")
        self.assertEqual(call(evaluation, "jansson_xencode", "y", "$vn(out)"), -1)

    def test_read_only(self) -> None:
        """A variable that cannot be assigned to is found at the start."""
        self.assertRaises(ScriptError, compile_call, "jansson_get", "a", "{}", "$natsData")
        self.assertRaises(ScriptError, compile_call, "jansson_set", "int", "a", "1", "$rm")
