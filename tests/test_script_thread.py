"""natsroute.kamailio.kemi.script_thread"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi import script_thread
from natsroute.kamailio.kemi.script_thread import ScriptThread
from natsroute.kamailio.kemi.worker import Worker
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event
from natsroute.routes.in_flight import CallsInFlight
from tests.support.kemi_scripts import MemoryWorker, new_event
from tests.support.log_recorder import LogRecorder


class Reactor(Clock):
    """A clock to which calls come from the thread at once."""

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        function(*arguments)


class MemoryInstance:
    """A script that publishes what it gets, or fails on ``bad``."""

    max_batch = 1

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.closed = False

    def run(self, event: Event) -> None:
        if event.data == b"bad":
            raise KeyError(event.data)
        self.worker.publish(b"out", event.data or event.name.encode())

    def run_batch(self, events: object) -> Any:
        raise AssertionError("it takes one message after the other")

    def close(self) -> None:
        self.closed = True


class ThreadCase(SynchronousTestCase):
    """A test with an instance whose thread is the test."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = Reactor()
        self.in_flight = CallsInFlight(self.reactor, slow_after=10.0)  # type: ignore[arg-type]
        self.published: list[bytes] = []
        self.on_publish: Callable[[], object] = lambda: None
        self.workers: list[MemoryWorker] = []
        self.patch(script_thread, "Worker", self.new_worker)
        self.thread = ScriptThread(
            self.reactor,
            "a:q",
            __file__,
            MemoryInstance,
            self.publish,
            self.in_flight,
            slow_after=10.0,
            patience=5.0,
            frame_of=lambda thread: sys._getframe(),
        )
        self.counters = RouteCounters("nats:a")
        self.calls = self.thread.calls(self.counters, self.in_flight)

    def new_worker(self, *arguments: Any, **named: Any) -> MemoryWorker:
        self.workers.append(MemoryWorker(*arguments, **named))
        return self.workers[-1]

    @property
    def worker(self) -> MemoryWorker:
        return self.workers[-1]

    def publish(self, subject: str, payload: bytes, reply: str | None) -> None:
        self.published.append(payload)
        self.on_publish()

    def start(self) -> None:
        self.successResultOf(self.thread.start())
        self.thread.resume()

    def hand_over(self, *payloads: bytes) -> list[Any]:
        """Messages, as the runner hands them over: it has counted them."""
        results = []
        for data in payloads:
            self.counters.routed += 1
            results.append(self.calls.call(new_event(data)))
        return results

    def check_counters(self, succeeded: int, failed: int, in_progress: int) -> None:
        counters = self.counters
        self.assertEqual((counters.succeeded, counters.failed, counters.in_progress), (succeeded, failed, in_progress))


