"""
The overview: everything that is shown of a service, at one moment, as values that are also JSON.

The HTTP paths, the status page, the console command and the admin subject all show parts of it. The overviews of
several processes add up to one of the same form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from natsroute.client.status import Status
from natsroute.ledger import ConsumerAccount, PublisherAccount, RequestsAccount, RouteCounters

#: Latest errors that an overview has at most.
MAX_ERRORS = 100
#: Calls in flight that an overview has at most: the oldest.
MAX_CALLS = 1000


@attrs.frozen
class Reason:
    """
    A reason why a service is not ready.

    :ivar code: what kind of reason: ``starting``, ``stopping``, ``failed``, ``not_connected``, ``not_subscribed``,
        ``not_consuming`` (the consumer of a stream is missing, for example), ``no_stream`` (a stream of the settings is
        missing, or differs from them), ``cannot_publish``, ``no_answer`` (one of several processes does not answer) or
        ``blocked_reactor``.
    :ivar about: what it is about, such as ``consumer Kamailio-World:2021``; empty if it is the whole service.
    :ivar text: a sentence for people.
    :ivar process: the number of the process, if there are several; else 0. So in all classes below.
    """

    code: str
    about: str
    text: str
    process: int = 0


@attrs.frozen
class ConnectionRow:
    """
    A connection. See :class:`~natsroute.client.status.Status` for most of its fields.

    :ivar purpose: what it is for: ``publish worker 1``, or ``consumer`` and its ``subject_queue_group``.
    :ivar state: a value of :class:`~natsroute.client.state.State`, such as ``connected``.
    :ivar server: the server's URL without credentials, or None.
    :ivar rtt: seconds of the last round trip, or None.
    :ivar last_error: the text of the server's last ``-ERR``, or None.
    """

    purpose: str
    state: str
    server: str | None
    rtt: float | None
    reconnects: int
    messages_in: int
    unclaimed: int
    bytes_in: int
    messages_out: int
    bytes_out: int
    last_error: str | None
    process: int = 0

    @classmethod
    def of(cls, purpose: str, status: Status) -> ConnectionRow:
        """The row of a connection with this status."""
        return cls(
            purpose,
            status.state.value,
            None if status.server is None else str(status.server),
            status.rtt,
            status.reconnects,
            status.messages_in,
            status.unclaimed,
            status.bytes_in,
            status.messages_out,
            status.bytes_out,
            None if status.last_error is None else status.last_error.text,
        )


@attrs.frozen
class ConsumerRow:
    """
    A consumer: messages, as in :class:`~natsroute.ledger.ConsumerAccount`.

    :ivar idle: seconds since the last message, or None if there was none.
    :ivar lag: for a stream, the messages that its consumer has not delivered yet; else None. Several processes share
        the consumer, so the largest number of them is that of all.
    """

    name: str
    received: int
    succeeded: int
    failed: int
    retried: int
    dead_lettered: int
    not_dead_lettered: int
    overflowed: int
    unclaimed: int
    unrouted: int
    in_progress: int
    waiting: int
    idle: float | None = None
    handed_back: int = 0
    lag: int | None = None

    @classmethod
    def of(cls, account: ConsumerAccount, idle: float | None = None) -> ConsumerRow:
        """The row of a consumer with this account."""
        return cls(idle=idle, **{name: getattr(account, name) for name in attrs.fields_dict(cls) if name != "idle"})


@attrs.frozen
class RouteRow:
    """An event route: messages, as in :class:`~natsroute.ledger.RouteCounters`."""

    route: str
    routed: int
    waiting: int
    in_progress: int
    succeeded: int
    failed: int
    retried: int
    dead_lettered: int
    not_dead_lettered: int
    handed_back: int = 0

    @classmethod
    def of(cls, counters: RouteCounters) -> RouteRow:
        """The row of an event route with these counters."""
        return cls(**{name: getattr(counters, name) for name in attrs.fields_dict(cls)})


@attrs.frozen
class WorkerRow:
    """
    A publish worker: messages, as in :class:`~natsroute.ledger.PublisherAccount`.

    :ivar bytes_held: bytes of the messages that are not confirmed.
    :ivar bytes_limit: how many bytes it may hold.
    :ivar messages_limit: how many messages it may hold.
    """

    name: str
    published: int
    confirmed: int
    failed: int
    dropped: int
    resent: int
    in_progress: int
    bytes_held: int
    process: int = 0
    bytes_limit: int = 0
    messages_limit: int = 0

    @classmethod
    def of(
        cls, name: str, account: PublisherAccount, bytes_held: int, bytes_limit: int = 0, messages_limit: int = 0
    ) -> WorkerRow:
        """The row of a publish worker with this account."""
        held = {"bytes_held": bytes_held, "bytes_limit": bytes_limit, "messages_limit": messages_limit}
        return cls(name=name, **held, **attrs.asdict(account))


@attrs.frozen
class PublisherRow:
    """The publisher: messages, as in :class:`~natsroute.ledger.PublisherAccount`."""

    published: int = 0
    confirmed: int = 0
    failed: int = 0
    dropped: int = 0
    resent: int = 0
    in_progress: int = 0

    @classmethod
    def of(cls, account: PublisherAccount) -> PublisherRow:
        """The row of the publisher with this account."""
        return cls(**attrs.asdict(account))


@attrs.frozen
class CallRow:
    """
    A call in flight.

    :ivar route: the event route.
    :ivar subject: the subject of its message; empty for a connection event.
    :ivar age: seconds since the call began.
    """

    route: str
    subject: str
    age: float
    process: int = 0


@attrs.frozen
class ServiceRow:
    """
    An instance of the NATS micro service that a process is announced as.

    :ivar name: the name of the service.
    :ivar version: its version.
    :ivar id: the ID of the instance.
    :ivar endpoints: how many endpoints it has.
    """

    name: str
    version: str
    id: str
    endpoints: int
    process: int = 0


@attrs.frozen
class ErrorRow:
    """
    A line of the log that is a warning or an error.

    :ivar time: Unix time, in seconds.
    :ivar level: ``warn``, ``error`` or ``critical``.
    :ivar namespace: who wrote it, such as ``natsroute.daemon.startup.Startup``.
    :ivar text: the line, without a traceback.
    """

    time: float
    level: str
    namespace: str
    text: str
    process: int = 0


@attrs.frozen
class Overview:
    """
    Everything that is shown of a service, at one moment.

    :ivar name: the name of the service.
    :ivar version: natsroute's version.
    :ivar pids: its process, or several.
    :ivar started: Unix time of the start, in seconds; of the oldest process.
    :ivar time: Unix time of the overview, in seconds.
    :ivar reasons: why the service is not ready; empty if it is.
    :ivar connections: all connections.
    :ivar consumers: all consumers; those with the same name in several processes are one row.
    :ivar routes: all event routes that have had a message; also one row for all processes.
    :ivar publisher: the publish workers together.
    :ivar workers: each publish worker.
    :ivar calls: the oldest calls in flight, the oldest first; at most :data:`MAX_CALLS`.
    :ivar calls_in_flight: how many there are in all.
    :ivar errors: the latest warnings and errors of the log, the latest first; at most :data:`MAX_ERRORS`.
    :ivar reloads: how often the code was loaded anew.
    :ivar requests: the requests that were sent.
    :ivar services: what it is announced as; one for each process, empty without ``service_name``.
    :ivar hot_path: which hot path runs, ``compiled`` or ``pure``; empty if that is not known.
    """

    name: str
    version: str
    pids: tuple[int, ...]
    started: float
    time: float
    reasons: tuple[Reason, ...] = ()
    connections: tuple[ConnectionRow, ...] = ()
    consumers: tuple[ConsumerRow, ...] = ()
    routes: tuple[RouteRow, ...] = ()
    publisher: PublisherRow = PublisherRow()
    workers: tuple[WorkerRow, ...] = ()
    calls: tuple[CallRow, ...] = ()
    calls_in_flight: int = 0
    errors: tuple[ErrorRow, ...] = ()
    reloads: int = 0
    services: tuple[ServiceRow, ...] = ()
    requests: RequestsAccount = RequestsAccount()
    hot_path: str = ""

    @property
    def ready(self) -> bool:
        """Whether each consumer is subscribed, each worker can write, and the service neither starts nor stops."""
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        """The overview as values that ``json.dumps()`` takes, with ``ready`` in addition."""
        return {"ready": self.ready, **attrs.asdict(self)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Overview:
        """
        Undo :meth:`as_json`. Unknown fields are left out, because another process may have another version.

        :raises KeyError: a field is missing.
        """
        rows: dict[str, Any] = {name: tuple(_row(kind, row) for row in fields[name]) for name, kind in _ROWS.items()}
        plain = {name: fields[name] for name in attrs.fields_dict(cls) if name not in {*_ROWS, "requests", "hot_path"}}
        plain["hot_path"] = fields.get("hot_path", "")
        plain["publisher"] = _row(PublisherRow, fields["publisher"])
        plain["requests"] = _row(RequestsAccount, fields.get("requests", {}))
        plain["pids"] = tuple(fields["pids"])
        return cls(**plain, **rows)

    @classmethod
    def merged(cls, overviews: Sequence[Overview]) -> Overview:
        """
        The overview of several processes together.

        :param overviews: at least one, in the order of the processes, which are numbered from 1.
        """
        numbered = [_numbered(overview, number) for number, overview in enumerate(overviews, 1)]
        first = numbered[0]
        return cls(
            name=first.name,
            version=first.version,
            pids=tuple(pid for one in numbered for pid in one.pids),
            started=min(one.started for one in numbered),
            time=max(one.time for one in numbered),
            reasons=tuple(reason for one in numbered for reason in one.reasons),
            connections=tuple(row for one in numbered for row in one.connections),
            consumers=tuple(_added_up((row for one in numbered for row in one.consumers), "name")),
            routes=tuple(_added_up((row for one in numbered for row in one.routes), "route")),
            publisher=_sum([one.publisher for one in numbered]),
            workers=tuple(row for one in numbered for row in one.workers),
            calls=tuple(sorted((row for one in numbered for row in one.calls), key=lambda row: -row.age))[:MAX_CALLS],
            calls_in_flight=sum(one.calls_in_flight for one in numbered),
            errors=tuple(sorted((row for one in numbered for row in one.errors), key=lambda row: -row.time))[
                :MAX_ERRORS
            ],
            reloads=max(one.reloads for one in numbered),
            services=tuple(row for one in numbered for row in one.services),
            requests=_sum([one.requests for one in numbered]),
            hot_path=next((one.hot_path for one in numbered if one.hot_path), ""),
        )


_ROWS: dict[str, type[Any]] = {
    "reasons": Reason,
    "connections": ConnectionRow,
    "consumers": ConsumerRow,
    "routes": RouteRow,
    "workers": WorkerRow,
    "calls": CallRow,
    "errors": ErrorRow,
    "services": ServiceRow,
}


def _row(kind: type[Any], fields: dict[str, Any]) -> Any:
    """A row; fields with a default may be missing, because another process may have another version."""
    known = attrs.fields_dict(kind)
    return kind(
        **{name: fields[name] for name, field in known.items() if name in fields or field.default is attrs.NOTHING}
    )


def _numbered(overview: Overview, number: int) -> Overview:
    """The same overview, with the number of its process in each row that has one."""
    with_process: dict[str, Any] = {
        name: tuple(attrs.evolve(row, process=number) for row in getattr(overview, name))
        for name, kind in _ROWS.items()
        if "process" in attrs.fields_dict(kind)
    }
    return attrs.evolve(overview, **with_process)


def _added_up(rows: Iterable[Any], name: str) -> Iterable[Any]:
    """One row for all that have the same name."""
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, name), []).append(row)
    return (_sum(group) for group in groups.values())


def _sum(rows: Sequence[Any]) -> Any:
    """The sum of the numbers of several rows; the shortest ``idle``, the largest ``lag``."""
    sums: dict[str, Any] = {}
    for name in attrs.fields_dict(type(rows[0])):
        values = [getattr(row, name) for row in rows]
        if name == "idle":
            sums[name] = min((value for value in values if value is not None), default=None)
        elif name == "lag":
            sums[name] = max((value for value in values if value is not None), default=None)
        elif isinstance(values[0], int):
            sums[name] = sum(values)
        else:
            sums[name] = values[0]
    return type(rows[0])(**sums)
