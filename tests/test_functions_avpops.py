"""natsroute.kamailio.script.functions.avpops"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call


class AvpopsTests(SynchronousTestCase):
    """The values are written with the newest last."""

    def setUp(self) -> None:
        self.evaluation = make_evaluation()
        self.avps = self.evaluation.own.avps
        self.avps.update({b"a": [1, b"x", b"12"], b"n": [b"t", 7], b"zero": [0], b"empty": [b""], b"copy": [b"old"]})

    def call(self, name: str, *arguments: str) -> int:
        result = call(self.evaluation, name, *arguments)
        assert isinstance(result, int)
        return result

    def test_is_set(self) -> None:
        for avp, expected in {
            "$avp(a)": 1, "$avp(a)/s": 1, "$avp(a)/n": -1, "$avp(a)/e": -1, "$avp(n)/n": 1, "$avp(n)/s": -1,
            "$avp(zero)/e": 1, "$avp(zero)/ne": 1, "$avp(zero)/se": -1, "$avp(empty)/se": 1, "$avp(empty)/ne": -1,
            "$avp(none)": -1, "$avp(s:a)": 1, "$avp(i:5)": -1, "$avp(empty)/": 1,
        }.items():  # fmt: skip
            self.assertEqual(self.call("is_avp_set", avp), expected, avp)

    def test_delete(self) -> None:
        self.assertEqual([self.call("avp_delete", "$avp(a)"), self.avps[b"a"]], [1, [1, b"x"]])
        self.assertEqual([self.call("avp_delete", "$avp(a)/g"), self.avps[b"a"]], [1, []])
        self.assertEqual([self.call("avp_delete", "$avp(a)/g"), self.call("avp_delete", "$avp(none)")], [-1, -1])

    def test_copy(self) -> None:
        for flags, result, source, copy in [
            ("", 1, [1, b"x", b"12"], [b"old", b"12"]),
            ("/g", 1, [1, b"x", b"12"], [b"old", b"12", b"x", 1]),
            ("/d", 1, [1, b"x"], [b"old", b"12"]),
            ("/gd", 1, [], [b"old", b"12", b"x", 1]),
            ("/n", 1, [1, b"x", b"12"], [b"old", 12]),
            ("/gs", 1, [1, b"x", b"12"], [b"old", b"12", b"x", b"1"]),
            ("/gnd", -1, [1, b"x"], [b"old", 12]),
        ]:
            self.setUp()
            found = self.call("avp_copy", "$avp(a)", f"$avp(copy){flags}")
            self.assertEqual((found, self.avps[b"a"], self.avps[b"copy"]), (result, source, copy), flags)
        self.assertEqual(self.call("avp_copy", "$avp(none)", "$avp(copy)"), -1)
        self.assertEqual([self.call("avp_copy", "$avp(empty)", "$avp(zero)/n"), self.avps[b"zero"]], [1, [0, 0]])

    def test_copy_to_itself(self) -> None:
        self.assertEqual([self.call("avp_copy", "$avp(a)", "$avp(a)/gd"), self.avps[b"a"]], [1, [b"12", b"x", 1]])
        self.assertEqual([self.call("avp_copy", "$avp(n)", "$avp(n)/g"), self.avps[b"n"]], [1, [b"t", 7, 7, b"t"]])

    def test_errors(self) -> None:
        for name, *arguments in [
            ("is_avp_set", "$avp(a)/x"), ("is_avp_set", "$avp(a)/sn"), ("is_avp_set", "$var(a)"), ("is_avp_set", "a"),
            ("is_avp_set", "$avp($var(x))"), ("is_avp_set", "$avp(x:a)"), ("avp_delete", "$avp(a)/e"),
            ("avp_copy", "$avp(a)/g", "$avp(b)"), ("avp_copy", "$avp(a)", "$avp(b)/c"), ("avp_copy", "$avp(a)", 5),
        ]:  # fmt: skip
            self.assertRaises(ScriptError, compile_call, name, *arguments)
