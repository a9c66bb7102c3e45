"""natsroute.kamailio.variables.sip"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ExpressionError
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.variables.sip import VARIABLES
from tests.support.expressions import evaluate


class SipTests(SynchronousTestCase):
    """The variables of the SIP message, as Kamailio 5.6.3 gives them to an event route."""

    def test_common(self) -> None:
        """Those that scripts ask for."""
        for text, expected in (
            ("$rm", b"OPTIONS"),
            ("$ru", b"sip:you@kamailio.org"),
            ("$rU", b"you"),
            ("$rd", b"kamailio.org"),
            ("$rp", b"5060"),
            ("$fu", b"sip:you@kamailio.org"),
            ("$tu", b"sip:you@kamailio.org"),
            ("$ft", b"123"),
            ("$tt", None),
            ("$ci", b"123"),
            ("$cs", b"1"),
            ("$si", b"1.0.0.127"),
            ("$sp", 5060),
            ("$ua", None),
            ("$rs", None),
            ("$proto", b"udp"),
            ("$ml", 184),
            ("$rb", b""),
        ):
            self.assertEqual(evaluate(text), expected, text)

    def test_numbers(self) -> None:
        """Some texts have a number too."""
        numbers = [evaluate(text) for text in ("$(rm{s.int})", "$(proto{s.int})", "$(oP{s.int})", "$(mF{s.int})")]
        self.assertEqual(numbers, [512, 1, 1, 0])

    def test_parts(self) -> None:
        """Those with a name in parentheses."""
        for text, expected in (
            ("$hdr(from)", b"<sip:you@kamailio.org>;tag=123"),
            ("$hdr(X-Nope)", None),
            ("$(hdr(Via)[0])", b"SIP/2.0/UDP 127.0.0.1"),
            ("$(hdr(Via)[1])", None),
            ("$hdr($var(name))", b"123"),
            ("$hdrc(Via)", 1),
            ("$hdrc(X-Nope)", 0),
            ("$msg(fline)", b"OPTIONS sip:you@kamailio.org SIP/2.0"),
            ("$msg(len)", 184),
            ("$K(TLS)", 3),
            ("$nh(d)", b"kamailio.org"),
        ):
            self.assertEqual(evaluate(text, assignments={"$var(name)": b"Call-ID"}), expected, text)
        for text in ("$msg(nope)", "$K(nope)", "$nh(x)"):
            self.assertRaises(ExpressionError, compile_expression, text)

    def test_none_can_be_assigned(self) -> None:
        """The message is never sent, so changing it would change nothing."""
        for name, definition in VARIABLES.items():
            if not definition.has_name:
                self.assertFalse(compile_expression(f"${name}").can_be_assigned, name)
