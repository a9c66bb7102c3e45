"""natsroute.kamailio.kemi.ksr.pv"""

from __future__ import annotations

from natsroute.kamailio.kemi.ksr import pv
from tests.support.kemi_scripts import ScriptCase, new_event


class PvTests(ScriptCase):
    """``KSR.pv``."""

    def test_get(self) -> None:
        """Null is a value of its own, an empty string, or a text."""
        self.check_calls(
            new_event(b'{"From":"al"}'),
            [
                (b'{"From":"al"}', "pv.get", b"$natsData"),
                (b"al", "pv.get", b"$(natsData{json.parse,From})"),
                (2, "pv.get", b"$(natsData{json.parse,From}{s.len})"),
                (None, "pv.get", b"$vn(x)"),
                (b"", "pv.gete", b"$vn(x)"),
                (b"<null>", "pv.getw", b"$vn(x)"),
                (0, "pv.get", b"$var(x)"),
                (b"al", "pv.gete", b"$(natsData{json.parse,From})"),
                (b"al", "pv.getw", b"$(natsData{json.parse,From})"),
            ],
        )

    def test_text_and_number(self) -> None:
        """Of a value that is both, Kamailio's own type decides; ``geti`` wants the number."""
        self.check_calls(
            new_event(b"007"),
            [
                (b"OPTIONS", "pv.get", b"$rm"),
                (512, "pv.geti", b"$rm"),
                (7, "pv.get", b"$(natsData{s.int})"),
                (7, "pv.geti", b"$natsData"),
                (7, "pv.getl", b"$natsData"),
                (0, "pv.geti", b"$vn(x)"),
                (0, "pv.geti", b"$ci{"),
            ],
        )

    def test_defaults(self) -> None:
        self.check_calls(
            new_event(b"x"),
            [
                (5, "pv.getvn", b"$vn(x)", 5),
                (b"five", "pv.getvs", b"$vn(x)", b"five"),
                (b"x", "pv.getvs", b"$natsData", b"five"),
            ],
        )

    def test_assign(self) -> None:
        self.check_calls(
            new_event(),
            [
                (True, "pv.seti", b"$var(x)", 5),
                (5, "pv.get", b"$var(x)"),
                (True, "pv.sets", b"$avp(x)", b"a"),
                (False, "pv.is_null", b"$avp(x)"),
                (b"a", "pv.get", b"$avp(x)"),
                (True, "pv.unset", b"$avp(x)"),
                (True, "pv.is_null", b"$avp(x)"),
                (True, "pv.setl", b"$sht(t=>a)", 2**40),
                (2**40, "pv.getl", b"$sht(t=>a)"),
            ],
        )

    def test_no_value(self) -> None:
        """What cannot be compiled, assigned to or transformed is null or False, and the reason is logged."""
        self.check_calls(
            new_event(b"x"),
            [
                (None, "pv.get", b"$nosuch"),
                (b"", "pv.gete", b"$nosuch"),
                (False, "pv.sets", b"$nosuch", b"x"),
                (True, "pv.sets", b"$natsData", b"x"),
                (None, "pv.get", b"$(natsReply{s.len})"),
                (True, "pv.is_null", b"$nosuch"),
            ],
        )
        self.assertIn(("$nosuch", "unknown variable $nosuch"), self.failures)
        self.assertIn(("$natsData", "$natsData cannot be assigned to"), self.failures)
        self.assertIn("$(natsReply{s.len})", [text for text, _ in self.failures])

    def test_bytes(self) -> None:
        """A payload is whole, with NUL bytes and bytes that are not UTF-8."""
        data = b"a\0b\xff"
        self.check_calls(new_event(data), [(data, "pv.get", b"$natsData"), (4, "pv.get", b"$(natsData{s.len})")])

    def test_remembers_some(self) -> None:
        """A script may make any number of expressions."""
        self.patch(pv, "_REMEMBERED", 2)
        self.patch(pv, "_compiled", {})
        self.check_calls(new_event(), [(0, "pv.get", b"$var(%d)" % number) for number in range(10)])
        self.assertLessEqual(len(pv._compiled), 2)
