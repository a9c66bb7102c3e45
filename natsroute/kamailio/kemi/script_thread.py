"""
One instance of a script, as the reactor's thread sees it: it hands events over, and takes what came of them in batches.

A hop from thread to thread for each message would cost more than the message. So the reactor appends to a queue, and
the thread takes what is there; what the script has published is taken when its queue is empty, or after a few
milliseconds.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.consumer_calls import ConsumerCalls
from natsroute.kamailio.kemi.instance import Instance
from natsroute.kamailio.kemi.outbox_reader import OutboxReader
from natsroute.kamailio.kemi.worker import Job, Worker
from natsroute.log import Logger
from natsroute.routes.event import Event
from natsroute.routes.in_flight import CallsInFlight

#: Messages and payload bytes that are handed to the thread. At more, the rest waits in the subscription, which counts
#: and limits it.
MAX_HANDED = 1024
MAX_HANDED_BYTES = 1024 * 1024

#: Seconds between two looks at what a busy thread has done; the second while it gets nothing done.
_LOOK, _MAX_LOOK = 0.002, 0.25


class ScriptThread:
    """
    Runs the events of one consumer in one instance of a script, strictly in order.

    :param name: what the instance is for, for the log.
    :param script: the path of the script.
    :param new_instance: loads the script; called in the thread.
    :param publish: publishes what the script has published.
    :param in_flight: gets the calls that failed, and stops all.
    :param slow_after: seconds. A call that takes longer is logged once.
    :param patience: seconds that a stop waits for the script.
    :param frame_of: returns the innermost frame of a thread, or None.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        name: str,
        script: str,
        new_instance: Callable[[Worker], Instance],
        publish: Callable[[str, bytes, str | None], object],
        in_flight: CallsInFlight,
        *,
        slow_after: float = 30.0,
        patience: float = 5.0,
        frame_of: Callable[[int], FrameType | None] = lambda thread: sys._current_frames().get(thread),
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._script = script
        self._new_instance = new_instance
        self._outbox = OutboxReader(publish)
        self._in_flight = in_flight
        self._slow_after = slow_after
        self._patience = patience
        self._frame_of = frame_of
        self._inbox: deque[Event | Job] = deque()
        self._handed = self._handed_bytes = 0  # in all, to the worker that there is
        self._taken = 0  # of its calls, those that are counted
        self._jobs: set[Job] = set()
        self._calls: ConsumerCalls | None = None
        self._waiting: list[Deferred[None]] = []  # subscriptions, for space
        self._may_run = False
        self._next_look: IDelayedCall | None = None
        self._wait = _LOOK
        self._progress_at = 0.0
        self._slow_logged = False
        self._loaded: Deferred[None] | None = None  # there is one while the script is being loaded
        self._stopped: Deferred[None] | None = None
        self._give_up: IDelayedCall | None = None
        self._worker = self._new_worker()
        in_flight.add_queue(self.unfinished)

    # -- events -----------------------------------------------------------------------------------------------------

    def calls(self, *args: Any, **options: Any) -> ConsumerCalls:
        """
        The calls for the messages of the consumer. There is one route, so this is called once.

        The arguments are those of :class:`~natsroute.kamailio.kemi.consumer_calls.ConsumerCalls` after the thread.
        """
        self._calls = ConsumerCalls(self, *args, **options)
        return self._calls

    def hand_over(self, event: Event) -> Deferred[None] | None:
        """
        Let the script handle a message, after those before it.

        :return: None if the next message may come at once, or a Deferred that fires when it may.
        """
        self._inbox.append(event)
        self._handed += 1
        self._handed_bytes += len(event.data)
        if self._next_look is None:
            self._begin_to_look()
        worker = self._worker
        if worker.asleep:
            worker.wake()
        if self._handed - self._taken < MAX_HANDED and self._handed_bytes - worker.done_bytes < MAX_HANDED_BYTES:
            return None
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def call(self, event: Event) -> Deferred[None]:
        """
        Let the script handle the event of a connection.

        :return: fires when the call has ended, or fails with what the script raised. Cancelling it takes the event
            back, or ignores how the call ends.
        """
        job = Job(event, Deferred(lambda _: self._cancel(job)))
        self._jobs.add(job)
        self._inbox.append(job)
        self._handed += 1
        if self._next_look is None:
            self._begin_to_look()
        self._worker.wake()
        return job.ended

    def _cancel(self, job: Job) -> None:
        self._jobs.discard(job)
        try:
            self._inbox.remove(job)
        except ValueError:
            return  # it runs
        self._handed -= 1

    def unfinished(self) -> list[Event]:
        """The messages that were handed over and whose call has not ended."""
        self._take()
        return [item for item in [*self._begun(), *self._inbox] if not isinstance(item, Job)]

    def _begun(self) -> Sequence[Event | Job]:
        """What the script handles now, without what has ended."""
        count = self._handed - self._taken - len(self._inbox)
        return self._worker.current[-count:] if count > 0 else ()

    def take_rest(self) -> list[Event]:
        """The messages that no call has begun for. To be called when no call may begin any more."""
        items = list[Event | Job]()
        with suppress(IndexError):  # of an empty inbox: the thread may be about to take one more
            while True:
                items.append(self._inbox.popleft())
        self._inbox.extend(item for item in items if isinstance(item, Job))
        rest = [item for item in items if not isinstance(item, Job)]
        self._handed -= len(rest)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)
        return rest

    def forget(self) -> None:
        """The script runs no more: leave the queues of the calls in flight."""
        self._in_flight.remove_queue(self.unfinished)

    def hold(self) -> None:
        """Publish nothing more until :meth:`release` has been called as often as this. A script that goes on waits."""
        self._outbox.hold()

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        if self._outbox.release():
            self._take()

    def _take(self) -> None:
        """Publish what the script has published, and count the calls that have ended."""
        worker = self._worker
        done, done_bytes = worker.done, worker.done_bytes  # first: what belongs to these calls is there
        if worker.outbox:
            self._outbox.publish_all(worker)
        ended = done - self._taken
        if ended:
            self._taken = done
            self._progress_at = self._reactor.seconds()
            self._slow_logged = False
            self._wait = _LOOK
            self._count(worker, ended)
        if self._waiting and not self._in_flight.stopped and self._is_half_empty(done_bytes):
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)

    def _is_half_empty(self, done_bytes: int) -> bool:
        handed, handed_bytes = self._handed - self._taken, self._handed_bytes - done_bytes
        return handed <= MAX_HANDED // 2 and handed_bytes <= MAX_HANDED_BYTES // 2

    def _count(self, worker: Worker, ended: int) -> None:
        results, failures = worker.results, list[tuple[Event, Failure]]()
        while results and results[0].number <= self._taken:
            result = results.popleft()
            if isinstance(result.item, Job):
                ended -= 1
                self._end_job(result.item, result.failure)
            else:
                assert result.failure is not None
                failures.append((result.item, result.failure))
        if ended:
            assert self._calls is not None
            self._calls.ended(ended, failures)

    def _end_job(self, job: Job, failure: Failure | None) -> None:
        if job not in self._jobs:
            return  # it was cancelled
        self._jobs.discard(job)
        if failure is None:
            job.ended.callback(None)
        else:
            job.ended.errback(failure)

    # -- looking ----------------------------------------------------------------------------------------------------

    def _begin_to_look(self) -> None:
        self._progress_at = self._reactor.seconds()
        self._slow_logged = False
        self._wait = _LOOK
        self._next_look = self._reactor.callLater(_LOOK, self._look)

    def _look(self) -> None:
        self._next_look = None
        self._take()
        if self._next_look is not None or self._handed == self._taken:
            return
        busy = self._reactor.seconds() - self._progress_at
        if busy >= self._slow_after and not self._slow_logged and self._may_run:
            self._slow_logged = True
            self._warn_of_slow_call(busy)
        self._next_look = self._reactor.callLater(self._wait, self._look)
        self._wait = min(self._wait * 2, _MAX_LOOK)

    def _warn_of_slow_call(self, seconds: float) -> None:
        self.log.warn(
            "The script {script} is still busy after {seconds:.0f} s with {running}{where}; further events of {name} "
            "wait",
            script=self._script,
            seconds=seconds,
            running=self._current_event(),
            where=self._where(),
            name=self._name,
        )

    def _current_event(self) -> str:
        """What the script handles now, for the log."""
        begun = self._begun()
        if not begun:
            return "no event"
        event = begun[0].event if isinstance(begun[0], Job) else begun[0]
        about = f"{event.name} on a message to {event.subject!r}" if event.subject else event.name
        return about if len(begun) == 1 else f"one of {len(begun)} events, the first of them {about}"

    def _where(self) -> str:
        """The line of the script that runs now, if it is written in Python."""
        ident = self._worker.thread.ident
        frame = None if ident is None else self._frame_of(ident)
        while frame is not None:
            if frame.f_code.co_filename == self._script:
                return f", at {frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    # -- start and stop ---------------------------------------------------------------------------------------------

    def _new_worker(self) -> Worker:
        call, in_flight = self._reactor.callFromThread, self._in_flight

        def on_loaded(failure: Failure | None) -> None:
            call(self._on_loaded, worker, failure)

        worker = Worker(
            f"natsroute script {self._name}",
            self._inbox,
            self._new_instance,
            may_begin=lambda: self._may_run and not in_flight.stopped,
            on_loaded=on_loaded,
            on_pause=lambda: call(self._on_pause, worker),
            on_ended=lambda: call(self._on_ended, worker),
            call_from_thread=call,
        )
        self._handed = len(self._inbox)
        self._handed_bytes = sum(0 if isinstance(item, Job) else len(item.data) for item in self._inbox)
        self._taken = 0
        return worker

    def start(self) -> Deferred[None]:
        """
        Start the thread, and load the script in it. No call begins before :meth:`resume`.

        :return: fires when the script is loaded and its hooks have returned; fails with
            :class:`~natsroute.errors.ScriptError` otherwise.
        """
        loaded: Deferred[None] = Deferred()
        self._loaded = loaded
        self._worker = self._new_worker()
        try:
            self._worker.thread.start()
        except RuntimeError as error:  # the system starts no more threads
            self._loaded = None
            problem = f"its thread for {self._name} cannot be started: {error}"
            return fail(ScriptError(self._script, 1, 1, problem, "Allow the user more threads, or use fewer consumers"))
        return loaded

    @property
    def loading_at(self) -> str | None:
        """Where the script is while it is being loaded, for the log, or empty; None if it is not."""
        return None if self._loaded is None else self._where()

    def resume(self) -> None:
        """Calls may begin. To be called when the calls of all other event routes may, too."""
        self._may_run = True
        self._take()
        self._worker.wake()
        if self._handed != self._taken and self._next_look is None:
            self._begin_to_look()

    def _on_loaded(self, worker: Worker, failure: Failure | None) -> None:
        loaded, self._loaded = self._loaded, None
        if worker is not self._worker or loaded is None or loaded.called:
            return
        if failure is None:
            loaded.callback(None)
        else:
            loaded.errback(failure)

    def _on_pause(self, worker: Worker) -> None:
        if worker is self._worker:
            self._take()

    def stop(self) -> Deferred[None]:
        """
        Begin no more calls, and end the thread. A script that does not return is left alone after a while: its call
        counts as failed, and its thread ends with the process.

        :return: fires when the thread has ended, or is left alone. It never fails.
        """
        self._may_run = False
        if self._worker.has_ended or not self._worker.thread.is_alive():
            return succeed(None)
        self._worker.end()
        self._stopped = Deferred()
        self._give_up = self._reactor.callLater(self._patience, self._abandon)
        return self._stopped

    def _on_ended(self, worker: Worker) -> None:
        worker.has_ended = True  # although its thread may still be alive for a moment
        if worker is self._worker:
            self._take()
            self._end_stop()

    def _abandon(self) -> None:
        self._give_up = None
        self._take()
        self.log.error(
            "The script {script} is still {busy}{where}. Its thread ends with the process",
            script=self._script,
            busy=f"blocked with {self._current_event()}" if self._loaded is None else f"being loaded for {self._name}",
            where=self._where(),
        )
        messages = [item for item in self._begun() if not isinstance(item, Job)]
        if messages:
            assert self._calls is not None
            self._calls.abandoned(len(messages))
        self._loaded = None
        self._worker = self._new_worker()  # whatever the other one still does is ignored
        self._end_stop()

    def _end_stop(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if self._give_up is not None:
            self._give_up.cancel()
            self._give_up = None
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.callback(None)
