"""Builds the consumers of a service: those of subjects, and those of streams."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs

from natsroute.daemon.code.versions import Versions
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.consuming.jetstream_consumer import StreamParts
from natsroute.daemon.consuming.key_value_consumer import KeyValueParts, NotWarned
from natsroute.daemon.consuming.replay_consumer import ReplayParts
from natsroute.daemon.operations.tracing import ServiceTracing
from natsroute.daemon.sending.sending import Sending
from natsroute.daemon.sending.shared_htables import CONFIG
from natsroute.daemon.settings.bucket_entry import KeyValueEntry
from natsroute.daemon.settings.jetstream_entries import AnyEntry, ConsumerEntry, ReplayEntry
from natsroute.daemon.settings.settings import Settings
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.routes.event import Event
from natsroute.routes.key_value_event import KeyValueEvent
from natsroute.routes.runner import RunnerContext


class Consuming:
    """
    Builds the consumers of a service, each with a connection of its own.

    :param connections: makes the connections.
    :param log: logs what overflows.
    :param sending: what routes send with.
    :param tracing: traces the messages.
    :param versions: runs them.
    :param context: what all runners have in common.
    """

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        connections: Connections,
        log: ConnectionLog,
        sending: Sending,
        tracing: ServiceTracing,
        versions: Versions,
        context: RunnerContext,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._connections = connections
        self._log = log
        self._sending = sending
        self._tracing = tracing
        self._versions = versions
        self._context = context

    def new_consumers(self) -> Iterator[Consumer]:
        """One for each entry, in the order of the settings, and then one for each bucket that there are routes for."""
        for entry in (*self._settings.entries, *self._versions.current.routing.key_value_entries):
            yield self._consumer(entry)

    def _consumer(self, entry: AnyEntry) -> Consumer:
        purpose = f"consumer {entry}"
        connection = self._connections.new(purpose, KeyValueEvent if isinstance(entry, KeyValueEntry) else Event)
        context = self._tracing.for_consumer(self._sending.for_consumer(self._context, connection), connection)
        new: Any = Consumer.subscribe
        if isinstance(entry, ConsumerEntry):
            parts = StreamParts(
                connection,
                self._sending.jetstream_api,
                context.in_flight,
                self._reactor,
                PullOptions(**entry.pull),
                self._settings.inbox_prefix,
                partial(self._sending.streams.ensure_consumer, entry.stream, entry.config),
            )
            context, new = attrs.evolve(context, stream=parts.stream), parts.consumer
        elif isinstance(entry, ReplayEntry):
            replay = ReplayParts(
                self._sending.jetstream_api, context.in_flight, self._reactor, self._settings.inbox_prefix
            )
            context, new = attrs.evolve(context, stream=replay.stream), replay.consumer
        elif isinstance(entry, KeyValueEntry):
            bucket = self._sending.key_values.bucket(entry.bucket, CONFIG if self._settings.jetstream_create else None)
            of_bucket = KeyValueParts(bucket, self._sending.jetstream_api, self._reactor, self._settings.inbox_prefix)
            context, new = attrs.evolve(context, unrouted=NotWarned()), of_bucket.consumer
        return self._versions.new_consumer(
            entry,
            connection,
            context,
            self._tracing.for_connections(self._context),
            self._settings.pending_limits,
            partial(self._log.overflow, purpose),
            new,
        )