class MessageTests(ThreadCase):
    """Messages are handed over in batches."""

    def test_batch(self) -> None:
        """The next message may come at once. What the script did is counted when the thread pauses."""
        self.start()
        self.assertEqual(self.hand_over(b"1", b"2", b"3"), [None] * 3)
        self.check_counters(0, 0, 3)
        self.assertFalse(self.in_flight.idle)
        self.worker.work()
        self.assertEqual(self.published, [b"1", b"2", b"3"])
        self.check_counters(3, 0, 0)
        self.assertTrue(self.in_flight.idle)

    def test_nothing_runs_before_the_service_runs(self) -> None:
        self.successResultOf(self.thread.start())
        self.hand_over(b"1")
        self.worker.work()
        self.check_counters(0, 0, 1)
        self.thread.resume()
        self.worker.work()
        self.check_counters(1, 0, 0)

    def test_failures(self) -> None:
        """They are counted and logged with their message; the others have succeeded."""
        self.start()
        self.hand_over(b"1", b"bad", b"2")
        self.worker.work()
        self.check_counters(2, 1, 0)
        self.assertEqual(self.published, [b"1", b"2"])
        self.assertEqual(len(self.log.matching("Event route nats:a failed on a message to 'a'")), 1)
        self.flushLoggedErrors(KeyError)

    def test_look(self) -> None:
        """While the thread is busy, the reactor looks at what is done, at longer and longer intervals."""
        self.start()
        self.hand_over(b"1")
        self.worker._run_inbox(self.worker.instance)  # type: ignore[arg-type]
        self.check_counters(0, 0, 1)
        self.reactor.advance(0.002)
        self.check_counters(1, 0, 0)
        self.assertEqual((self.published, self.reactor.getDelayedCalls()), ([b"1"], []))
        self.hand_over(b"2")
        self.reactor.pump([0.002, 0.004, 0.008])
        (look,) = self.reactor.getDelayedCalls()
        self.assertAlmostEqual(look.getTime() - self.reactor.seconds(), 0.008)

    def test_limit(self) -> None:
        """At a number of messages the subscription waits, until half of them are handled."""
        self.patch(script_thread, "MAX_HANDED", 4)
        self.start()
        *direct, waiting = self.hand_over(b"1", b"2", b"3", b"4")
        self.assertEqual(direct, [None] * 3)
        self.assertNoResult(waiting)
        self.worker.done = 1
        self.worker._on_pause()
        self.assertNoResult(waiting)
        self.worker.done = 2
        self.worker._on_pause()
        self.assertIs(self.successResultOf(waiting), None)

    def test_several_subscriptions(self) -> None:
        """All that wait go on."""
        self.patch(script_thread, "MAX_HANDED", 2)
        self.start()
        _, *waiting = self.hand_over(b"1", b"2", b"3")
        self.worker.work()
        for one in waiting:
            self.assertIs(self.successResultOf(one), None)

    def test_limit_of_bytes(self) -> None:
        self.patch(script_thread, "MAX_HANDED_BYTES", 10)
        self.start()
        *direct, waiting = self.hand_over(b"12345", b"6789", b"0")
        self.assertEqual(direct, [None] * 2)
        self.assertNoResult(waiting)
        self.worker.work()
        self.assertIs(self.successResultOf(waiting), None)

    def test_next_message_in_the_callback(self) -> None:
        """The Deferred fires last, so that what follows it finds everything in order."""
        self.patch(script_thread, "MAX_HANDED", 2)
        self.start()
        _, waiting = self.hand_over(b"1", b"2")
        more: list[Any] = []
        waiting.addCallback(lambda _: more.extend(self.hand_over(b"3", b"4")))
        self.worker.work()
        self.check_counters(2, 0, 2)
        self.assertIs(more[0], None)
        self.assertNoResult(more[1])
        self.worker.work()
        self.successResultOf(more[1])
        self.check_counters(4, 0, 0)


class PublishTests(ThreadCase):
    """Publishing for the script."""

    def test_hold(self) -> None:
        """While the publisher has no space, what the script published waits; the calls are counted all the same."""
        self.start()
        self.thread.hold()
        self.thread.hold()
        self.hand_over(b"1", b"2")
        self.worker.work()
        self.assertEqual(self.published, [])
        self.thread.release()
        self.assertEqual(self.published, [])
        self.thread.release()
        self.assertEqual(self.published, [b"1", b"2"])
        self.check_counters(2, 0, 0)

    def test_hold_while_it_publishes(self) -> None:
        """The message that fills the publisher's buffer is the last."""
        self.on_publish = self.thread.hold
        self.start()
        self.hand_over(b"1", b"2")
        self.worker.work()
        self.assertEqual(self.published, [b"1"])
        self.on_publish = lambda: None
        self.thread.release()
        self.assertEqual(self.published, [b"1", b"2"])
        self.assertEqual(self.worker.taken_bytes, 2)

    def test_messages_of_a_call_that_runs(self) -> None:
        """They are published before the call ends."""
        self.start()
        self.hand_over(b"1")
        self.worker.publish(b"out", b"early")
        self.reactor.advance(0.002)
        self.assertEqual(self.published, [b"early"])
        self.check_counters(0, 0, 1)


