"""A pool of threads as a service, whose end is bounded even when a thread's is not."""

from __future__ import annotations

import threading

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool


class _DaemonThread(threading.Thread):
    """A thread that a process does not wait for when it ends."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, daemon=True, **kwargs)  # type: ignore[arg-type]


class Threads(Service):
    """
    Owns a :class:`~twisted.python.threadpool.ThreadPool`.

    Twisted's ``stop()`` joins every thread, and one blocked function would keep the process for ever. So it is called
    in a thread of its own and waited for so long; threads still blocked then end with the process.

    :param size: threads at most.
    :param patience: seconds to wait for them at the end.
    """

    log = Logger()

    def __init__(self, reactor: IReactorTime, name: str, size: int, *, patience: float = 5.0) -> None:
        self.pool = ThreadPool(0, size, name)
        self.pool.threadFactory = _DaemonThread
        self._reactor = reactor
        self._patience = patience

    def startService(self) -> None:
        super().startService()
        self.pool.start()

    def stopService(self) -> Deferred[None]:
        """
        End the threads.

        :return: fires when they have ended, or the patience has.
        """
        super().stopService()
        stopped: Deferred[None] = Deferred()
        reactor: IReactorFromThreads = self._reactor  # type: ignore[assignment]

        def end() -> None:
            self.pool.stop()
            reactor.callFromThread(tell, True)

        def tell(in_time: bool) -> None:
            if stopped.called:
                return
            if in_time:
                give_up.cancel()
            else:
                self.log.error(
                    "{count} threads of the pool {name} are still blocked; they end with the process",
                    count=len(self.pool.working),
                    name=self.pool.name,
                )
            stopped.callback(None)

        give_up = self._reactor.callLater(self._patience, tell, False)
        threading.Thread(target=end, daemon=True).start()
        return stopped
