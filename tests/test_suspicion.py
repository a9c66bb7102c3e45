"""natsroute.publishing.suspicion; tests.test_written_batches has what becomes of the batch."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, PayloadViolationError, ServerError, ServerProtocolError
from natsroute.publishing.suspicion import MAX_LOST_CONNECTIONS, MAX_SERVERS, SOON, Suspicion

CUT = ConnectionLostError("cut")


class SuspicionTests(SynchronousTestCase):
    """Which lost connections count."""

    def test_words_about_a_message(self) -> None:
        """They count at once; after three of them the batch is written alone."""
        suspicion = Suspicion()
        for number in range(1, MAX_LOST_CONNECTIONS + 1):
            self.assertFalse(suspicion.is_alone)
            error = (ServerProtocolError if number % 2 else PayloadViolationError)("x")
            self.assertTrue(suspicion.lost(error, "A", SOON + 1))
            self.assertEqual(suspicion.lost_connections, number)
        self.assertTrue(suspicion.is_alone)

    def test_the_same_server_is_back(self) -> None:
        """It counts, once for each loss. After three the batch is alone; further ones are reasons to divide it."""
        suspicion = Suspicion()
        for number in range(1, MAX_LOST_CONNECTIONS + 1):
            self.assertFalse(suspicion.is_alone)
            self.assertFalse(suspicion.lost(CUT, "A", SOON + 1))
            for _ in range(2):
                self.assertIsNone(suspicion.connected("A"))
            self.assertEqual(suspicion.lost_connections, number)
        self.assertTrue(suspicion.is_alone)
        unknown = ServerError("unknown words")
        self.assertFalse(suspicion.lost(unknown, "A", SOON))
        self.assertIs(suspicion.connected("A"), unknown)
        self.assertIsNone(suspicion.connected("A"))
        self.assertEqual(suspicion.lost_connections, MAX_LOST_CONNECTIONS + 1)

    def test_another_server(self) -> None:
        """It says nothing about the one that was lost, which may come back later."""
        suspicion = Suspicion(is_alone=True)
        suspicion.lost(CUT, "A", 0.0)
        self.assertIsNone(suspicion.connected("B"))
        self.assertIs(suspicion.connected("A"), CUT)

    def test_losses_before_it_was_alone(self) -> None:
        """They are no reason to divide it afterwards."""
        suspicion = Suspicion(MAX_LOST_CONNECTIONS - 1)
        for server_id in ("A", "B"):
            suspicion.lost(CUT, server_id, 0.0)
        for server_id in ("A", "B"):
            self.assertIsNone(suspicion.connected(server_id))
        self.assertEqual((suspicion.is_alone, suspicion.lost_connections), (True, MAX_LOST_CONNECTIONS))

    def test_bounded(self) -> None:
        """The oldest servers are forgotten."""
        suspicion = Suspicion(is_alone=True)
        for number in range(MAX_SERVERS + 1):
            suspicion.lost(CUT, f"S{number}", 0.0)
        self.assertIsNone(suspicion.connected("S0"))
        self.assertIs(suspicion.connected("S1"), CUT)