class JobTests(ThreadCase):
    """The events of connections."""

    def test_job(self) -> None:
        """It waits its turn, and its Deferred fires at its end."""
        self.start()
        self.hand_over(b"1")
        ended = self.thread.call(new_event(subject="", route="nats:connected"))
        self.assertNoResult(ended)
        self.worker.work()
        self.assertIs(self.successResultOf(ended), None)
        self.assertEqual(self.published, [b"1", b"nats:connected"])
        self.check_counters(1, 0, 0)

    def test_failure(self) -> None:
        self.start()
        ended = self.thread.call(new_event(b"bad"))
        self.worker.work()
        self.failureResultOf(ended, KeyError)

    def test_cancel(self) -> None:
        """One that waits is taken back; how one that runs ends is ignored."""
        self.start()
        waiting = self.thread.call(new_event(b"1"))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        running = self.thread.call(new_event(b"2"))
        self.worker._run_inbox(self.worker.instance)  # type: ignore[arg-type]
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.worker._on_pause()
        self.assertEqual(self.published, [b"2"])
        self.reactor.advance(1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class SlowTests(ThreadCase):
    """A script that does not return."""

    def begin_to_block(self, data: bytes) -> None:
        """The script is called, and does not return."""
        self.hand_over(data, b"next")
        self.worker.current = [self.worker._inbox.popleft()]

    def test_warning(self) -> None:
        """It is named once, with its line; again after it has gone on."""
        self.start()
        self.begin_to_block(b"1")
        self.reactor.pump([0.25] * 39)
        self.assertEqual(self.log.lines("warn"), [])
        self.reactor.pump([0.25] * 40)
        (line,) = self.log.lines("warn")
        self.assertIn("is still busy after 10 s with nats:a on a message to 'a', at ", line)
        self.assertIn("test_script_thread.py:", line)
        self.assertIn("further events of a:q wait", line)
        self.worker.done = 1
        self.reactor.pump([0.25] * 50)
        self.assertEqual(len(self.log.lines("warn")), 2)

    def test_batch(self) -> None:
        """Of several messages that it got at once, the log names the first; all of them have failed at a stop."""
        self.start()
        self.hand_over(b"1", b"2", b"3")
        inbox = self.worker._inbox
        self.worker.current = [inbox.popleft(), inbox.popleft()]
        self.reactor.pump([0.25] * 80)
        (line,) = self.log.lines("warn")
        self.assertIn("with one of 2 events, the first of them nats:a on a message to 'a'", line)
        self.assertEqual([event.data for event in self.in_flight.waiting], [b"1", b"2", b"3"])
        self.thread.stop()
        self.reactor.advance(5)
        self.check_counters(0, 2, 1)

    def test_job(self) -> None:
        """The event of a connection has no message."""
        self.start()
        self.thread.call(new_event(subject="", route="nats:connected"))
        self.worker.current = [self.worker._inbox.popleft()]
        self.reactor.pump([0.25] * 80)
        self.assertIn("with nats:connected, at ", self.log.lines("warn")[0])
        self.assertEqual(self.in_flight.waiting, [])
        self.thread.stop()
        self.reactor.advance(5)
        self.check_counters(0, 0, 0)

    def test_unfinished(self) -> None:
        """The message that it handles, and those that wait."""
        self.start()
        self.begin_to_block(b"1")
        self.assertEqual([event.data for event in self.in_flight.waiting], [b"1", b"next"])
        self.worker.done = 1
        self.assertEqual([event.data for event in self.in_flight.waiting], [b"next"])

    def test_stop(self) -> None:
        """It is left alone after a while; its call has failed. The next start goes on with what waits."""
        self.start()
        self.begin_to_block(b"1")
        self.in_flight.stop()
        stopped = self.thread.stop()
        blocked = self.worker
        self.assertTrue(blocked.ending)
        self.reactor.advance(4.9)
        self.assertNoResult(stopped)
        self.reactor.advance(0.1)
        self.successResultOf(stopped)
        self.assertIn("is still blocked with nats:a on a message to 'a', at ", self.log.lines("error")[0])
        self.check_counters(0, 1, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        blocked.done = 1
        blocked.publish(b"out", b"late")
        blocked.finish()
        self.in_flight.start()
        self.start()
        self.worker.work()
        self.check_counters(1, 1, 0)
        self.assertEqual(self.published, [b"next"])


class StartAndStopTests(ThreadCase):
    """The life of the thread."""

    def test_load(self) -> None:
        loaded = self.thread.start()
        self.successResultOf(loaded)
        self.assertIsInstance(self.worker.instance, MemoryInstance)

    def test_script_that_cannot_be_loaded(self) -> None:
        error = ScriptError("a.py", 1, 1, "problem", "remedy")

        def fail(worker: Worker) -> Any:
            raise error

        self.thread._new_instance = fail
        self.patch(MemoryWorker, "_begin", MemoryWorker._main)
        self.assertIs(self.failureResultOf(self.thread.start(), ScriptError).value, error)

    def test_where_it_is_while_it_is_loaded(self) -> None:
        """For the log. Before and afterwards there is nothing to say."""
        self.assertIsNone(self.thread.loading_at)
        self.patch(MemoryWorker, "_begin", lambda worker: None)
        self.assertNoResult(self.thread.start())
        self.assertIn(f", at {__file__}:", str(self.thread.loading_at))
        self.worker._on_loaded(None)
        self.assertIsNone(self.thread.loading_at)

    def test_stop_of_a_thread_that_has_told_its_end(self) -> None:
        """It may still be alive for a moment. There is nothing to wait for."""
        self.start()
        self.worker.finish()
        self.worker.thread.alive = True  # type: ignore[attr-defined]
        self.successResultOf(self.thread.stop())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop_while_it_is_loaded(self) -> None:
        """The thread is left alone. The log does not speak of an event."""
        self.patch(MemoryWorker, "_begin", lambda worker: None)
        self.assertNoResult(self.thread.start())
        stopped = self.thread.stop()
        self.reactor.advance(5.0)
        self.successResultOf(stopped)
        self.assertIn(
            f"The script {__file__} is still being loaded for a:q, at {__file__}:", self.log.lines("error")[0]
        )
        self.assertIsNone(self.thread.loading_at)

    def test_no_more_threads(self) -> None:
        """A system that starts no more threads is an error with a remedy."""

        def fail() -> None:
            raise RuntimeError("can't start new thread")

        self.patch(MemoryWorker, "_begin", lambda worker: fail())
        error = self.failureResultOf(self.thread.start(), ScriptError).value
        self.assertIn("its thread for a:q cannot be started: can't start new thread", str(error))
        self.assertIsNone(self.thread.loading_at)

    def test_space_at_a_stop(self) -> None:
        """A subscription that waits for space goes on at the next start, though all is done."""
        self.patch(script_thread, "MAX_HANDED", 2)
        self.start()
        _, waiting = self.hand_over(b"1", b"2")
        self.worker._run_inbox(self.worker.instance)  # type: ignore[arg-type]
        self.in_flight.stop()
        stopped = self.thread.stop()
        self.worker.finish()
        self.successResultOf(stopped)
        self.assertNoResult(waiting)
        self.in_flight.start()
        self.start()
        self.successResultOf(waiting)
        self.check_counters(2, 0, 0)

    def test_stop_without_a_start(self) -> None:
        self.successResultOf(self.thread.stop())

    def test_stop(self) -> None:
        """What it did until then is counted and published."""
        self.start()
        self.hand_over(b"1")
        self.worker._run_inbox(self.worker.instance)  # type: ignore[arg-type]
        stopped = self.thread.stop()
        self.assertNoResult(stopped)
        self.worker.finish()
        self.successResultOf(stopped)
        self.check_counters(1, 0, 0)
        self.assertEqual((self.published, self.reactor.getDelayedCalls()), ([b"1"], []))

    def test_messages_that_wait_at_a_stop(self) -> None:
        """They are for the next start, and so is the subscription that waits for space."""
        self.patch(script_thread, "MAX_HANDED", 2)
        self.start()
        _, waiting = self.hand_over(b"1", b"2")
        self.in_flight.stop()
        stopped = self.thread.stop()
        self.worker.work()
        self.worker.finish()
        self.successResultOf(stopped)
        self.assertNoResult(waiting)
        self.check_counters(0, 0, 2)
        self.in_flight.start()
        self.start()
        self.worker.work()
        self.check_counters(2, 0, 0)
        self.successResultOf(waiting)


class ReloadTests(ThreadCase):
    """The thread of a script that another version follows."""

    def test_what_is_left(self) -> None:
        """The messages that no call has begun for; who waits for space goes on. Connection events stay."""
        self.start()
        results = self.hand_over(*[b"%d" % number for number in range(script_thread.MAX_HANDED)])
        self.assertNoResult(results[-1])
        ended = self.thread.call(new_event(b""))
        self.thread.stop()
        self.worker.work()
        rest = self.thread.take_rest()
        self.successResultOf(results[-1])
        self.assertEqual(len(rest), script_thread.MAX_HANDED)
        self.assertEqual((self.thread.unfinished(), len(self.thread._inbox)), ([], 1))
        self.assertNoResult(ended)

    def test_forgotten(self) -> None:
        self.start()
        self.hand_over(b"1")
        self.assertEqual(len(self.in_flight.waiting), 1)
        self.thread.forget()
        self.assertEqual(self.in_flight.waiting, [])
