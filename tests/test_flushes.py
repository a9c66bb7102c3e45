"""natsroute.publishing.flushes; tests.test_worker has flush()"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.publishing.batches import Batch, Messages
from natsroute.publishing.flushes import Flushes
from tests.test_batches import messages_of


class FlushesTests(SynchronousTestCase):
    """A flush waits for the messages before it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.held: list[Messages | Batch] = []
        self.looked_at = 0
        self.flushes = Flushes(self.clock, self.find_held)

    def find_held(self) -> Iterator[Messages | Batch]:
        for messages in self.held:
            self.looked_at += 1
            yield messages

    def publish(self) -> Messages:
        messages = messages_of(b"PUB a 0\r\n\r\n")
        self.clock.advance(1)
        messages.since = self.clock.seconds()
        self.held.append(messages)
        return messages

    def fire(self) -> None:
        for ended in self.flushes.take_ended():
            ended()

    def test_earlier_and_later_messages(self) -> None:
        first = self.publish()
        waits = [self.flushes.add() for _ in range(2)]
        second = self.publish()
        waits.append(self.flushes.add())
        self.publish()
        self.fire()
        for wait in waits:
            self.assertNoResult(wait)
        self.held.remove(first)
        self.fire()
        for wait in waits[:2]:
            self.successResultOf(wait)
        self.assertNoResult(waits[2])
        self.held.remove(second)
        self.fire()
        self.successResultOf(waits[2])
        self.assertEqual(self.flushes.take_ended(), [])

    def test_order(self) -> None:
        """They fire in the order of the calls; also without any message."""
        fired: list[int] = []
        waits: list[Deferred[None]] = [self.flushes.add() for _ in range(3)]
        for number, wait in enumerate(waits):
            wait.addCallback(lambda _, number=number: fired.append(number))
        self.fire()
        self.assertEqual(fired, [0, 1, 2])

    def test_a_message_out_of_order(self) -> None:
        """An older message may stand behind a newer one, when the server refused something."""
        old = self.publish()
        wait = self.flushes.add()
        self.publish()
        self.held.reverse()
        self.fire()
        self.assertNoResult(wait)
        self.held.remove(old)
        self.fire()
        self.successResultOf(wait)

    def test_messages_that_were_confirmed(self) -> None:
        """They are sent again, and nobody waits for them."""
        self.held.append(Batch([], b"PUB a 0\r\n\r\n"))
        wait = self.flushes.add()
        self.fire()
        self.successResultOf(wait)

    def test_a_backlog(self) -> None:
        """While the oldest message waits, no other is looked at."""
        for _ in range(1000):
            self.publish()
        self.flushes.add()
        self.looked_at = 0
        for _ in range(10):
            self.fire()
        self.assertEqual(self.looked_at, 10)
