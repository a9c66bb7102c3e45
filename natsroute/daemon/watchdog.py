"""Names the event route that keeps the reactor from everything else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.application.service import Service

from natsroute.log import Logger
from natsroute.monitoring.pulse import Pulse
from natsroute.routes.running_route import RouteCode

#: Seconds in which one route is named once.
PERIOD = 60.0


class Watchdog(Service):
    """
    A thread that asks the reactor for a sign of life, and looks at its stack if none comes.

    Messages pay nothing for it. A route that blocks inside a function written in C that does not release the
    interpreter's lock is named only if it is still running when the lock is free again.

    :param reactor: is asked with ``callFromThread()``.
    :param routes: finds the route on the stack.
    :param limit: seconds that the reactor may take. 0: nobody watches.
    :param seconds: the time, as ``time.monotonic()``.
    :param frame_of: returns the innermost frame of a thread, or None.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        routes: RouteCode,
        limit: float,
        *,
        seconds: Callable[[], float] = time.monotonic,
        frame_of: Callable[[int], FrameType | None] = lambda thread: sys._current_frames().get(thread),
    ) -> None:
        self._routes = routes
        self._limit = limit
        self._seconds = seconds
        self._frame_of = frame_of
        self._stop = threading.Event()
        self._pulse = Pulse(reactor, self._answered, seconds)
        self._named: str | None = None  # the route that was named for this question
        self._last: dict[str, float] = {}  # when each route was named last

    def startService(self) -> None:
        """Begin to watch. Called in the reactor's thread, or in the one that will run it."""
        super().startService()
        self._stop = threading.Event()
        self._named = None
        self._pulse.start()
        if self._limit:
            threading.Thread(target=self._watch, args=(self._stop,), name="natsroute watchdog", daemon=True).start()

    def stopService(self) -> None:
        """Watch no more. The thread ends by itself."""
        super().stopService()
        self._stop.set()

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(self._limit / 4):
            self.look()

    def current_code(self) -> tuple[str, str]:
        """
        What runs in the reactor's thread. Called in any thread.

        :return: the event route, or an empty text; and file and line.
        """
        frame = None if self._pulse.thread is None else self._frame_of(self._pulse.thread)
        found = self._routes.find(frame)
        return found or ("", "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}")

    def look(self) -> None:
        """Ask the reactor, or see how long the last question has been waiting. Called in the watchdog's thread."""
        blocked = self._pulse.look()
        if blocked >= self._limit and self._named is None:
            self._name(blocked, self._seconds())

    def _name(self, blocked: float, now: float) -> None:
        route, where = self.current_code()
        if not route:
            return  # the next look may find one
        self._named = route
        if now - self._last.get(route, -PERIOD) < PERIOD:
            self._named = ""  # neither now nor when it ends
            return
        self._last[route] = now
        self.log.warn(
            "Event route {route} has kept the reactor for {seconds:.1f} s, and is at {where}: nothing else runs "
            "meanwhile. Use thread=True for a function that blocks",
            route=route,
            seconds=blocked,
            where=where,
        )

    def _answered(self, seconds: float) -> None:
        """The reactor is alive."""
        named, self._named = self._named, None
        if named:
            self.log.warn(
                "The reactor runs again, {seconds:.1f} s after event route {route} began to keep it",
                route=named,
                seconds=seconds,
            )
