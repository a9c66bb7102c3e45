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
        self.looked_at = self.ended = 0
        self.is_in_order = True
        self.flushes = Flushes(self.clock, self.find_held, lambda: self.is_in_order)

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

    def end(self, messages: Messages | Batch) -> None:
        self.ended += len(messages.confirmations)
        self.held.remove(messages)

    def fire(self) -> None:
        for ended in self.flushes.take_ended(self.ended):
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
        self.end(first)
        self.fire()
        for wait in waits[:2]:
            self.successResultOf(wait)
        self.assertNoResult(waits[2])
        self.end(second)
        self.fire()
        self.successResultOf(waits[2])
        self.assertEqual(self.flushes.take_ended(2), [])

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
        self.is_in_order = False
        self.fire()
        self.assertNoResult(wait)
        self.end(old)
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
            self.ended += 1
            self.fire()
        self.assertEqual(self.looked_at, 10)

    def test_many_flushes(self) -> None:
        """A flush behind each of many messages: each end of a message costs the same, however many there are."""
        fired: list[int] = []
        for number in range(1000):
            self.publish()
            self.flushes.add().addCallback(lambda _, number=number: fired.append(number))
        for number in range(1000):
            self.assertEqual(len(fired), number)
            self.end(self.held[0])
            self.fire()
        self.assertEqual(fired, [*range(1000)])
        self.assertLess(self.looked_at, 1001)

    def test_nothing_has_ended(self) -> None:
        """Then no flush has, and nothing is looked at: confirmed messages that are sent again get PONGs, too."""
        self.held += [Batch([], b"PUB a 0\r\n\r\n") for _ in range(1000)]
        waited_for = self.publish()
        wait = self.flushes.add()
        self.fire()
        self.looked_at = 0
        while len(self.held) > 1:
            self.held.pop(0)
            self.fire()
        self.assertEqual(self.looked_at, 0)
        self.end(waited_for)
        self.fire()
        self.successResultOf(wait)

    def test_added_after_the_last_look(self) -> None:
        """A flush without earlier messages does not wait until one ends."""
        self.fire()
        wait = self.flushes.add()
        self.fire()
        self.successResultOf(wait)
        last = self.flushes.add()
        self.fire()
        self.successResultOf(last)
