"""How long confirmations take, as natsroute.publishing.publisher reports it."""

from __future__ import annotations

from natsroute.errors import PermissionsError
from tests.support.memory_publisher import PublisherTestCase


class BatchTests(PublisherTestCase):
    """The time from publishing to the PONG, for each batch of one worker."""

    def test_batch(self) -> None:
        """It counts from its first message."""
        for _ in range(3):
            self.publisher.publish("a", b"")
        self.turn()
        self.clock.advance(0.5)
        self.pong()
        self.assertEqual(self.confirmed, [(1, 0.5, 3)])

    def test_failed(self) -> None:
        """What the server refuses is not confirmed; the others of the batch are."""
        waits = [self.publisher.publish(subject, b"") for subject in "abaa"]
        self.turn()
        self.refuse('Permissions Violation for Publish to "b"')
        self.clock.advance(0.5)
        self.pong()
        self.assertEqual(sum(count for _, _, count in self.confirmed), 3)
        self.assertEqual({seconds for _, seconds, _ in self.confirmed}, {0.5})
        self.failureResultOf(waits[1], PermissionsError)

    def test_outage(self) -> None:
        """A message that is sent again counts once, with the time of the outage."""
        self.publisher.publish("a", b"")
        self.turn()
        self.disconnect()
        self.clock.advance(10.0)
        self.connect()
        self.turn()
        self.pong()
        self.assertEqual(self.confirmed, [(1, 10.0, 1)])


class WorkersTests(PublisherTestCase):
    """Two workers."""

    workers = 2

    def test_number(self) -> None:
        """Each reports its number, the first is 1."""
        for number in range(100):
            self.publisher.publish(f"s.{number}", b"")
        self.clock.advance(0)
        counts = [link.sent().count(b"PUB ") for link in self.links]
        for link in self.links:
            link.pings.pop().callback(None)
        self.assertEqual(self.confirmed, [(1, 0.0, counts[0]), (2, 0.0, counts[1])])
