"""natsroute.client.transport.flow_control; tests.test_protocol has its use on a connection"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.transport.flow_control import FlowControl
from natsroute.errors import SlowConsumerError


class FlowControlTests(SynchronousTestCase):
    """FlowControl"""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.flow = FlowControl(self.clock)

    def pause(self, seconds: float) -> int | None:
        """Pause for a time; returns the number of the pause if the server should be pinged."""
        self.flow.pause(self.transport)
        self.clock.advance(seconds)
        return self.flow.resume(self.transport)

    def test_transport(self) -> None:
        """It is paused and resumed, each once."""
        calls: list[str] = []
        self.patch(self.transport, "pauseProducing", lambda: calls.append("pause"))
        self.patch(self.transport, "resumeProducing", lambda: calls.append("resume"))
        self.flow.resume(self.transport)
        self.assertFalse(self.flow.paused)
        self.flow.pause(self.transport)
        self.flow.pause(self.transport)
        self.assertTrue(self.flow.paused)
        self.flow.resume(self.transport)
        self.flow.resume(self.transport)
        self.assertFalse(self.flow.paused)
        self.assertEqual(calls, ["pause", "resume"])

    def test_never_paused(self) -> None:
        self.clock.advance(100.0)
        self.assertIsNone(self.flow.cut_off())

    def test_a_short_pause(self) -> None:
        self.assertIsNone(self.pause(0.9))
        self.assertIsNone(self.flow.cut_off())

    def test_a_long_pause(self) -> None:
        """The server should be pinged; until it answers, a loss is suspicious."""
        number = self.pause(1.0)
        assert number is not None
        self.clock.advance(100.0)
        error = self.flow.cut_off()
        self.assertIsInstance(error, SlowConsumerError)
        self.assertIn("not read for 1 s", str(error))
        self.flow.answered(number)
        self.assertIsNone(self.flow.cut_off())

    def test_lost_during_a_pause(self) -> None:
        """The pause counts up to now."""
        self.flow.pause(self.transport)
        self.clock.advance(0.9)
        self.assertIsNone(self.flow.cut_off())
        self.clock.advance(0.1)
        self.assertIsNotNone(self.flow.cut_off())

    def test_short_pauses_add_up(self) -> None:
        """As long as the server has not shown that it is there."""
        self.assertIsNone(self.pause(0.6))
        self.assertEqual(self.pause(0.6), 2)
        self.assertIn("not read for 1 s", str(self.flow.cut_off()))

    def test_an_old_answer(self) -> None:
        """It does not cover a later pause, neither one that is over nor one that lasts."""
        number = self.pause(5.0)
        assert number is not None
        self.flow.pause(self.transport)
        self.flow.answered(number)
        self.assertIn("not read for 5 s", str(self.flow.cut_off()))
        self.assertEqual(self.flow.resume(self.transport), number + 1)
        self.flow.answered(number)
        self.assertIn("not read for 5 s", str(self.flow.cut_off()))
        self.flow.answered(number + 1)
        self.assertIsNone(self.flow.cut_off())
