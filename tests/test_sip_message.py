"""natsroute.kamailio.sip.message"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.sip.message import MESSAGE, headers_named


class MessageTests(SynchronousTestCase):
    """The message that event routes see."""

    def test_message(self) -> None:
        """As Kamailio 5.6.3 gives it."""
        self.assertEqual(
            MESSAGE,
            b"OPTIONS sip:you@kamailio.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n"
            b"From: <sip:you@kamailio.org>;tag=123\r\nTo: <sip:you@kamailio.org>\r\nCall-ID: 123\r\n"
            b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        )

    def test_headers(self) -> None:
        """By their names in any case, and by their short names."""
        for name, expected in (
            (b"From", [b"<sip:you@kamailio.org>;tag=123"]),
            (b"call-id", [b"123"]),
            (b"I", [b"123"]),
            (b"CSEQ", [b"1 OPTIONS"]),
            (b"X", []),
            (b"", []),
        ):
            self.assertEqual(headers_named(name), expected)
