"""
Notifies systemd of what the service does: sd_notify(3), by hand.

Each notification is one datagram to the socket that the variable ``NOTIFY_SOCKET`` names. Without that variable nobody
listens, and there is no notifier.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import LoopingCall

from natsroute.log import Logger
from natsroute.monitoring.overview import Overview
from natsroute.text import printable

#: Seconds between two looks at what the status line says.
STATUS_INTERVAL = 5.0
#: Seconds until a notification is sent again for which the socket had no space.
RETRY_INTERVAL = 0.1
#: Characters of a status line.
MAX_STATUS = 500

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_T = TypeVar("_T")


class Socket(Protocol):
    """A datagram socket that does not block."""

    def sendto(self, data: bytes, address: bytes, /) -> int:
        """
        Send a datagram.

        :raises OSError: it cannot be sent; BlockingIOError if it can be sent later.
        """

    def close(self) -> None:
        """Close the socket."""


def _unix_socket() -> Socket:
    new = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    new.setblocking(False)
    return new


class Notifier(Service):
    """
    Notifies systemd. All methods are called in the reactor's thread.

    From its start to its stop, it tells a status line, and resets the watchdog at half of its interval. The watchdog is
    reset by the reactor: if that is blocked, systemd restarts the service. ``ready()``, ``stopping()`` and
    :meth:`during_reload` are for the owner.

    If systemd cannot be notified, that is logged once, and the service runs.

    :param reactor: its clock must not jump.
    :param overview: returns the overview that the status line is made of.
    :param address: the value of ``NOTIFY_SOCKET``: a path, or ``@`` and a name in the abstract namespace.
    :param watchdog_usec: the value of ``WATCHDOG_USEC``: microseconds; empty: there is no watchdog.
    :param watchdog_pid: the value of ``WATCHDOG_PID``: the process that systemd watches; empty: each.
    :param monotonic_ns: the time, as ``time.monotonic_ns()``.
    :param new_socket: makes the socket.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        overview: Callable[[], Overview | Deferred[Overview]],
        address: str,
        watchdog_usec: str = "",
        watchdog_pid: str = "",
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        new_socket: Callable[[], Socket] = _unix_socket,
    ) -> None:
        self._reactor = reactor
        self._overview = overview
        self._address = os.fsencode("\0" + address[1:] if address.startswith("@") else address)
        self._watchdog_usec = watchdog_usec
        self._watchdog_pid = watchdog_pid
        self._monotonic_ns = monotonic_ns
        self._new_socket = new_socket
        self._socket: Socket | None = None
        self._unsent: list[str] = []
        self._retry: Any = None
        self._failed = False
        self._is_ready = False
        self._status = ""
        self._rates = Rates()
        self._loops: list[LoopingCall] = []

    @classmethod
    def from_environment(
        cls,
        reactor: Any,
        overview: Callable[[], Overview | Deferred[Overview]],
        environment: MutableMapping[str, str],
    ) -> Notifier | None:
        """
        The notifier that these variables ask for, or None.

        The variables are removed, so that no child process notifies systemd in our name.
        """
        address, watchdog_usec, watchdog_pid = (environment.pop(name, "") for name in _VARIABLES)
        return cls(reactor, overview, address, watchdog_usec, watchdog_pid) if address else None

    def startService(self) -> None:
        """Begin to tell the status, and to reset the watchdog."""
        super().startService()
        try:
            self._socket = self._new_socket()
        except OSError as error:
            self._cannot_notify(error)
        self._is_ready = False
        self._status = ""
        self._rates = Rates()
        self._repeat(self.update_status, STATUS_INTERVAL)
        interval = self._watchdog_interval()
        if interval:
            self._repeat(lambda: self._send("WATCHDOG=1"), interval)

    def stopService(self) -> None:
        """End that. What the socket has no space for is lost."""
        super().stopService()
        loops, self._loops = self._loops, []
        for loop in loops:
            if loop.running:
                loop.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._flush()
            self._give_up()
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()

    def ready(self) -> None:
        """The service is ready, or has ended a reload."""
        self._is_ready = True
        self._send("READY=1")
        self.update_status()

    def reloading(self) -> None:
        """The service begins to reload. :meth:`ready` has to follow, also if the reload fails."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service begins to stop."""
        self._is_ready = False
        self._send("STOPPING=1")
        self.update_status()

    def during_reload(self, reload: Callable[[], Deferred[_T]]) -> Deferred[_T]:
        """
        Reload, and notify systemd before and after, unless the service is not ready.

        :return: the Deferred of ``reload``.
        """
        if not self._is_ready:
            return reload()
        self.reloading()

        def ended(result: Any) -> Any:
            if self._is_ready:  # it is not if a stop has begun meanwhile
                self.ready()
            return result

        return maybeDeferred(reload).addBoth(ended)

    def status(self, text: str) -> None:
        """
        Tell a status, unless it is the last one that was told.

        :param text: is escaped and shortened to one line.
        """
        text = printable(text, MAX_STATUS)
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def update_status(self) -> Deferred[None]:
        """Tell the status of this moment. Fires when it is told."""

        def tell(overview: Overview) -> None:
            if self._socket is not None:
                self.status(status_line(overview, self._rates.of(overview, self._reactor.seconds())))

        asked: Deferred[Any] = maybeDeferred(self._overview)
        return asked.addCallback(tell).addErrback(self._no_overview)

    def _no_overview(self, failure: Any) -> None:
        self.log.failure("There is no overview for the status", failure)

    def _repeat(self, function: Callable[[], object], interval: float) -> None:
        loop = LoopingCall(function)
        loop.clock = self._reactor
        self._loops.append(loop)
        loop.start(interval)

    def _watchdog_interval(self) -> float:
        """Seconds between two resets of the watchdog; 0: systemd does not watch this process."""
        try:
            if self._watchdog_pid and int(self._watchdog_pid) != os.getpid():
                return 0.0
            return max(int(self._watchdog_usec or 0), 0) / 1e6 / 2
        except ValueError:
            self.log.warn("WATCHDOG_USEC and WATCHDOG_PID must be numbers. systemd's watchdog is not reset")
            return 0.0

    def _send(self, message: str) -> None:
        kind = message.partition("=")[0]
        if kind in ("STATUS", "WATCHDOG"):  # only the last one matters
            self._unsent = [one for one in self._unsent if one.partition("=")[0] != kind]
        self._unsent.append(message)
        if self._retry is None:
            self._flush()

    def _flush(self) -> None:
        self._retry = None
        while self._unsent and self._socket is not None:
            try:
                self._socket.sendto(self._unsent[0].encode(), self._address)
            except BlockingIOError:
                self._retry = self._reactor.callLater(RETRY_INTERVAL, self._flush)
                return
            except OSError as error:
                self._cannot_notify(error)
            else:
                self._failed = False
            del self._unsent[0]

    def _cannot_notify(self, error: OSError) -> None:
        if not self._failed:
            self.log.warn(
                "NOTIFY_SOCKET: systemd cannot be notified: {reason}. The service runs all the same",
                reason=error.strerror or error,
            )
        self._failed = True

    def _give_up(self) -> None:
        self._unsent.clear()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


