"""What a service is going to run: its consumers with their event routes, and what is probably wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import attrs

from natsroute.daemon.code.routing import Routing
from natsroute.daemon.operations.http import http_warnings
from natsroute.daemon.settings.jetstream_entries import AnyEntry, ConsumerEntry, ReplayEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.daemon.subject_warnings import subject_warnings
from natsroute.routes.route import PREFIX

#: Looks at the settings and gives warnings, each a sentence.
Inspection = Callable[[Settings], Iterable[str]]


@attrs.frozen
class PlannedConsumer:
    """
    A consumer.

    :ivar entry: its ``subject_queue_group``, ``jetstream_consumer`` or ``jetstream_replay``.
    :ivar runs: the names of the event routes that its messages can reach, or what runs instead; empty if nothing does.
    """

    entry: AnyEntry
    runs: tuple[str, ...]


@attrs.frozen
class Plan:
    """
    What a service is going to run.

    :ivar servers: its servers, without credentials.
    :ivar workers: the number of its publish workers. Each has a connection.
    :ivar consumers: its consumers. Each has a connection.
    :ivar passed_over: the blocks of a ``kamailio.cfg`` that do not run here, as a sentence; empty if there are none.
    :ivar warnings: what is probably wrong, although it is allowed, each as a sentence.
    """

    servers: str
    workers: int
    consumers: tuple[PlannedConsumer, ...]
    warnings: tuple[str, ...]
    passed_over: str = ""

    @classmethod
    def of(cls, settings: Settings, routing: Routing, inspections: Iterable[Inspection] = ()) -> Plan:
        """
        The plan of a service with these settings.

        :param routing: the event routes.
        :param inspections: give further warnings.
        """
        entries = (*settings.entries, *routing.key_value_entries)
        servers = "the embedded server" if settings.embedded_server else ", ".join(map(str, settings.servers))
        consumers = tuple(PlannedConsumer(entry, tuple(routing.names(entry))) for entry in entries)
        warnings = [
            *_warnings_of(consumers),
            *settings.warnings,
            *routing.script_warnings,
            *http_warnings(settings),
            *subject_warnings(
                settings.subject_queue_group,
                routing.all_names,
                streams=bool(settings.jetstream_consumer or settings.jetstream_replay),
            ),
            *_service_warnings(settings, routing),
            *(warning for inspect in inspections for warning in inspect(settings)),
        ]
        blocks = ", ".join(routing.passed_over)
        passed_over = f"natsroute does not run these blocks of {settings.kamailio_cfg}: {blocks}" if blocks else ""
        if not settings.first_process:  # it consumes a part only, which looks wrong; the first process says the rest
            warnings, passed_over = [], ""
        return cls(servers, settings.num_publish_workers, consumers, tuple(dict.fromkeys(warnings)), passed_over)


def _service_warnings(settings: Settings, routing: Routing) -> Iterator[str]:
    if settings.service_name and not any(any(routing.responding(entry)) for entry in settings.subject_queue_group):
        yield (
            f"The service {settings.service_name} has no endpoint: no event route with responds=True is reached by a "
            "subject_queue_group"
        )


def _warnings_of(consumers: Iterable[PlannedConsumer]) -> Iterator[str]:
    if not consumers:
        yield "No subject_queue_group is set: nothing is consumed, natsroute only publishes"
    for consumer in consumers:
        if not consumer.runs:
            name = PREFIX + consumer.entry.subject
            add = (
                "some for the subjects of its stream"
                if isinstance(consumer.entry, (ConsumerEntry, ReplayEntry))
                else f"one named '{name}'"
            )
            yield f"Consumer {consumer.entry} has no event route: add {add}"
