"""A pool of threads as a service, whose end is bounded even when a thread's is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class _DaemonThread(threading.Thread):
    """A thread that a process does not wait for when it ends."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, daemon=True, **kwargs)  # type: ignore[arg-type]


class Threads(Service):
    """
    Runs functions in a :class:`~twisted.python.threadpool.ThreadPool` of its own.

    Twisted's ``stop()`` joins every thread, and one blocked function would keep the process for ever. So it is called
    in a thread of its own and waited for so long; threads still blocked then end with the process.

    :param size: threads at most.
    :param patience: seconds to wait for them at the end.
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
        Run a function in a thread.

        :return: fires in the reactor's thread with what the function returns, or fails with what it raises.
        """
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)

    def startService(self) -> None:
        super().startService()
        self._pool.start()

    def stopService(self) -> Deferred[None]:
        """
        End the threads.

        :return: fires when they have ended, or the patience has.
        """
        super().stopService()
        stopped: Deferred[None] = Deferred()
        pool, self._pool = self._pool, self._new_pool()

        def end() -> None:
            pool.stop()
            self._reactor.callFromThread(tell, True)

        def tell(in_time: bool) -> None:
            if stopped.called:
                return
            if in_time:
                give_up.cancel()
            else:
                self.log.error(
                    "{count} threads of the pool {name} are still blocked; they end with the process",
                    count=len(pool.working),
                    name=self._name,
                )
            stopped.callback(None)

        give_up = self._reactor.callLater(self._patience, tell, False)
        threading.Thread(target=end, daemon=True).start()
        return stopped
