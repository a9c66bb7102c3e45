"""natsroute.wire.ack_subject"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.wire.ack_subject import Delivery, parse_ack_subject


class ParseTests(SynchronousTestCase):
    """Both forms, and what is none."""

    def test_nine_tokens(self) -> None:
        self.assertEqual(
            parse_ack_subject(b"$JS.ACK.CALLS.billing.2.7.9.1700000000000000000.3"),
            Delivery("CALLS", "billing", 2, 7, 9, 1700000000000000000, 3),
        )

    def test_with_a_domain(self) -> None:
        """With 11 tokens, and with one more, as servers have sent them."""
        expected = Delivery("CALLS", "billing", 1, 7, 9, 17, 0, "hub")
        for rest in (b"", b".x"):
            subject = b"$JS.ACK.hub.AB12.CALLS.billing.1.7.9.17.0" + rest
            self.assertEqual(parse_ack_subject(subject), expected)

    def test_without_a_domain(self) -> None:
        """``_`` stands for none: nats-server 2.15 with ``js_ack_fc_v2``."""
        delivery = parse_ack_subject(b"$JS.ACK._.AB12.CALLS.billing.1.7.9.17.0")
        self.assertEqual(delivery, Delivery("CALLS", "billing", 1, 7, 9, 17, 0))

    def test_others(self) -> None:
        for subject in (
            b"",
            b"_INBOX.a.b",
            b"$JS.ACK.CALLS.billing.2.7.9.17",
            b"$JS.ACK.x.CALLS.billing.2.7.9.17.3",
            b"$JS.ACK.CALLS.billing.x.7.9.17.3",
        ):
            self.assertIs(parse_ack_subject(subject), None, subject)
