"""natsroute.monitoring.traced_messages"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.monitoring.sampling import RateLimit, Rests, Sampler, Sampling
from natsroute.monitoring.traced_messages import TracedMessages
from natsroute.wire.frames import Address
from natsroute.wire.headers import encode_headers
from tests.support.log_recorder import LogRecorder

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"


def call(function: Callable[[Event], object], event: Event) -> object:
    """Stands for a call in a span."""
    return function(event)


def event(**headers: str) -> Event:
    """A message."""
    return Event(Address("a", 1), b"", encode_headers(headers) if headers else b"")


class WantsTests(SynchronousTestCase):
    """Which messages are traced."""

    def messages(self, ratio: float, rate: int = 0) -> TracedMessages:
        self.passed_on: list[Any] = []
        return TracedMessages(Sampler(Sampling(ratio), RateLimit(rate, lambda: 0.0)), call, self.passed_on.append)

    def test_parent(self) -> None:
        """It decides, whatever the ratio. What an untraced one publishes carries it."""
        sampled, unsampled = event(traceparent=PARENT + "1"), event(traceparent=PARENT + "0")
        for ratio in (0.0, 1.0):
            messages = self.messages(ratio)
            self.assertEqual((messages.wants(sampled), messages.wants(unsampled)), (True, False))
            self.assertEqual(self.passed_on, [unsampled])

    def test_without_a_parent(self) -> None:
        """The ratio and the limit decide, with other headers or without."""
        for one in (event(), event(other="x"), event(traceparent="malformed")):
            self.assertEqual((self.messages(0.0).wants(one), self.messages(1.0).wants(one)), (False, True))
        limited = self.messages(1.0, 2)
        self.assertEqual([limited.wants(event()) for _ in range(4)], [True, True, False, False])
        self.assertEqual([limited.may_begin(), self.messages(1.0, 2).may_begin()], [False, True])

    def test_gap(self) -> None:
        """It is that of the sampling."""
        self.assertEqual((self.messages(1.0).gap(), self.messages(0.0).gap()), (1, float("inf")))

    def test_rests(self) -> None:
        """Only with a clock."""
        ended: list[bool] = []
        self.assertFalse(self.messages(1.0, 1).rests(lambda: ended.append(True)))
        clock = Clock()
        LogRecorder(self)
        limit = RateLimit(1, clock.seconds)
        messages = TracedMessages(Sampler(Sampling(), limit), call, self.passed_on.append, Rests(clock, limit))
        self.assertEqual((messages.may_begin(), messages.may_begin()), (True, False))
        self.assertTrue(messages.rests(lambda: ended.append(messages.may_begin())))
        clock.advance(1)
        self.assertEqual(ended, [True])
