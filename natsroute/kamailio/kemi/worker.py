"""The thread of one instance of a script: it handles the events of a queue, strictly in order, and counts them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from time import perf_counter
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.kemi.context import Message
from natsroute.kamailio.kemi.instance import Instance
from natsroute.routes.event import Event

#: Messages and bytes that a script has published and the reactor has not taken. At more, the script waits.
MAX_OUTBOX_MESSAGES = 4096
MAX_OUTBOX_BYTES = 2 * 1024 * 1024
#: As many times more when the thread is to end: the call does not wait any more, and can still end by itself.
_AT_END = 4

_ENDING = object()

#: Seconds that a batch of messages takes: it becomes larger below the first, and smaller above the second.
MIN_BATCH_TIME, MAX_BATCH_TIME = 0.001, 0.004


@attrs.define(eq=False)
class Job:
    """
    An event with somebody who waits for the end of its call.

    :ivar event: what the script is called with.
    :ivar ended: fires in the reactor's thread with None, or with what the script raised.
    """

    event: Event
    ended: Deferred[None]


@attrs.frozen
class Result:
    """
    How a call ended, if it failed or somebody waits for it.

    :ivar number: which call of this worker it was, from 1.
    :ivar item: what the call was for.
    :ivar failure: what it raised, or None.
    """

    number: int
    item: Event | Job
    failure: Failure | None


class Worker:
    """
    Runs one instance of a script in a thread of its own.

    The reactor's thread appends to the inbox and calls :meth:`wake`. It reads :attr:`done`, :attr:`results` and
    :attr:`outbox` when it has time. Each of these is written by one thread only, or by methods of a deque, so there is
    no lock that a call would have to get.

    :param inbox: events and jobs; what is left in it when the worker ends is for the next one.
    :param new_instance: loads the script.
    :param may_begin: says whether the next call may begin. It is asked before each.
    :param on_loaded: called in this thread when the script is loaded: with None, or with the reason why it is not.
    :param on_pause: called in this thread when the inbox is empty, or the script waits for space in the outbox.
    :param on_ended: called in this thread at its end.
    :param call_from_thread: the reactor's ``callFromThread``.

    :ivar done: calls that have ended.
    :ivar done_bytes: bytes of the payloads of these.
    :ivar results: of the calls that failed, and of those for jobs.
    :ivar outbox: what the script has published: subject, payload and reply subject.
    :ivar published_bytes: bytes of all payloads that were ever put there.
    :ivar asleep: whether the thread waits for :meth:`wake`, or is about to.
    :ivar current: what the script handles now, or has handled last.
    :ivar has_ended: whether the reactor's thread knows of its end.
    """

    def __init__(
        self,
        name: str,
        inbox: deque[Event | Job],
        new_instance: Callable[[Worker], Instance],
        *,
        may_begin: Callable[[], bool],
        on_loaded: Callable[[Failure | None], None],
        on_pause: Callable[[], None],
        on_ended: Callable[[], None],
        call_from_thread: Callable[[Callable[[], object]], object],
    ) -> None:
        self.done = self.done_bytes = self.published_bytes = 0
        self.taken_bytes = 0  # of the outbox; the reactor's thread writes it
        self.results: deque[Result] = deque()
        self.outbox: deque[Message] = deque()
        self.current: Sequence[Event | Job] = ()
        self._inbox = inbox
        self._new_instance = new_instance
        self._may_begin = may_begin
        self._on_loaded = on_loaded
        self._on_pause = on_pause
        self._on_ended = on_ended
        self._call_from_thread = call_from_thread
        self._wake: SimpleQueue[None] = SimpleQueue()
        self.asleep = False
        self._space: SimpleQueue[None] = SimpleQueue()
        self._waits_for_space = False
        self._answers: SimpleQueue[Any] = SimpleQueue()  # to the request that the thread waits for
        self._asking: Deferred[Any] | None = None  # the same request, in the reactor's thread
        self.ending = self.has_ended = False
        self._batch = 1
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)

    # -- called in the reactor's thread -----------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something in the inbox, or calls may begin again."""
        if self.asleep:
            self.asleep = False
            self._wake.put(None)

    def end(self) -> None:
        """Begin no more calls. The thread ends when the script returns."""
        self.ending = True
        self._wake.put(None)
        self._space.put(None)
        self._answers.put(_ENDING)
        if self._asking is not None:
            self._asking.cancel()

    def made_space(self) -> None:
        """Something was taken out of the outbox."""
        if self._waits_for_space and not self._is_full():
            self._waits_for_space = False
            self._space.put(None)

    # -- called in the thread ---------------------------------------------------------------------------------------

    def publish(self, subject: bytes, payload: bytes, reply: bytes | None = None) -> None:
        """
        Put a message into the outbox, and wait if that is full.

        :raises PublisherStoppedError: there is far too much in it after :meth:`end`. A script that publishes without
            end would fill the memory otherwise.
        """
        self.published_bytes += len(payload)
        self.outbox.append((subject, payload, reply))
        if len(self.outbox) >= MAX_OUTBOX_MESSAGES or self.published_bytes - self.taken_bytes >= MAX_OUTBOX_BYTES:
            self._wait_for_space()

    def publish_all(self, messages: Sequence[Message]) -> None:
        """As :meth:`publish`, for several messages."""
        self.published_bytes += sum([len(payload) for _, payload, _ in messages])
        self.outbox.extend(messages)
        if len(self.outbox) >= MAX_OUTBOX_MESSAGES or self.published_bytes - self.taken_bytes >= MAX_OUTBOX_BYTES:
            self._wait_for_space()

    def ask(self, request: Callable[[], Deferred[Any]]) -> Any:
        """
        Send a request, and wait for the answer. What was published before is taken first.

        :param request: sends it. It is called in the reactor's thread.
        :raises PublisherStoppedError: :meth:`end` was called.
        :raises Exception: what the request fails with.
        """
        answers = self._answers = SimpleQueue()  # before the look at "ending", which the other thread sets first
        if self.ending:
            raise PublisherStoppedError("the service stops, and waits for no answer")
        self._on_pause()
        self._call_from_thread(lambda: self._begin_to_ask(request, answers))
        answer = answers.get()
        if answer is _ENDING:
            raise PublisherStoppedError("the service stops, and waits for no answer")
        if isinstance(answer, Failure):
            answer.raiseException()
        return answer

    def _begin_to_ask(self, request: Callable[[], Deferred[Any]], answers: SimpleQueue[Any]) -> None:
        """In the reactor's thread."""
        if not self.ending:
            self._asking = maybeDeferred(request).addBoth(answers.put)

    def _is_full(self) -> bool:
        return (
            len(self.outbox) >= MAX_OUTBOX_MESSAGES // 2
            or self.published_bytes - self.taken_bytes >= MAX_OUTBOX_BYTES // 2
        )

    def _wait_for_space(self) -> None:
        while not self.ending:
            self._waits_for_space = True
            self._on_pause()
            if not self._is_full():  # it was taken meanwhile
                return
            self._space.get()
            if not self._is_full():
                return
        if (
            len(self.outbox) >= _AT_END * MAX_OUTBOX_MESSAGES
            or self.published_bytes - self.taken_bytes >= _AT_END * MAX_OUTBOX_BYTES
        ):
            raise PublisherStoppedError("the publisher has stopped, and the script goes on publishing")

    def _main(self) -> None:
        try:
            try:
                instance = self._new_instance(self)
            except BaseException:  # whatever the script raises is why it cannot be used
                self._on_loaded(Failure())
                return
            self._on_loaded(None)
            try:
                self._run_all(instance)
            finally:
                instance.close()
        finally:
            self._on_ended()

    def _run_all(self, instance: Instance) -> None:
        while not self.ending:
            self._run_inbox(instance)
            self._on_pause()
            # The flag is set before the look at the inbox, and the other thread looks at it after it has appended.
            self.asleep = True
            if not (self._inbox and self._may_begin()) and not self.ending:
                self._wake.get()
            self.asleep = False

    def _run_inbox(self, instance: Instance) -> None:
        """Call the script for what is in the inbox."""
        inbox, may_begin, run = self._inbox, self._may_begin, instance.run
        while inbox and may_begin() and not self.ending:
            try:
                item = inbox.popleft() if instance.max_batch == 1 or type(inbox[0]) is Job else None
            except IndexError:  # the reactor's thread has taken the rest, because no call may begin any more
                return
            if item is None:
                self._run_batch(instance)
                continue
            self.current = [item]
            try:
                run(item if type(item) is not Job else item.event)  # type: ignore[arg-type]
            except BaseException:  # it is about this call, whatever it is
                self.results.append(Result(self.done + 1, item, _failure()))
            else:
                if type(item) is Job:
                    self.results.append(Result(self.done + 1, item, None))
            if type(item) is not Job:
                self.done_bytes += len(item.data)  # type: ignore[union-attr]
            self.done += 1  # last: what came before belongs to it

    def _run_batch(self, instance: Instance) -> None:
        """
        Call the script for several messages at once, as many as take about a millisecond.

        A script that is slow gets one after the other, so that each counts when it has ended.
        """
        inbox, events = self._inbox, list[Event]()
        try:
            while inbox and len(events) < self._batch and not isinstance(inbox[0], Job):
                events.append(inbox.popleft())  # type: ignore[arg-type]
        except IndexError:  # as above
            pass
        if not events:
            return
        self.current = events
        began = perf_counter()
        failures = instance.run_batch(events)
        took = perf_counter() - began
        if took < MIN_BATCH_TIME and len(events) == self._batch:
            self._batch = min(2 * self._batch, instance.max_batch)
        elif took > MAX_BATCH_TIME:
            self._batch = max(self._batch // 4, 1)
        for index, error in failures:
            self.results.append(Result(self.done + 1 + index, events[index], Failure(error)))
        self.done_bytes += sum([len(event.data) for event in events])
        self.done += len(events)


def _failure() -> Failure:
    """What was raised, with the lines of its traceback but without its frames, which belong to this thread."""
    failure = Failure()
    failure.cleanFailure()
    return failure
