"""natsroute.kamailio.kemi.worker"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.kemi import worker
from natsroute.kamailio.kemi.worker import Job, Worker
from natsroute.routes.event import Event
from tests.support.kemi_scripts import new_event


class MemoryInstance:
    """A script that writes down what it is called with, and does what the test says."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.closed = False
        self.max_batch = 1
        self.batches: list[int] = []
        self.seconds = 0.0  # that a batch takes
        self.do: Callable[[Event], object] = lambda event: None

    def run(self, event: Event) -> object:
        self.seen.append(event.data)
        return self.do(event)

    def run_batch(self, events: Sequence[Event]) -> list[tuple[int, Exception]]:
        self.batches.append(len(events))
        worker.perf_counter.advance(self.seconds)  # type: ignore[attr-defined]
        failures: list[tuple[int, Exception]] = []
        for index, event in enumerate(events):
            try:
                self.run(event)
            except Exception as error:
                failures.append((index, error))
        return failures

    def close(self) -> None:
        self.closed = True


class Stopwatch:
    """``perf_counter()`` of a test."""

    def __init__(self) -> None:
        self.now = 0.0

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class WorkerCase(SynchronousTestCase):
    """A test with the loop of the thread; here it runs in the thread of the test, until it pauses."""

    def setUp(self) -> None:
        self.inbox: deque[Event | Job] = deque()
        self.instance = MemoryInstance()
        self.notified: list[object] = []
        self.may_begin = True
        self.on_pause: Callable[[], object] = lambda: self.worker.end()
        self.on_call: Callable[[Callable[[], object]], object] = lambda function: function()
        self.worker = self.new_worker(lambda worker: self.instance)

    def new_worker(self, new_instance: Callable[[Worker], Any]) -> Worker:
        """A worker whose thread is not started."""

        def pause() -> None:
            self.notified.append("pause")
            self.on_pause()

        return Worker(
            "test",
            self.inbox,
            new_instance,
            may_begin=lambda: self.may_begin,
            on_loaded=self.notified.append,
            on_pause=pause,
            on_ended=lambda: self.notified.append("ended"),
            call_from_thread=lambda function: self.on_call(function),
        )

    def run_worker(self, *items: Event | Job) -> None:
        """Run the loop with these in the inbox."""
        self.inbox.extend(items)
        self.worker._main()


class WorkerTests(WorkerCase):
    """The thread of an instance."""

    def test_in_order(self) -> None:
        """It handles what is in the inbox in order, and counts it; then it pauses, and ends when the test wants it."""
        self.run_worker(*(new_event(b"%d" % number) for number in range(12)))
        self.assertEqual(self.instance.seen, [b"%d" % number for number in range(12)])
        self.assertEqual((self.worker.done, self.worker.done_bytes, list(self.worker.results)), (12, 14, []))
        self.assertEqual((self.notified, self.instance.closed), ([None, "pause", "ended"], True))

    def test_failures(self) -> None:
        """A call that fails does not keep the next one from running, whatever it raised."""

        def fail(event: Event) -> None:
            raise {b"0": KeyError, b"1": SystemExit, b"3": KeyboardInterrupt}.get(event.data, ValueError)(event.data)

        self.instance.do = fail
        self.run_worker(*(new_event(b"%d" % number) for number in range(4)))
        results = list(self.worker.results)
        self.assertEqual([result.number for result in results], [1, 2, 3, 4])
        types = [result.failure and result.failure.type for result in results]
        self.assertEqual(types, [KeyError, SystemExit, ValueError, KeyboardInterrupt])
        self.assertEqual(self.worker.done, 4)

    def test_jobs(self) -> None:
        """Of a job there is a result in any case. It counts no bytes."""
        job = Job(new_event(b"12"), Deferred())
        self.run_worker(job, new_event(b"3"))
        (result,) = self.worker.results
        self.assertEqual((result.number, result.item, result.failure), (1, job, None))
        self.assertEqual((self.worker.done, self.worker.done_bytes), (2, 1))

    def test_begins_no_calls_when_it_may_not(self) -> None:
        """What was not begun stays in the inbox."""

        def stop(event: Event) -> None:
            self.may_begin = False

        self.instance.do = stop
        self.run_worker(new_event(b"1"), new_event(b"2"))
        self.assertEqual((self.instance.seen, len(self.inbox)), ([b"1"], 1))

    def test_ends_between_calls(self) -> None:
        self.instance.do = lambda event: self.worker.end()
        self.run_worker(new_event(b"1"), new_event(b"2"))
        self.assertEqual((self.instance.seen, len(self.inbox), self.notified[-1]), ([b"1"], 1, "ended"))

    def test_sleeps_until_it_is_woken(self) -> None:
        """While it is awake, waking it costs nothing; it sleeps only if there is nothing to do."""
        self.on_pause = self.pauses(lambda: self.inbox.append(new_event(b"2")), self.worker.wake, self.worker.end)
        self.worker.asleep = True
        self.worker.wake()  # as if the other thread had done it between two looks
        self.run_worker(new_event(b"1"))
        self.assertEqual(self.instance.seen, [b"1", b"2"])

    @staticmethod
    def pauses(*actions: Callable[[], object]) -> Callable[[], None]:
        """Does one of these at each pause."""
        left = deque(actions)
        return lambda: None if not left else (left.popleft()(), None)[1]

    def test_script_that_cannot_be_loaded(self) -> None:
        def fail(worker: Worker) -> Any:
            raise SystemExit

        self.worker = self.new_worker(fail)
        self.run_worker(new_event())
        failure, ended = self.notified
        assert isinstance(failure, Failure)
        self.assertEqual((failure.type, ended), (SystemExit, "ended"))
        self.assertEqual(len(self.inbox), 1)


