"""natsroute.kamailio.sip.uri"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.sip.uri import SipUri, parse_uri


class PartsTests(SynchronousTestCase):
    """URIs taken apart; each of these was compared with Kamailio."""

    def check(self, uri: bytes, **expected: object) -> None:
        found = parse_uri(uri)
        self.assertEqual({name: getattr(found, name) for name in expected}, expected, uri)

    def test_all_parts(self) -> None:
        """A URI that has everything."""
        found = parse_uri(b"sip:al:pw@ex.org:5062;transport=tcp;lr;ttl=3?Subject=x&a=b")
        expected = SipUri(
            b"sip", b"al", b"pw", b"ex.org", b"5062", b"transport=tcp;lr;ttl=3", b"Subject=x&a=b",
            {b"transport": b"tcp", b"ttl": b"3"}, 2,
        )  # fmt: skip
        self.assertEqual((found, found.port_number), (expected, 5062))

    def test_schemes(self) -> None:
        """In any case, and kept as they are written."""
        for uri, scheme in ((b"SIP:a@b", b"SIP"), (b"sips:a@b", b"sips"), (b"tel:123", b"tel"), (b"urn:a:b", b"urn")):
            self.check(uri, scheme=scheme)

    def test_without_user(self) -> None:
        """A host alone may hold nearly anything."""
        self.check(b"sip:ex.org", user=b"", host=b"ex.org", port=b"", port_number=0)
        self.check(b"sip:exa mple:5060;lr=on?x", host=b"exa mple", port=b"5060", params=b"lr=on", headers=b"x")
        self.check(b"sip:host:", host=b"host", port=b"")
        self.check(b"sip:[::1]:5060", host=b"[::1]", port=b"5060")
        self.check(b"sip:;x", host=b";x", params=b"")

    def test_user(self) -> None:
        """It ends at the first "@", whatever comes before."""
        self.check(b"sip:a%40(b)@[::1];x", user=b"a%40(b)", host=b"[::1]", params=b"x")
        self.check(b"sip:a;b@host", user=b"a;b", host=b"host", params=b"")
        self.check(b"sip:a;b:c@host", user=b"a;b", password=b"c")
        self.check(b"sip:a?b;c@host", user=b"a?b;c", host=b"host")
        self.check(b"sip:a:@b", user=b"a", password=b"")
        self.check(b"sip:@a@b", user=b"@a", host=b"b")
        self.check(b"sip:[::1]:50;x@h", user=b"[::1]:50;x", host=b"h")

    def test_telephone(self) -> None:
        """``tel:`` has a user only; the user of ``user=phone`` loses its parameters."""
        self.check(b"tel:+1-2;phone-context=x", user=b"+1-2", host=b"", params=b"")
        self.check(b"sip:+12;ext=5@gw;user=phone", user=b"+12", params=b"user=phone")
        self.check(b"sip:+12;ext=5@gw;user=PHONE", user=b"+12;ext=5")

    def test_urn(self) -> None:
        """What stands behind the second colon is the host."""
        self.check(b"urn:service:sos", user=b"service", host=b"sos")
        self.check(b"urn:service", user=b"", host=b"service")

    def test_known_params(self) -> None:
        """The last value counts; one that is empty or begins with a colon does not."""
        self.check(b"sip:a@b;Transport=TLS;transport=foo", known={b"transport": b"foo"}, protocol=3)
        self.check(b"sip:a@b;transport=;lr;maddr=:x;xttl=3", known={}, protocol=0)

    def test_refused(self) -> None:
        """What is no URI for Kamailio either."""
        for uri in (
            b"", b"sip:", b"http://x", b"sipx:a", b"sip:]", b"sip::x", b"sip:@b", b"sip:a@", b"sip:a@-b", b"sip:a@b_c",
            b"sip:a@b&c", b"sip:a[b@c", b"sip:a:b:c@d", b"sip:a:b;c@d", b"sip:a:x", b"sip:a:5;c@d", b"sip:a;b:c:d@e",
            b"sip:host:99999", b"sip:a@b:123456", b"sip:a@b:000005", b"sip:a:999999@b", b"sip:a@b:5x", b"sip:a@b:5:6",
            b"sip:a@b;c@d", b"sip:a@b?x;y", b"sip:a?b;c", b"sip:[::1", b"sip:[::1]x", b"sip:[a?b@c", b"tel:a@-",
            b"urn:a:70000x", "sip:a@é".encode(),
        ):  # fmt: skip
            error = self.assertRaises(EvaluationError, parse_uri, uri)
            self.assertEqual(str(error), "not a URI")  # it may have a password in it
