"""A pool of threads as a service. Its stop takes a bounded time, even if a thread is blocked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from natsroute.log import Logger

T = TypeVar("T")


class _DaemonThread(threading.Thread):
    """A thread that the end of the process does not wait for."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, daemon=True, **kwargs)  # type: ignore[arg-type]


class Threads(Service):
    """
    Runs functions in a :class:`~twisted.python.threadpool.ThreadPool` of its own.

    Twisted's ``stop()`` joins every thread, and one blocked function would keep the process alive forever. So it is
    called in a thread of its own, for which :meth:`stopService` waits up to ``patience`` seconds. Threads that are
    still blocked then end with the process.

    :param name: the name of the pool, for the log.
    :param size: the maximum number of threads.
    :param patience: seconds that a stop waits for the threads.
    """

    log = Logger()

    def __init__(self, reactor: Any, name: str, size: int, *, patience: float = 5.0) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._patience = patience
        self._pool = self._new_pool()

    def _new_pool(self) -> ThreadPool:
        pool = ThreadPool(0, self._size, self._name)
        pool.threadFactory = _DaemonThread
        return pool

    def run(self, function: Callable[..., T], *arguments: object) -> Deferred[T]:
        """
        Run a function in a thread. It waits in a queue while all threads are busy or the service does not run.

        :return: fires in the reactor's thread with the result of the function, or fails with the exception that it
            raises. To cancel it does not stop the function.
        """
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)

    def startService(self) -> None:
        super().startService()
        self._pool.start()

    def stopService(self) -> Deferred[None]:
        """
        End the threads.

        :return: fires in the reactor's thread when they have ended, or after ``patience`` seconds; never fails.
        """
        super().stopService()
        stopped: Deferred[None] = Deferred()
        pool, self._pool = self._pool, self._new_pool()

        def join() -> None:
            pool.stop()
            self._reactor.callFromThread(finish, True)

        def finish(in_time: bool) -> None:
            if stopped.called:
                return
            if in_time:
                give_up.cancel()
            else:
                self.log.error(
                    "Threads of the pool {name} that are still blocked: {count}. They end with the process",
                    count=len(pool.working),
                    name=self._name,
                )
            stopped.callback(None)

        give_up = self._reactor.callLater(self._patience, finish, False)
        threading.Thread(target=join, daemon=True).start()
        return stopped
