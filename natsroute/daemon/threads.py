"""A pool of threads as a service. Its stop takes a bounded time, even if a thread is blocked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from natsroute.log import Logger

T = TypeVar("T")


class _DaemonThread(threading.Thread):
    """A thread that the end of the process does not wait for."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, daemon=True, **kwargs)  # type: ignore[arg-type]

    def join(self, timeout: float | None = None) -> None:
        # The pool joins a thread that the system refused to start too.
        if self.ident is not None:
            super().join(timeout)


@attrs.define(eq=False)
class _Job:
    """
    A function that waits for a thread.

    :ivar run: runs it in the current thread, and returns its result.
    :ivar ended: fires in the reactor's thread with that.
    """

    run: Callable[[], Any]
    ended: Deferred[Any]


class _Queue:
    """
    The functions that wait for a thread of one pool. One that is given up leaves no trace in it.

    :param on_begin: called, in any thread, when a function no longer waits.
    """

    def __init__(self, reactor: Any, pool: ThreadPool, on_begin: Callable[[], None]) -> None:
        self.pool = pool
        self._reactor = reactor
        self._on_begin = on_begin
        self._jobs: deque[_Job] = deque()
        self._lock = threading.Lock()
        self._calls = 0  # of _run_next() that the pool has not begun

    def __len__(self) -> int:
        return len(self._jobs)

    def add(self, run: Callable[[], Any]) -> Deferred[Any]:
        """Run a function in a thread."""
        job = _Job(run, Deferred(lambda _: self._give_up(job)))
        with self._lock:
            self._jobs.append(job)
            has_call = self._calls >= len(self._jobs)  # left by one that was given up
            self._calls += not has_call
        if not has_call:
            try:
                self.pool.callInThread(self._run_next)
            except BaseException:  # the system starts no more threads
                with self._lock:
                    self._calls -= 1
                    self._jobs.remove(job)
                raise
        return job.ended

    def _give_up(self, job: _Job) -> None:
        with self._lock:
            if job not in self._jobs:
                return  # it runs, and cannot be stopped
            self._jobs.remove(job)
        self._on_begin()

    def _run_next(self) -> None:
        with self._lock:
            self._calls -= 1
            job = self._jobs.popleft() if self._jobs else None
        if job is None:
            return
        self._on_begin()
        self._reactor.callFromThread(_fire, job.ended, _outcome(job))


def _outcome(job: _Job) -> object:
    """What a function returns, or a Failure. No variable has the Failure, because the traceback has this frame."""
    try:
        return job.run()
    except BaseException:  # whatever it is, it belongs to this function
        return Failure()


def _fire(ended: Deferred[Any], result: object) -> None:
    if ended.called:  # it was cancelled while the function ran
        return
    if isinstance(result, Failure):
        ended.errback(result)
    else:
        ended.callback(result)


class Threads(Service):
    """
    Runs functions in a :class:`~twisted.python.threadpool.ThreadPool` of its own.

    Twisted's ``stop()`` joins every thread, and one blocked function would keep the process alive forever. So it is
    called in a thread of its own, for which :meth:`stopService` waits up to ``patience`` seconds. Threads that are
    still blocked then end with the process.

    :param name: the name of the pool, for the log.
    :param size: the maximum number of threads.
    :param patience: seconds that a stop waits for the threads.
    :param max_queue: functions that should wait at most; see :meth:`space`.
    """

    log = Logger()

    def __init__(self, reactor: Any, name: str, size: int, *, patience: float = 5.0, max_queue: int = 1000) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._patience = patience
        self._max_queue = max_queue
        self._space: Deferred[None] | None = None
        self._queue = self._new_queue()

    def _new_queue(self) -> _Queue:
        pool = ThreadPool(0, self._size, self._name)
        pool.threadFactory = _DaemonThread
        return _Queue(self._reactor, pool, self._on_begin)

    def run(self, function: Callable[..., T], *arguments: object) -> Deferred[T]:
        """
        Run a function in a thread, in a copy of the current context. It waits in a queue while all threads are busy or
        the service does not run.

        :return: fires in the reactor's thread with the result of the function, or fails with the exception that it
            raises. Cancelling it while the function waits takes it out of the queue; later, it does not stop the
            function, whose result is ignored.
        """
        return self._queue.add(partial(copy_context().run, function, *arguments))

    def space(self) -> Deferred[None] | None:
        """
        Wait until fewer than ``max_queue`` functions wait for a thread. :meth:`run` takes more, too: a caller that can
        wait asks first.

        :return: None if there is space now; else fires in the reactor's thread when there is.
        """
        if len(self._queue) < self._max_queue:
            return None
        if self._space is None:
            self._space = Deferred()
        waiter: Deferred[None] = Deferred()
        self._space.addCallback(waiter.callback)
        if len(self._queue) < self._max_queue:  # a thread may have looked at self._space just before
            self._fire_room()
        return waiter

    def _on_begin(self) -> None:
        if self._space is not None and len(self._queue) < self._max_queue:
            self._reactor.callFromThread(self._fire_room)

    def _fire_room(self) -> None:
        if self._space is not None and len(self._queue) < self._max_queue:
            space, self._space = self._space, None
            space.callback(None)

    def startService(self) -> None:
        super().startService()
        self._queue.pool.start()

    def stopService(self) -> Deferred[None]:
        """
        End the threads.

        :return: fires in the reactor's thread when they have ended, or after ``patience`` seconds; never fails.
        """
        super().stopService()
        stopped: Deferred[None] = Deferred()
        pool = self._queue.pool
        self._queue = self._new_queue()
        self._fire_room()

        def join() -> None:
            pool.stop()
            self._reactor.callFromThread(finish, True)

        def finish(in_time: bool) -> None:
            if stopped.called:
                return
            if in_time:
                give_up.cancel()
            elif pool.working:
                self.log.error(
                    "Threads of the pool {name} that are still blocked: {count}. They end with the process",
                    count=len(pool.working),
                    name=self._name,
                )
            stopped.callback(None)

        give_up = self._reactor.callLater(self._patience, finish, False)
        try:
            _DaemonThread(target=join).start()
        except RuntimeError:  # the system starts no more threads, and nobody can wait for those of the pool
            give_up.cancel()
            finish(False)
        return stopped
