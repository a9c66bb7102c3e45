"""natsroute.kamailio.transformations.sip"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from tests.support.expressions import make_evaluation

URI = b"sip:al:pw@ex.org:5062;transport=TCP;lr=on;x=1;X=2?a=b"


def apply(transformation: str, payload: bytes) -> Value:
    """A transformation of a payload."""
    return compile_expression(f"$(natsData{{{transformation}}})").evaluate(make_evaluation(payload))


class Case(SynchronousTestCase):
    """What the tests below share."""

    def check(self, payload: bytes, *pairs: tuple[str, Value]) -> None:
        for transformation, expected in pairs:
            self.assertEqual(apply(transformation, payload), expected, (transformation, payload))


class UriTests(Case):
    """``{uri.…}``."""

    def test_parts(self) -> None:
        """Each part; what is not there is an empty string."""
        self.check(
            URI,
            ("uri.user", b"al"),
            ("uri.host", b"ex.org"),
            ("uri.domain", b"ex.org"),
            ("uri.passwd", b"pw"),
            ("uri.port", 5062),
            ("uri.params", b"transport=TCP;lr=on;x=1;X=2"),
            ("uri.headers", b"a=b"),
            ("uri.transport", b"TCP"),
            ("uri.lr", b"on"),
            ("uri.ttl", b""),
            ("uri.scheme", b"sip"),
            ("uri.tosocket", b"tcp:ex.org:5062"),
        )
        self.check(b"sip:ex.org", ("uri.user", b""), ("uri.port", 0), ("uri.params", b""), ("uri.tosocket", b""))

    def test_port_without_digits(self) -> None:
        """It is the number 0 with an empty text."""
        self.check(b"sip:ex.org", ("uri.port}{s.len", 0))
        self.check(b"sip:ex.org:05060", ("uri.port", 5060), ("uri.port}{s.len", 5))

    def test_params(self) -> None:
        """The last with the name, in any case."""
        self.check(URI, ("uri.param,x", b"2"), ("uri.param,LR", b"on"), ("uri.param,nope", b""))
        self.check(b"sip:ex.org", ("uri.param,x", b""))
        self.assertRaises(EvaluationError, apply, "uri.param,x", b"sip:a@b;x y")

    def test_known_params(self) -> None:
        """Those with names of their own."""
        text = b"sip:a@b;user=phone;method=INVITE;maddr=1.2.3.4;r2=on;ttl=1"
        self.check(text, ("uri.uparam", b"phone"), ("uri.method", b"INVITE"), ("uri.maddr", b"1.2.3.4"),
                   ("uri.r2", b"on"), ("uri.ttl", b"1"))  # fmt: skip

    def test_short(self) -> None:
        """Without what is not needed to reach it."""
        self.check(URI, ("uri.saor", b"sip:al@ex.org"), ("uri.suri", b"sip:al@ex.org:5062;transport=TCP"),
                   ("uri.duri", b"sip:ex.org:5062;transport=TCP"))  # fmt: skip
        self.check(b"SIPS:ex.org", ("uri.saor", b"SIPS:ex.org"), ("uri.duri", b"SIPS:ex.org"))

    def test_to_socket(self) -> None:
        """With the usual port, if there is none."""
        for transport, expected in ((b"udp", b"udp"), (b"tls", b"tls"), (b"sctp", b"sctp"), (b"ws", b"ws")):
            self.check(b"sip:h;transport=" + transport, ("uri.tosocket", expected + b":h:5060"))
        self.check(b"sip:h;transport=wss", ("uri.tosocket", b""))

    def test_semicolon_at_the_end(self) -> None:
        """It is forgiven, once."""
        self.check(b"sip:a@b;", ("uri.host", b"b"), ("uri.params", b""))

    def test_no_uri(self) -> None:
        """It has no parts."""
        for text in (b"", b"nobody", b"sip:a@"):
            for name in ("user", "scheme", "saor", "param,x", "port"):
                self.assertRaises(EvaluationError, apply, f"uri.{name}", text)


class AddressTests(Case):
    """``{nameaddr.…}`` and ``{tobody.…}``."""

    def test_name_address(self) -> None:
        """Name, URI and length."""
        self.check(b'"Al" <sip:a@b>;x', ("nameaddr.name", b'"Al" '), ("nameaddr.uri", b"sip:a@b"), ("nameaddr.len", 14))
        self.assertRaises(EvaluationError, apply, "nameaddr.uri", b"<sip:a@b")

    def test_to_body(self) -> None:
        """Its parts, and those of its URI."""
        self.check(
            b'"Al" <sip:al@ex.org>;tag=5;x=y',
            ("tobody.uri", b"sip:al@ex.org"),
            ("tobody.tag", b"5"),
            ("tobody.display", b'"Al"'),
            ("tobody.params", b"tag=5;x=y"),
            ("tobody.user", b"al"),
            ("tobody.host", b"ex.org"),
        )

    def test_no_to_body(self) -> None:
        """Also its URI must be one."""
        for text in (b"", b"<x>", b"<http://x>", b'"a'):
            self.assertRaises(EvaluationError, apply, "tobody.display", text)


class AliasTests(Case):
    """``{urialias.…}``."""

    def test_encode(self) -> None:
        """Host, port and the number of the protocol."""
        self.check(b"sip:a@h:5062;transport=tcp", ("urialias.encode", b"h~5062~2"))
        self.check(b"sip:a@h", ("urialias.encode", b"h~5060~1"))
        self.check(b"sip:a@h;transport=tls", ("urialias.encode", b"h~5061~3"))
        self.check(b"nobody", ("urialias.encode", b""))

    def test_decode(self) -> None:
        """Back to a URI."""
        self.check(b"h~5062~2", ("urialias.decode", b"sip:h:5062;transport=tcp"))
        self.check(b"h~5060~1", ("urialias.decode", b"sip:h:5060"))
        self.check(b"h~5060~0~x", ("urialias.decode", b"sip:h:5060"))
        for text in (b"h", b"h~1", b"h~1~", b"h~1~9"):
            self.check(text, ("urialias.decode", b""))
