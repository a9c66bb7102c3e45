"""natsroute.jetstream.publishing.payload_queue"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.confirmation import Confirmation
from natsroute.jetstream.publishing.outgoing_message import OutgoingMessage
from natsroute.jetstream.publishing.payload_queue import PayloadQueue
from tests.support.memory_publisher import MemoryPool


class PayloadQueueTests(SynchronousTestCase):
    """One payload at a time."""

    def setUp(self) -> None:
        self.pool = MemoryPool()
        self.has_space = True
        self.made: list[tuple[int, bytes | Failure]] = []
        self.queue = PayloadQueue(
            self.pool, lambda: self.has_space, lambda message, made: self.made.append((message.number, made))
        )

    def add(self, number: int) -> OutgoingMessage:
        """A message with a payload to make."""
        message = OutgoingMessage(Confirmation(), b"", 0, None, number, 0.0)
        self.queue.add(message, lambda: b"%d" % number)
        return message

    def test_order(self) -> None:
        for number in range(3):
            self.add(number)
        self.assertEqual(len(self.pool.work), 1)
        for _ in range(3):
            self.pool.run_next()
        self.assertEqual(self.made, [(0, b"0"), (1, b"1"), (2, b"2")])
        self.assertEqual(len(self.queue.queue), 0)

    def test_space(self) -> None:
        """It waits for space."""
        self.has_space = False
        self.add(0)
        self.queue.go_on()
        self.assertEqual(self.pool.work, [])
        self.has_space = True
        self.queue.go_on()
        self.pool.run_next()
        self.assertEqual(self.made, [(0, b"0")])

    def test_ended(self) -> None:
        """A message that has ended needs no payload."""
        self.add(0)
        self.add(1).command = None
        self.add(2)
        self.pool.run_next()
        self.pool.run_next()
        self.assertEqual([number for number, _ in self.made], [0, 2])

    def test_raises(self) -> None:
        message = OutgoingMessage(Confirmation(), b"", 0, None, 1, 0.0)
        self.queue.add(message, lambda: b"%d" % (1 // 0))
        self.add(2)
        self.pool.run_next()
        failure = self.made[0][1]
        assert isinstance(failure, Failure)
        self.assertTrue(failure.check(ZeroDivisionError))
        self.pool.run_next()
        self.assertEqual(self.made[1], (2, b"2"))

    def test_pool_fails(self) -> None:
        """The pool does not run it."""

        def broken(function: object) -> Deferred[None]:
            return fail(OSError("no thread"))

        queue = PayloadQueue(broken, lambda: True, lambda message, made: self.made.append((message.number, made)))
        queue.add(OutgoingMessage(Confirmation(), b"", 0, None, 1, 0.0), lambda: b"")
        failure = self.made[0][1]
        assert isinstance(failure, Failure)
        self.assertTrue(failure.check(OSError))
