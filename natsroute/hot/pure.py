"""
The hot path in Python: what runs for each message, from the bytes of a server to the event route, and from
``publish()`` to the list of commands that are written.

This is what the compiled module does, too, and it is the reference for it. Both know the plain case only. Everything
else is handed to the classes that build on these: to the parser, the subscription, the calls and the outlet.

The frames are few and long, because a call costs as much as all that it does here. So a few lines stand in two places.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from threading import get_ident
from typing import Any

from natsroute.hot.pure_reader import Reader

__all__ = [
    "Counts",
    "Gate",
    "Reader",
    "Sender",
    "Target",
    "Tray",
    "Way",
    "confirm_all",
    "drop_abandoned",
    "shorten_publish",
]


class Counts:
    """
    The counters of an event route that change with each message.

    :ivar routed: messages given to the route.
    :ivar succeeded: calls that ended well.
    """

    __slots__ = ("routed", "succeeded")

    def __init__(self, routed: int = 0, succeeded: int = 0) -> None:
        self.routed = routed
        self.succeeded = succeeded


class Way:
    """
    The way of a message to the function of an event route.

    :ivar function: the function. It may be replaced at any time.
    :ivar context: what each message gets as its attribute of this name.
    :ivar counters: counts the messages.
    """

    __slots__ = ("__weakref__", "context", "counters", "function")

    def __init__(self, function: Callable[[Any], object], counters: Counts) -> None:
        self.function = function
        self.counters = counters
        self.context: Any = None

    def returned(self, msg: Any, result: object) -> Any:
        """
        The function has returned something else than None.

        :return: None if the next message may come at once, or a Deferred that fires when it may.
        """
        raise NotImplementedError

    def raised(self, msg: Any) -> None:
        """The function has raised the exception that is being handled."""
        raise NotImplementedError


class Gate:
    """
    Where the messages of one subscription come in.

    :ivar received: messages so far.
    :ivar is_direct: whether a message can be handed over as it arrives. If not, :meth:`_took` decides.
    :ivar on_msg: called with each message that has no way. If it returns a Deferred, the next message has to wait.
    :ivar ways: by the subject of the message. They may change at any time.
    :ivar only_without_headers: whether messages with headers go to :attr:`on_msg`, although they have a way.
    """

    __slots__ = ("__weakref__", "is_direct", "on_msg", "only_without_headers", "received", "ways")

    def __init__(self, on_msg: Callable[[Any], Any]) -> None:
        self.received = 0
        self.is_direct = True
        self.on_msg = on_msg
        self.ways: dict[str, Way] = {}
        self.only_without_headers = False

    def deliver(self, msg: Any) -> None:
        """Take a message from the connection."""
        self.received += 1
        if not self.is_direct and self._took(msg):
            return
        # The same as in hand(), without a further call: nearly every message comes this way.
        way = self.ways.get(msg.address.subject)
        if way is None or (self.only_without_headers and msg.header_block):
            try:
                busy = self.on_msg(msg)
            except BaseException:  # the rest of the chunk must not be lost
                self._receiver_raised(msg)
                return
        else:
            msg.context = way.context
            counters = way.counters
            counters.routed += 1
            try:
                result = way.function(msg)
            except BaseException:  # whatever it is, it is about this call
                way.raised(msg)
                return
            if result is None:
                counters.succeeded += 1
                return
            busy = way.returned(msg, result)
        if busy is not None:
            self._wait_for(busy)

    def hand(self, msg: Any) -> Any:
        """
        Hand over a message that is counted already.

        :return: None if the next message may come at once, or a Deferred that fires when it may.
        """
        way = self.ways.get(msg.address.subject)
        if way is None or (self.only_without_headers and msg.header_block):
            try:
                return self.on_msg(msg)
            except BaseException:
                self._receiver_raised(msg)
                return None
        msg.context = way.context
        counters = way.counters
        counters.routed += 1
        try:
            result = way.function(msg)
        except BaseException:
            way.raised(msg)
            return None
        if result is None:
            counters.succeeded += 1
            return None
        return way.returned(msg, result)

    def _took(self, msg: Any) -> bool:
        """Whether a message is pending or was dropped, instead of being handed over."""
        raise NotImplementedError

    def _wait_for(self, busy: Any) -> None:
        """Hand over no message until a Deferred has fired."""
        raise NotImplementedError

    def _receiver_raised(self, msg: Any) -> None:
        """:attr:`on_msg` has raised the exception that is being handled."""
        raise NotImplementedError


class Tray:
    """
    What a publish worker holds, and the messages that it gathers in this turn of the reactor.

    :ivar messages: messages held.
    :ivar bytes: bytes of their commands.
    :ivar batch_ends_at: messages held up to which one can be added without anything else to do.
    :ivar high_water_messages: the highest value of that.
    :ivar high_water_bytes: the same for bytes.
    :ivar max_payload: bytes of payload and headers that the server takes.
    :ivar takes_headers: whether the server supports headers.
    :ivar is_open: whether a message can be added without anything else to do: the turn's first message is there.
    :ivar confirmations: the Deferreds of the messages that were gathered.
    :ivar commands: their commands, in the same order. An entry may have several of them. The last ones are there after
        :meth:`close_block`.
    """

    __slots__ = (
        "batch_ends_at",
        "bytes",
        "commands",
        "confirmations",
        "high_water_bytes",
        "high_water_messages",
        "is_open",
        "max_payload",
        "messages",
        "takes_headers",
    )

    def __init__(self, high_water_messages: int, high_water_bytes: int) -> None:
        self.messages = self.bytes = 0
        self.batch_ends_at = self.high_water_messages = high_water_messages
        self.high_water_bytes = high_water_bytes
        self.max_payload = 0
        self.takes_headers = True
        self.is_open = False
        self.confirmations: list[Any] = []
        self.commands: list[Any] = []

    def close_block(self) -> None:
        """
        Let the list of commands have all that were added.

        Here it has. The compiled tray writes them one behind the other first.
        """


class Target:
    """
    A subject that messages are published to.

    :param name: the subject in bytes, checked.
    :param tray: the tray of the worker that publishes its messages.
    """

    __slots__ = ("pub", "tray")

    def __init__(self, name: bytes, tray: Tray) -> None:
        self.pub = b"PUB %b " % name
        self.tray = tray


#: The end of the control line of a ``PUB``: the bytes of the payload, and CR LF. (Joining parts takes less time than
#: ``%``, which copies a payload twice.)
size_line: Callable[[int], bytes] = lru_cache(4096)(b"%d\r\n".__mod__)


class Sender:
    """
    Publishes plain messages.

    :ivar plain_thread: the ident of the thread whose messages may be plain; 0 if none may.
    :ivar targets: the subjects of plain messages.

    :param confirmation_type: the class of the Deferreds.
    :param encode: encodes a message with a reply subject or headers: from subject, payload, reply subject and headers
        it makes the command, and the bytes of its payload and headers. It raises if they are invalid.
    :param encode_reply: encodes a reply subject. It raises if that is invalid.
    """

    __slots__ = ("__weakref__", "_encode", "_encode_reply", "confirmation_type", "plain_thread", "targets")

    def __init__(
        self,
        confirmation_type: Callable[[], Any],
        encode: Callable[[str, bytes, Any, Any], tuple[bytes, int]],
        encode_reply: Callable[[str], bytes],
    ) -> None:
        self.confirmation_type = confirmation_type
        self._encode = encode
        self._encode_reply = encode_reply
        self.plain_thread = 0
        self.targets: dict[str, Target] = {}

    def publish(self, subject: str, payload: object, reply: Any = None, headers: Any = None, **options: Any) -> Any:
        """See :meth:`natsroute.publishing.outlet.Outlet.publish`."""
        if (
            type(payload) is bytes
            and not options
            and type(subject) is str
            and (target := self.targets.get(subject)) is not None
            and (tray := target.tray).is_open
            and get_ident() == self.plain_thread
        ):
            try:
                if headers is not None:
                    if not tray.takes_headers:
                        return self._publish_other(subject, payload, reply, headers, options)
                    command, size = self._encode(subject, payload, reply, headers)
                else:
                    size = len(payload)
                    if reply is None:
                        command = b"".join((target.pub, size_line(size), payload, b"\r\n"))
                    else:
                        command = b"".join(
                            (target.pub, self._encode_reply(reply), b" ", size_line(size), payload, b"\r\n")
                        )
            except Exception:  # the other way fails the Deferred
                return self._publish_other(subject, payload, reply, headers, options)
            messages = tray.messages + 1
            held = tray.bytes + len(command)
            if size <= tray.max_payload and messages <= tray.batch_ends_at and held <= tray.high_water_bytes:
                tray.messages = messages
                tray.bytes = held
                confirmation = self.confirmation_type()
                tray.confirmations.append(confirmation)
                tray.commands.append(command)
                return confirmation
        return self._publish_other(subject, payload, reply, headers, options)

    def _publish_other(self, subject: str, payload: object, reply: Any, headers: Any, options: Any) -> Any:
        """Publish any message."""
        raise NotImplementedError


def shorten_publish(event_type: type) -> None:
    """
    Let ``publish()`` and ``nats_publish()`` of a class of events call that of their context in the shortest way.

    There is none that is shorter than a method.
    """


def confirm_all(confirmations: Iterable[Any]) -> None:
    """Fire the Deferreds of messages that the server has, except those that were cancelled."""
    for confirmation in confirmations:
        if confirmation is None:
            continue
        if confirmation.has_callbacks:
            if not confirmation.called:
                confirmation.callback(None)
        else:
            # The effect of callback(None), at a tenth of its cost.
            confirmation.called = True
            confirmation.result = None


#: Counts the references to an object, in CPython. Other Pythons cannot tell whether anybody still has a Deferred.
_count_references: Callable[[object], int] | None = getattr(sys, "getrefcount", None)


def _reference_counts(confirmations: Sequence[object]) -> list[int]:
    return [0 if _count_references is None else _count_references(confirmation) for confirmation in confirmations]


#: The count for an object that only the list holds.
[_ONLY_IN_LIST] = _reference_counts([object()])


def drop_abandoned(confirmations: list[Any]) -> None:
    """
    Replace abandoned Deferreds by None: the publisher dropped them, and they have no callbacks.

    They need not be kept, and traversed during garbage collection, until the server has their messages.
    """
    if _count_references is None:
        return
    confirmations[:] = [
        confirmation
        if confirmation is None or _count_references(confirmation) > _ONLY_IN_LIST or confirmation.has_callbacks
        else None
        for confirmation in confirmations
    ]