class BatchTests(WorkerCase):
    """An instance that takes several messages at once."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(worker, "perf_counter", Stopwatch())
        self.instance.max_batch = 8

    def test_sizes(self) -> None:
        """They double while they take little time. All messages are handled in order."""
        self.run_worker(*(new_event(b"%d" % number) for number in range(25)))
        self.assertEqual(self.instance.batches, [1, 2, 4, 8, 8, 2])
        self.assertEqual(self.instance.seen, [b"%d" % number for number in range(25)])
        self.assertEqual((self.worker.done, self.worker.done_bytes), (25, 40))

    def test_slow_script(self) -> None:
        """One that takes its time gets one message after the other, so that each counts when it has ended."""
        self.instance.do = lambda event: setattr(self.instance, "seconds", 0.01 if len(self.instance.seen) >= 7 else 0)
        self.run_worker(*(new_event() for _ in range(25)))
        self.assertEqual(self.instance.batches[:7], [1, 2, 4, 8, 2, 1, 1])
        self.assertEqual(set(self.instance.batches[5:]), {1})

    def test_neither_fast_nor_slow(self) -> None:
        self.instance.seconds = 0.002
        self.run_worker(*(new_event() for _ in range(3)))
        self.assertEqual(self.instance.batches, [1, 1, 1])

    def test_failures(self) -> None:
        """Each has the number of its call."""
        self.worker._batch = 4

        def fail(event: Event) -> None:
            if event.data == b"bad":
                raise KeyError

        self.instance.do = fail
        events = [new_event(data) for data in (b"1", b"bad", b"2", b"bad", b"3")]
        self.run_worker(*events)
        self.assertEqual([(one.number, one.item) for one in self.worker.results], [(2, events[1]), (4, events[3])])

    def test_jobs(self) -> None:
        """A job is a call of its own, in its place."""
        self.worker._batch = 8
        job = Job(new_event(b"2"), Deferred())
        self.run_worker(new_event(b"0"), new_event(b"1"), job, new_event(b"3"))
        self.assertEqual((self.instance.seen, self.instance.batches), ([b"0", b"1", b"2", b"3"], [2, 1]))
        self.assertEqual([one.number for one in self.worker.results], [3])
        self.assertEqual(self.worker.current, [self.worker.current[0]])


class OutboxTests(WorkerCase):
    """What a script publishes."""

    def take(self, count: int) -> None:
        """Take messages out of the outbox, as the reactor's thread does."""
        for _ in range(count):
            _, payload, _ = self.worker.outbox.popleft()
            self.worker.taken_bytes += len(payload)
        self.worker.made_space()

    def test_publish(self) -> None:
        self.instance.do = lambda event: self.worker.publish(b"a", event.data, b"r")
        self.run_worker(new_event(b"1"), new_event(b"2"))
        self.assertEqual(list(self.worker.outbox), [(b"a", b"1", b"r"), (b"a", b"2", b"r")])
        self.assertEqual(self.worker.published_bytes, 2)

    def test_several(self) -> None:
        """They count as each alone does."""
        self.patch(worker, "MAX_OUTBOX_MESSAGES", 3)
        self.instance.do = lambda event: self.worker.publish_all([(b"a", b"12", None), (b"b", b"3", b"r")])
        waits: list[int] = []

        def on_pause() -> None:
            waits.append(len(self.worker.outbox))
            self.take(len(self.worker.outbox))
            if len(waits) == 2:
                self.worker.end()

        self.on_pause = on_pause
        self.run_worker(new_event(), new_event())
        self.assertEqual((waits, self.worker.published_bytes, self.worker.taken_bytes), ([4, 0], 6, 6))

    def test_waits_for_space(self) -> None:
        """A full outbox wakes the other thread, and the script waits until it is half empty."""
        self.patch(worker, "MAX_OUTBOX_MESSAGES", 4)
        left: list[int] = []

        def publish(event: Event) -> None:
            self.worker.publish(b"a", b"x")
            left.append(len(self.worker.outbox))

        self.instance.do = publish
        takes = iter([3, 3])
        self.on_pause = lambda: self.take(next(takes, 0)) if len(self.worker.outbox) >= 4 else self.worker.end()
        self.run_worker(*(new_event() for _ in range(8)))
        self.assertEqual(left, [1, 2, 3, 1, 2, 3, 1, 2])

    def test_publishes_without_end_at_the_end(self) -> None:
        """What is published ends the call at some time, so that it neither fills the memory nor goes on for ever."""
        self.patch(worker, "MAX_OUTBOX_MESSAGES", 4)

        def publish(event: Event) -> None:
            for _ in range(100):
                self.worker.publish(b"a", b"x")

        self.instance.do = publish
        self.on_pause = lambda: self.worker.end()
        self.run_worker(new_event())
        self.assertEqual((len(self.worker.outbox), self.worker.done), (16, 1))
        failure = self.worker.results[0].failure
        assert failure is not None
        self.assertIsInstance(failure.value, PublisherStoppedError)
        self.assertRaises(PublisherStoppedError, self.worker.publish_all, [(b"a", b"x", None)])

    def test_waits_for_bytes(self) -> None:
        """So do few large messages. It waits while only a little was taken."""
        self.patch(worker, "MAX_OUTBOX_BYTES", 100)
        self.instance.do = lambda event: self.worker.publish(b"a", b"x" * 40)
        waits = 0

        def on_pause() -> None:
            nonlocal waits
            if len(self.worker.outbox) < 3:
                self.worker.end()
                return
            waits += 1
            self.take(1)
            self.worker._space.put(None)  # somebody woke it too early
            if waits == 3:
                self.take(2)

        self.on_pause = on_pause
        self.run_worker(*(new_event() for _ in range(3)))
        self.assertEqual((self.worker.done, waits >= 1), (3, True))

    def test_end_while_it_waits(self) -> None:
        """Then nobody takes anything any more: the call goes on."""
        self.patch(worker, "MAX_OUTBOX_MESSAGES", 2)
        self.instance.do = lambda event: [self.worker.publish(b"a", b"x") for _ in range(5)]
        self.run_worker(new_event(), new_event())
        self.assertEqual((self.worker.done, len(self.worker.outbox)), (1, 5))


