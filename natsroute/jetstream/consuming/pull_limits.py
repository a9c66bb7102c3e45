"""What a consumer allows a pull to ask for, and how natsroute adapts to that."""

from __future__ import annotations

from typing import TypeVar

import attrs

from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.consuming.pull_status import PullStatus, StatusKind
from natsroute.jetstream.management.consumers import ConsumerInfo
from natsroute.log import Logger

_N = TypeVar("_N", int, float)

#: The largest message that a server can have, with headers.
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024 + 64 * 1024
#: Warnings that are remembered, so that each is in the log once.
_MAX_WARNINGS = 100

_REMEDIES = {
    StatusKind.MAX_ACK_PENDING: "raise max_ack_pending of the consumer, or acknowledge sooner",
    StatusKind.MAX_WAITING: "raise max_waiting of the consumer, or let fewer clients pull from it",
    StatusKind.MAX_BATCH: "natsroute asks for less; to avoid this, raise max_batch of the consumer",
    StatusKind.MAX_EXPIRES: "natsroute waits less; to avoid this, raise max_expires of the consumer",
    StatusKind.MAX_BYTES: "natsroute asks for less; to avoid this, raise max_bytes of the consumer",
    StatusKind.OTHER: "natsroute does not know this status, and pulls again",
}


class PullLimits:
    """
    The options of the next pull: those that were asked for, reduced to what the consumer allows. What is reduced or
    refused is in the log once.

    :param options: what was asked for.
    :param name: the consumer, for the log.

    :ivar options: what the next pull asks for.
    """

    log = Logger()

    def __init__(self, options: PullOptions, name: str) -> None:
        self.options = options
        self._wanted = options
        self._name = name
        self._warned: set[str] = set()

    def adapt(self, info: ConsumerInfo) -> None:
        """Ask for what the consumer allows."""
        wanted = attrs.evolve(self._wanted, max_bytes=max(self._wanted.max_bytes, self.options.max_bytes))
        allowed = info.config
        batch = min(_allowed(wanted.batch, allowed.max_batch), _allowed(wanted.batch, allowed.max_ack_pending))
        expires = _allowed(wanted.expires, allowed.max_expires)
        max_bytes = _allowed(wanted.max_bytes, allowed.max_bytes)
        self.options = attrs.evolve(wanted, batch=batch, expires=expires, max_bytes=max_bytes)
        for name, value, limit in (
            ("batch", self._wanted.batch, batch),
            ("expires", self._wanted.expires, expires),
            ("max_bytes", self._wanted.max_bytes, max_bytes),
        ):
            if limit < value:
                self._warn(f"{name} {limit}", f"it allows a {name} of {limit}, and natsroute does not ask for {value}")

    def reduce(self, status: PullStatus) -> bool:
        """
        Ask for what a refusal says is allowed.

        :return: whether the next pull asks for less than the refused one.
        """
        limit, before = status.limit, self.options
        if limit is None or limit <= 0:
            return False
        if status.kind is StatusKind.MAX_BATCH:
            self.options = attrs.evolve(before, batch=min(before.batch, int(limit)))
        elif status.kind is StatusKind.MAX_EXPIRES:
            self.options = attrs.evolve(before, expires=min(before.expires, limit))
        elif status.kind is StatusKind.MAX_BYTES:
            self.options = attrs.evolve(before, max_bytes=min(before.max_bytes, int(limit)))
        return self.options != before

    def grow(self, refused: int, info: ConsumerInfo | None) -> bool:
        """
        Ask for more bytes: a message did not fit into a pull that had brought nothing.

        :param refused: the ``max_bytes`` of that pull.
        :return: whether the next pull asks for more.
        """
        max_bytes = min(max(self.options.max_bytes, refused * 2), _MAX_MESSAGE_BYTES)
        if info is not None:
            max_bytes = _allowed(max_bytes, info.config.max_bytes)
        self.options = attrs.evolve(self.options, max_bytes=max_bytes)
        if max_bytes > refused:
            self._warn("grow", f"it has messages of more than {refused} bytes, and natsroute asks for more")
        return max_bytes > refused

    def warn(self, status: PullStatus) -> None:
        """Log a status with what to do, once."""
        remedy = _REMEDIES.get(status.kind, _REMEDIES[StatusKind.OTHER])
        self._warn(status.text, f"it refuses a pull: {status.text}; {remedy}")

    def _warn(self, key: str, text: str) -> None:
        if key not in self._warned and len(self._warned) < _MAX_WARNINGS:
            self._warned.add(key)
            self.log.warn("Consumer {consumer}: {text}", consumer=self._name, text=text)


def _allowed(wanted: _N, limit: _N | None) -> _N:
    """The server writes 0 or -1 for "no limit"."""
    return min(wanted, limit) if limit is not None and limit > 0 else wanted


def remedy_for_bad_request(options: PullOptions, info: ConsumerInfo | None) -> str:
    """What to do when the server does not accept the parts of a pull."""
    if info is None:
        return "Check the options of the pull"
    config = info.config
    if config.priority_policy in (None, "none"):
        return "The consumer has no priority policy: set none of the priority options, or set its priority_policy"
    if options.group not in (config.priority_groups or ()):
        return f"Set the priority group to one of the consumer: {', '.join(config.priority_groups or ())}"
    return f"The consumer has the priority policy {config.priority_policy!r}: set only the options of that policy"
