"""natsroute.jetstream.publishing.stream_subject"""

from __future__ import annotations

import random

from natsroute.jetstream.publishing.stream_options import StreamPublishOptions
from natsroute.jetstream.publishing.stream_subject import Phase
from tests.support.stream_publisher_case import StreamPublisherTestCase, Written


class WindowTests(StreamPublisherTestCase):
    """How many messages to one subject are in flight."""

    options = StreamPublishOptions(window=2)

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)

    def test_window(self) -> None:
        for number in range(5):
            self.publish("calls.a", b"%d" % number)
        self.publish("calls.b", b"b")
        written = self.turn()
        self.assertEqual([one.data for one in written], [b"0", b"1", b"b"])
        self.acknowledge(written[0])
        self.assertEqual([one.data for one in self.turn()], [b"2"])
        self.acknowledge(written[1])
        self.assertEqual([one.data for one in self.turn()], [b"3"])

    def test_after_a_connection(self) -> None:
        """The window holds for what is sent again."""
        for number in range(3):
            self.publish("calls.a", b"%d" % number)
        self.turn()
        again = self.reconnect()
        self.assertEqual([one.data for one in again], [b"0", b"1"])
        self.acknowledge(again[0])
        self.assertEqual([one.data for one in self.turn()], [b"2"])


class OrderTests(StreamPublisherTestCase):
    """The order of the messages to one subject."""

    def setUp(self) -> None:
        super().setUp()
        self.connected(self.client)

    def test_failure_in_the_middle(self) -> None:
        """Nothing more is sent until those in flight are answered; then the first one alone, and the rest in order."""
        for number in range(6):
            self.publish("calls.a", b"%d" % number)
        written = self.turn()
        self.acknowledge(written[0])
        self.no_responders(written[2])
        self.publish("calls.a", b"new")
        self.publish("calls.b", b"b")
        self.assertEqual([one.data for one in self.turn()], [b"b"])
        self.no_responders(written[5], written[1])
        self.acknowledge(written[4])
        self.clock.advance(2)
        self.assertEqual(self.turn(), [])
        self.no_responders(written[3])
        self.clock.advance(0.25)
        (first,) = self.turn()
        self.assertEqual(first.data, b"1")
        self.assertIs(self.publisher.subject("calls.a").phase, Phase.PROBING)
        self.acknowledge(first)
        self.assertEqual([one.data for one in self.turn()], [b"2", b"3", b"5", b"new"])
        self.assertIs(self.publisher.subject("calls.a").phase, Phase.OPEN)

    def test_gathered_when_one_fails(self) -> None:
        """A message of the same turn is not written."""
        self.publish("calls.a", b"1")
        written = self.turn()
        self.publish("calls.a", b"2")
        self.no_responders(*written)
        self.assertEqual(self.turn(), [])
        self.clock.advance(0.25)
        (first,) = self.turn()
        self.acknowledge(first)
        self.assertEqual([one.data for one in (first, *self.turn())], [b"1", b"2"])

    def test_refused_attempt(self) -> None:
        """The first message is refused for good: the next one is sent."""
        refused = self.publish("calls.a", b"1")
        self.publish("calls.a", b"2")
        self.no_responders(*self.turn())
        self.clock.advance(0.25)
        self.refuse(self.turn()[0], 400, 10071, "wrong last sequence: 1")
        self.assertEqual([one.data for one in self.turn()], [b"2"])
        refused.addErrback(lambda _: None)

    def test_cancelled_while_blocked(self) -> None:
        """All that waited are withdrawn: the subject is open again."""
        first, second = self.publish("calls.a", b"1"), self.publish("calls.a", b"2")
        self.no_responders(*self.turn())
        for wait in (first, second):
            wait.addErrback(lambda _: None)
            wait.cancel()
        self.clock.advance(0.25)
        self.assertEqual(self.turn(), [])
        self.publish("calls.a", b"3")
        self.assertEqual([one.data for one in self.turn() + self.written()], [b"3"])
        self.assertEqual(self.counts(), (3, 0, 2, 0, 1))


class RandomTests(StreamPublisherTestCase):
    """Anything in any order: each message is stored and acknowledged in the end."""

    options = StreamPublishOptions(window=100, max_age=0)

    def test_random(self) -> None:
        for seed in range(40):
            with self.subTest(seed=seed):
                self.setUp()
                self.play(random.Random(seed))

    def play(self, dice: random.Random) -> None:
        """Publish to a stream that comes and goes."""
        self.connected(self.client)
        published: dict[str, list[bytes]] = {"calls.a": [], "calls.b": []}
        stored: dict[str, list[bytes]] = {"calls.a": [], "calls.b": []}
        in_flight: list[Written] = []
        has_leader, number = True, 0
        for _ in range(120):
            what = dice.random()
            if what < 0.4 and len(self.publisher.unacknowledged) < 40:
                subject = dice.choice([*published])
                published[subject].append(b"%d" % number)
                headers = {"A": "b"} if dice.random() < 0.2 else None
                self.publish(subject, b"%d" % number, headers)
                number += 1
            elif what < 0.45:
                has_leader = not has_leader
            elif what < 0.48:
                in_flight = self.reconnect()
            elif what < 0.6:
                self.clock.advance(dice.choice([0.0, 0.1, 1.0]))
            elif in_flight and dice.random() < 0.9:
                self.handle(in_flight.pop(0), stored, has_leader=has_leader, is_lost=dice.random() < 0.05)
            in_flight += self.turn()
        for _ in range(150):
            in_flight += self.turn()
            while in_flight:
                self.handle(in_flight.pop(0), stored, has_leader=True, is_lost=False)
            self.clock.advance(0.5)
        total = sum(map(len, published.values()))
        self.assertEqual(self.counts(), (total, total, 0, 0, 0))
        for subject, messages in published.items():
            self.assertEqual(sorted(stored[subject]), sorted(messages))

    def handle(self, written: Written, stored: dict[str, list[bytes]], *, has_leader: bool, is_lost: bool) -> None:
        """A server takes a message."""
        if not has_leader:
            self.no_responders(written)
            return
        if written.data not in stored[written.subject]:
            stored[written.subject].append(written.data)
        if not is_lost:
            self.acknowledge(written)


class StrictOrderTests(RandomTests):
    """With a window of one message, the order holds in every case."""

    options = StreamPublishOptions(window=1, max_age=0)

    def play(self, dice: random.Random) -> None:
        super().play(dice)
        for subject in ("calls.a", "calls.b"):
            numbers = [int(data) for data in self.stored_order[subject]]
            self.assertEqual(numbers, sorted(numbers))

    def handle(self, written: Written, stored: dict[str, list[bytes]], *, has_leader: bool, is_lost: bool) -> None:
        self.stored_order = stored
        super().handle(written, stored, has_leader=has_leader, is_lost=is_lost)
