"""Looks at a running service: makes its overview."""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from natsroute import hot
from natsroute._version import __version__
from natsroute.daemon.connections import Connections
from natsroute.ledger import Ledger, PublisherAccount
from natsroute.monitoring.overview import (
    MAX_CALLS,
    CallRow,
    ConnectionRow,
    ConsumerRow,
    ErrorRow,
    Overview,
    PublisherRow,
    Reason,
    RouteRow,
    ServiceRow,
    WorkerRow,
)
from natsroute.routes.in_flight import CallsInFlight


class Worker(Protocol):
    """A publish worker, as far as it is looked at."""

    @property
    def buffer(self) -> Any:
        """What it holds: ``bytes``, and its ``limits``."""

    def account(self) -> PublisherAccount:
        """What became of its messages."""


class Observation:
    """
    Makes the overviews of a service.

    :param reactor: tells the time of calls.
    :param name: returns the name of the service.
    :param ledger: returns its ledger.
    :param connections: its connections.
    :param workers: returns its publish workers, each after its name.
    :param in_flight: its calls.
    :param reasons: returns why it is not ready.
    :param idle: returns the seconds since the last message of each consumer, in the order of the ledger.
    :param errors: returns the latest errors, the latest first.
    :param reloads: returns how often the code was loaded anew.
    :param services: returns what the service is announced as.
    :param unix_time: the time, as ``time.time()``.
    """

    def __init__(
        self,
        reactor: Any,
        name: Callable[[], str],
        ledger: Callable[[], Ledger],
        connections: Connections,
        workers: Callable[[], Iterable[tuple[str, Worker]]],
        in_flight: CallsInFlight,
        reasons: Callable[[], Iterable[Reason]],
        idle: Callable[[], Sequence[float | None]],
        errors: Callable[[], tuple[ErrorRow, ...]] = lambda: (),
        reloads: Callable[[], int] = lambda: 0,
        services: Callable[[], tuple[ServiceRow, ...]] = lambda: (),
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._ledger = ledger
        self._connections = connections
        self._workers = workers
        self._in_flight = in_flight
        self._reasons = reasons
        self._errors = errors
        self._reloads = reloads
        self._services = services
        self._idle = idle
        self._unix_time = unix_time
        self._started = unix_time()

    def overview(self) -> Overview:
        """The overview at this moment. Called in the reactor's thread."""
        ledger = self._ledger()
        return Overview(
            name=self._name(),
            version=__version__.public(),
            pids=(os.getpid(),),
            started=self._started,
            time=self._unix_time(),
            reasons=tuple(self._reasons()),
            connections=tuple(ConnectionRow.of(name, one.status()) for name, one in self._connections.named),
            consumers=tuple(map(ConsumerRow.of, ledger.consumers, self._idle())),
            routes=tuple(RouteRow.of(counters) for counters in ledger.routes),
            publisher=PublisherRow.of(ledger.publisher),
            workers=tuple(_worker_row(name, worker) for name, worker in self._workers()),
            calls=tuple(self._calls()),
            calls_in_flight=len(self._in_flight.running),
            errors=self._errors(),
            reloads=self._reloads(),
            services=self._services(),
            requests=ledger.requests,
            hot_path=hot.IMPLEMENTATION,
        )

    def _calls(self) -> Iterator[CallRow]:
        now = self._reactor.seconds()
        for call in heapq.nsmallest(MAX_CALLS, self._in_flight.running, key=lambda call: call.started):
            yield CallRow(call.event.name, call.event.subject, now - call.started)


def _worker_row(name: str, worker: Worker) -> WorkerRow:
    buffer = worker.buffer
    return WorkerRow.of(name, worker.account(), buffer.bytes, buffer.limits.bytes, buffer.limits.messages)
