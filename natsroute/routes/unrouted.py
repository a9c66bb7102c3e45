"""Warns of messages that no event route matches."""

from __future__ import annotations

from natsroute.log import Logger
from natsroute.routes.acknowledging import LONG_WAIT


class UnroutedMessages:
    """Warns of messages that no route matches, once for each configured subject or consumer."""

    log = Logger()

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def warn(self, configured: str, subject: str) -> None:
        """
        Log a warning, unless there was one for the configured subject.

        :param configured: the subject that was subscribed to.
        :param subject: the subject of the message.
        """
        if configured not in self._warned:
            self._warned.add(configured)
            self.log.warn(
                "No event route matches a message to {subject!r} (subject_queue_group {configured!r}). Add a route "
                "'nats:{configured}'. Further messages without a route are counted, not logged",
                subject=subject,
                configured=configured,
            )

    def warn_of_stream(self, consumer: str, subject: str) -> None:
        """As :meth:`warn`, for a message of a JetStream consumer."""
        if consumer not in self._warned:
            self._warned.add(consumer)
            self.log.warn(
                "No event route matches a message to {subject!r} (jetstream_consumer {consumer!r}). It is delivered "
                "again every {seconds:.0f} s. Add a route for it, or a filter to the consumer. Further messages "
                "without a route are counted, not logged",
                subject=subject,
                consumer=consumer,
                seconds=LONG_WAIT,
            )

    def warn_of_replay(self, consumer: str, subject: str) -> None:
        """As :meth:`warn`, for a message of a stream that is replayed."""
        if consumer not in self._warned:
            self._warned.add(consumer)
            self.log.warn(
                "No event route matches a message to {subject!r} ({consumer}). Add a route for it, or filter_subjects "
                "to the jetstream_replay. Further messages without a route are counted, not logged",
                subject=subject,
                consumer=consumer,
            )

    def begin_anew(self) -> None:
        """Warn again: the code has changed."""
        self._warned.clear()