class Rates:
    """Messages a second, in and out, since the last look. A look within a second of the last one changes nothing."""

    def __init__(self) -> None:
        self._last: tuple[float, int, int] | None = None
        self._rates = (0.0, 0.0)

    def of(self, overview: Overview, now: float) -> tuple[float, float]:
        """
        The rates of received and published messages.

        :param now: seconds, of any clock that does not jump.
        """
        received = sum(row.received for row in overview.consumers)
        published = overview.publisher.published
        last = self._last
        if last is None:
            self._last = now, received, published
        elif now - last[0] >= 1.0:
            seconds = now - last[0]
            # A process that was replaced takes its counters with it.
            self._rates = max(received - last[1], 0) / seconds, max(published - last[2], 0) / seconds
            self._last = now, received, published
        return self._rates


def status_line(overview: Overview, rates: tuple[float, float]) -> str:
    """
    What ``systemctl status`` shows: why the service is not ready, rates, backlog, failures, and connections by state.

    :param rates: messages a second, in and out.
    """
    waiting = sum(row.waiting + row.in_progress for row in overview.consumers)
    failed = sum(row.failed for row in overview.consumers)
    states = Counter(row.state for row in overview.connections)
    parts = [
        f"in {rates[0]:,.0f}/s, out {rates[1]:,.0f}/s",
        f"{waiting:,} waiting",
        f"{failed:,} failed, {overview.publisher.failed:,} not published",
        "connections: " + (", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"),
    ]
    if overview.reasons:
        more = len(overview.reasons) - 1
        reason = printable(overview.reasons[0].text, MAX_STATUS // 2)
        parts.insert(0, f"not ready: {reason}" + (f" (and {more} more reasons)" if more else ""))
    return "; ".join(parts)