class AskTests(WorkerCase):
    """A script that waits for an answer."""

    def ask(self, request: Callable[[], Deferred[Any]]) -> list[Any]:
        """What a script gets that asks, or what that raises."""
        outcomes: list[Any] = []

        def ask(event: Event) -> None:
            try:
                outcomes.append(self.worker.ask(request))
            except Exception as error:
                outcomes.append(error)

        self.instance.do = ask
        pauses = iter([lambda: None, self.worker.end])
        self.on_pause = lambda: next(pauses)()
        self.run_worker(new_event())
        return outcomes

    def test_answer(self) -> None:
        """What was published before is taken first."""
        order: list[str] = []

        def call(function: Callable[[], object]) -> None:
            order.append(f"call after {len(self.notified)}")
            function()

        self.on_call = call
        self.assertEqual(self.ask(lambda: succeed(b"answer")), [b"answer"])
        self.assertEqual((order, self.notified[:2]), (["call after 2"], [None, "pause"]))

    def test_failure(self) -> None:
        def raises() -> Deferred[Any]:
            raise LookupError

        for request in (lambda: fail(LookupError()), raises):
            [outcome] = self.ask(request)
            self.assertIsInstance(outcome, LookupError)
            self.worker = self.new_worker(lambda worker: self.instance)

    def test_the_end(self) -> None:
        """Nobody waits for an answer any more."""
        asked: list[Deferred[Any]] = []

        def request() -> Deferred[Any]:
            asked.append(Deferred())
            return asked[0]

        def call(function: Callable[[], object]) -> None:
            function()
            self.worker.end()
            function()  # the call may come after the end

        self.on_call = call
        [outcome] = self.ask(request)
        self.assertIsInstance(outcome, PublisherStoppedError)
        self.assertEqual((len(asked), asked[0].called), (1, True))
        self.assertRaises(PublisherStoppedError, self.worker.ask, Deferred)
