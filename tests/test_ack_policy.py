"""natsroute.routes.ack_policy"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.ack_policy import DeliveryRules


class DeliveryRulesTests(SynchronousTestCase):
    """DeliveryRules"""

    def test_waits_without_a_backoff(self) -> None:
        """They double up to 10 s, however often a message was delivered."""
        rules = DeliveryRules()
        self.assertEqual([rules.wait_after(n) for n in (1, 2, 3, 7, 8, 9, 10**9)], [0.1, 0.2, 0.4, 6.4, 10, 10, 10])

    def test_waits_of_a_backoff(self) -> None:
        """The last one repeats."""
        rules = DeliveryRules(backoff=(1.0, 5.0))
        self.assertEqual([rules.wait_after(n) for n in (1, 2, 3, 100)], [1.0, 5.0, 5.0, 5.0])

    def test_the_shortest_wait(self) -> None:
        """Within it a message must be reported as in progress."""
        self.assertEqual(DeliveryRules(ack_wait=30).shortest_wait, 30)
        self.assertEqual(DeliveryRules(ack_wait=5, backoff=(7.0, 2.0)).shortest_wait, 2)

    def test_the_delay_that_the_server_is_told(self) -> None:
        """It adds what its backoff has above ack_wait. tests.integration.test_jetstream_routes measures it."""
        self.assertEqual([DeliveryRules().nak_delay(3.0, n) for n in (1, 5)], [3.0, 3.0])
        rules = DeliveryRules(ack_wait=1.0, backoff=(1.0, 5.0))
        self.assertEqual([rules.nak_delay(2.0, n) for n in (1, 2, 9)], [2.0, -2.0, -2.0])

    def test_the_last_delivery(self) -> None:
        self.assertFalse(DeliveryRules().is_last(10**9))
        self.assertEqual([DeliveryRules(max_deliver=3).is_last(n) for n in (1, 2, 3, 4)], [False, False, True, True])
