"""``twistd natsroute --check``: what would run, as a table, and whether the servers can be used. Nothing is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults

from natsroute.client.servers import Server
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.plan import Inspection, Plan
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.connection_settings import DEFAULT_URL
from natsroute.daemon.settings.jetstream_entries import AnyEntry, ConsumerEntry
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.kamailio.kemi.missing import missing_functions
from natsroute.text import aligned, printable


def _missing_in_kemi_script(settings: Settings) -> Iterator[str]:
    """The functions that a KEMI script uses and natsroute does not have."""
    for missing in missing_functions(settings.kemi_script) if settings.kemi_script else ():
        times = "once" if missing.uses == 1 else f"{missing.uses} times"
        yield f"{missing.position}: natsroute has no KSR.{missing.name}, which is used {times}"


#: What looks further at the settings. Each gives warnings, and raises SettingError or ScriptError.
INSPECTIONS: tuple[Inspection, ...] = (_missing_in_kemi_script,)

_HEADINGS = ("subject", "queue group", "connections", "runs")
_STREAM_HEADINGS = ("stream", "consumer", "connections", "runs")
_BUCKET_HEADINGS = ("bucket", "keys", "connections", "runs")
_NOTHING = "nothing: no event route"


def plan_lines(settings: Settings, plan: Plan) -> Iterator[str]:
    """What would run, as a table, and all warnings."""
    if settings.kamailio_cfg:
        yield f"kamailio.cfg: {printable(settings.kamailio_cfg)}"
    yield f"NATS servers: {plan.servers}"
    if settings.processes > 1:
        yield f"processes: {settings.processes}, each with what follows; what has no queue group is in the first only"
    yield f"publish workers: {plan.workers}, each with a connection"
    rows = Counter((_heading(one.entry), *_names(one.entry), ", ".join(one.runs) or _NOTHING) for one in plan.consumers)
    for heading in (_HEADINGS, _STREAM_HEADINGS, _BUCKET_HEADINGS):
        table = [(first, second, str(n), runs) for (kind, first, second, runs), n in rows.items() if kind is heading]
        if table:
            yield ""
            yield from aligned([heading, *table])
    if plan.passed_over or plan.warnings:
        yield ""
    if plan.passed_over:
        yield printable(plan.passed_over)
    for warning in plan.warnings:
        yield f"warning: {printable(warning)}"


def _heading(entry: AnyEntry) -> tuple[str, ...]:
    if isinstance(entry, KeyValueEntry):
        return _BUCKET_HEADINGS
    return _HEADINGS if isinstance(entry, QueueEntry) else _STREAM_HEADINGS


def _names(entry: AnyEntry) -> tuple[str, str]:
    if isinstance(entry, KeyValueEntry):
        return entry.bucket, " ".join(entry.patterns)
    if isinstance(entry, QueueEntry):
        return entry.subject, entry.queue_group or ""
    return entry.stream, entry.durable if isinstance(entry, ConsumerEntry) else "(replay)"


@attrs.frozen
class Reached:
    """
    What came of an attempt to connect to a server.

    :ivar server: the server.
    :ivar version: the version of nats-server; empty if it cannot be used.
    :ivar reason: why it cannot be used, or None.
    """

    server: Server
    version: str = ""
    reason: Exception | None = None

    def __str__(self) -> str:
        if self.reason is None:
            return f"{self.server}: connected (nats-server {printable(self.version)})"
        return f"{self.server}: cannot be used: {printable(str(self.reason))}"


def connect_once(reactor: Any, settings: Settings) -> Deferred[list[Reached]]:
    """
    Connect to each server once, with the login and TLS of the settings, and leave it again. Nothing is subscribed.

    :return: fires in the reactor's thread with the results, in the order of the servers.
    """
    urls = settings.nats_url or (DEFAULT_URL,)
    return gatherResults([Deferred.fromCoroutine(_connect(reactor, settings, url)) for url in urls])


async def _connect(reactor: Any, settings: Settings, url: str) -> Reached:
    alone = attrs.evolve(settings, nats_url=(url,), ignore_discovered_servers=True)
    connection = Connections(reactor, alone, None, ConnectionLog(reactor)).new("check")
    first: Deferred[Change] = Deferred()
    connection.observe(lambda change: None if first.called else first.callback(change))
    connection.startService()
    change = await first
    version = connection.info.version if connection.info else ""
    await connection.stopService()
    if change.event is ConnectionEvent.CONNECTED:
        return Reached(alone.servers[0], version)
    return Reached(alone.servers[0], reason=change.reason)
