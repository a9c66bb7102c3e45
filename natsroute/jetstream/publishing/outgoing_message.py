"""A message on its way to a stream."""

from __future__ import annotations

from typing import Any

from natsroute.confirmation import Confirmation


class OutgoingMessage:
    """
    A message that no stream has acknowledged yet.

    :ivar confirmation: the Deferred that its publish returned.
    :ivar command: the ``HPUB``, with the reply subject that the acknowledgement comes to; empty while the thread pool
        makes the payload, None when the message has been acknowledged or has failed.
    :ivar size: bytes that the buffer counts for it.
    :ivar target: its subject, a :class:`~natsroute.jetstream.publishing.stream_subject.StreamSubject`.
    :ivar number: counts the messages of the publisher, in the order of the calls.
    :ivar since: when it was published, on the reactor's clock.
    :ivar written: when it was written last, if it is not known to have failed since; otherwise None.
    """

    __slots__ = ("command", "confirmation", "number", "since", "size", "target", "written")

    def __init__(
        self,
        confirmation: Confirmation,
        command: bytes | None,
        size: int,
        target: Any,
        number: int,
        since: float,
    ) -> None:
        self.confirmation = confirmation
        self.command = command
        self.size = size
        self.target = target
        self.number = number
        self.since = since
        self.written: float | None = since
