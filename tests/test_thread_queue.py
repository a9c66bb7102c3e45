"""natsroute.publishing.thread_queue"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PublishBufferFullError
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.thread_queue import ThreadQueue
from natsroute.turns import MAX_TURN


class ThreadQueueTests(SynchronousTestCase):
    """Calls from any thread into the reactor thread: in order, and not too many."""

    def setUp(self) -> None:
        self.asked: list[Callable[[], None]] = []
        self.made: list[object] = []
        self.clock = Clock()
        self.queue = ThreadQueue(self.clock, PublishLimits(messages=3, bytes=10), self.asked.append)

    def test_order(self) -> None:
        """The reactor is asked once, until it has come."""
        self.queue.put(1, self.made.append, 1)
        self.queue.put_failure(self.made.append, 2)
        self.queue.put(1, self.made.append, 3)
        self.assertEqual((self.made, len(self.asked)), ([], 1))
        self.asked.pop()()
        self.assertEqual((self.made, self.asked), ([1, 2, 3], []))
        self.queue.put(1, self.made.append, 4)
        self.assertEqual(len(self.asked), 1)

    def test_run_all_twice(self) -> None:
        """What was made already is not made again when the reactor comes."""
        self.queue.put(1, self.made.append, 1)
        self.queue.run_all()
        self.asked.pop()()
        self.assertEqual(self.made, [1])

    def test_a_call_that_adds_one(self) -> None:
        """It is made, too."""
        self.queue.put(1, self.queue.put, 1, self.made.append, 1)
        self.queue.run_all()
        self.assertEqual(self.made, [1])

    def test_messages(self) -> None:
        for _ in range(3):
            self.queue.put(0, self.made.append, 0)
        error = self.assertRaises(PublishBufferFullError, self.queue.put, 0, self.made.append, 1)
        self.assertEqual((error.messages, error.max_messages, error.bytes, error.max_bytes), (3, 3, 0, 10))
        self.queue.put_failure(self.made.append, 2)
        self.queue.run_all()
        self.assertEqual(self.made, [0, 0, 0, 2])
        self.queue.put(0, self.made.append, 3)

    def test_bytes(self) -> None:
        self.queue.put(4, self.made.append, 0)
        self.assertRaises(PublishBufferFullError, self.queue.put, 7, self.made.append, 1)
        self.queue.put(6, self.made.append, 2)
        error = self.assertRaises(PublishBufferFullError, self.queue.put, 1, self.made.append, 3)
        self.assertEqual((error.messages, error.bytes), (2, 10))
        self.queue.run_all()
        self.assertEqual(self.made, [0, 2])
        self.queue.put(10, self.made.append, 4)

    def test_failures_count_for_nothing(self) -> None:
        for _ in range(3):
            self.queue.put_failure(self.made.append, 0)
        self.queue.put(10, self.made.append, 1)
        self.assertEqual((self.queue._messages, self.queue._bytes), (1, 10))
        self.queue.run_all()
        self.assertEqual((self.made, self.queue._messages, self.queue._bytes), ([0, 0, 0, 1], 0, 0))

    def test_a_call_that_raises(self) -> None:
        """It is logged, and those behind it are made."""
        self.queue.put_failure(lambda: 1 / 0)
        self.queue.put_failure(self.made.append, 1)
        self.asked.pop()()
        self.queue.put_failure(self.made.append, 2)
        self.asked.pop()()
        self.assertEqual(self.made, [1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def put_slow(self, count: int) -> None:
        """Calls that take a millisecond each."""

        def make(number: int) -> None:
            self.clock.rightNow += 0.001
            self.made.append(number)

        for number in range(count):
            self.queue.put_failure(make, number)

    def test_turns(self) -> None:
        """The reactor has other things to do after 5 ms. Calls that come meanwhile are made after all others."""
        self.put_slow(20)
        turns = 0
        while self.asked:
            self.assertEqual(len(self.asked), 1)
            before = self.clock.seconds()
            self.asked.pop()()
            self.assertLessEqual(self.clock.seconds() - before, MAX_TURN + 0.0015)
            if not turns:
                self.queue.put(1, self.made.append, 20)
            turns += 1
        self.assertEqual(self.made, [*range(21)])
        self.assertGreater(turns, 2)

    def test_after_all(self) -> None:
        """At once, or behind the calls that wait; calls that come later are made after it."""
        self.queue.after_all(lambda: self.made.append("at once"))
        self.assertEqual(self.made.pop(), "at once")
        self.put_slow(2)
        self.queue.after_all(lambda: self.made.append("after two"))
        self.assertEqual(self.made, [0, 1, "after two"])
        self.made.clear()
        self.put_slow(20)
        self.queue.after_all(lambda: self.made.append("after all"))
        self.queue.put(1, self.made.append, "later")
        self.assertNotIn("after all", self.made)
        while self.asked:
            self.asked.pop()()
        self.assertEqual(self.made, [*range(20), "after all", "later"])

    def test_run_all(self) -> None:
        """However long it takes."""
        self.put_slow(20)
        self.queue.run_all()
        self.assertEqual(self.made, [*range(20)])
        self.asked.pop()()
        self.assertEqual(self.asked, [])

    def test_many_threads(self) -> None:
        """Nothing is lost or counted twice."""
        queue = ThreadQueue(self.clock, PublishLimits(messages=100_000, bytes=10**9), self.asked.append)
        threads = [
            Thread(target=lambda: [queue.put(1, self.made.append, number) for number in range(500)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            queue.run_all()
        for thread in threads:
            thread.join()
        queue.run_all()
        self.assertEqual(sorted(self.made), sorted([*range(500)] * 8))
        self.assertEqual((queue._messages, queue._bytes), (0, 0))
