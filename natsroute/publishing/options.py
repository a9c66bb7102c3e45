"""What a publisher is given: its limits and policies, and what it needs from connections and from the thread pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred

from natsroute.confirmation import Confirmation
from natsroute.errors import SettingError
from natsroute.ledger import PublisherAccount
from natsroute.wire.frames import Info


class Link(Interface):
    """What a publish worker needs from its connection."""

    @property
    def max_payload(self) -> int | None:
        """Bytes of headers and payload that the connected server accepts; None without a connection."""

    @property
    def info(self) -> Info | None:
        """The last INFO of the connected server; None without a connection."""

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        """
        Write commands, and a PING after them.

        :param messages: how many commands ``data`` has.
        :return: fires when the PONG arrives; fails when the connection ends first.
        """

    def write(self, data: bytes, messages: int, *, now: bool = False) -> bool:
        """
        Write commands without a PING.

        :param messages: how many commands ``data`` has.
        :param now: send them before the reactor's next iteration if possible, as :meth:`write_and_ping` does.
        :return: whether there is a connection. If not, nothing was written.
        """


class StreamTarget(Interface):
    """What publishes to one subject of a stream."""

    def add(self, confirmation: Confirmation, payload: bytes, policy: str) -> None:
        """Take a message without headers."""

    def add_with_headers(
        self, confirmation: Confirmation, payload: bytes | Callable[[], bytes], block: bytes, policy: str
    ) -> None:
        """Take a message with headers, or one whose payload the thread pool makes."""


class Streams(Interface):
    """
    What publishes to streams. All but :meth:`takes` and :meth:`next_id` run in the reactor thread.
    """

    def takes(self, subject: str) -> bool:
        """Whether messages to a subject go to streams without being asked to."""

    def next_id(self) -> str:
        """An id for a subject."""

    def subject(self, name: str) -> StreamTarget:
        """What publishes to a subject; raises SubjectError if it is invalid."""

    def account(self) -> PublisherAccount:
        """What became of the messages."""

    def cancelled(self) -> None:
        """A Deferred is cancelled."""

    def flush(self) -> Deferred[None]:
        """Fires when each message so far is acknowledged or has failed."""

    def drain(self) -> Deferred[None]:
        """The same, and no message may be added after this call."""

    def abandon(self) -> None:
        """Fail all messages that are not acknowledged."""


#: Runs a function in the thread pool; its Deferred fires in the reactor thread when the function has returned.
RunInPool = Callable[[Callable[[], None]], "Deferred[None]"]

#: What happens to a message that cannot be sent at once. ``keep``: it waits, and is sent again after a lost connection.
#: ``fail``: it fails without a connection, and is never sent twice. ``drop``: it is dropped when the buffer of its
#: worker is more than half full; otherwise as ``keep``.
PublishPolicy = Literal["keep", "fail", "drop"]
PUBLISH_POLICIES: tuple[PublishPolicy, ...] = get_args(PublishPolicy)


def check_policy(policy: str) -> None:
    """
    Refuse an unknown policy.

    :raises SettingError: the policy is unknown.
    """
    if policy not in PUBLISH_POLICIES:
        raise SettingError("policy", policy, "there is no such policy", f"Use one of {', '.join(PUBLISH_POLICIES)}")


@attrs.frozen
class PublishLimits:
    """
    How much one publish worker holds, and for how long. What other threads have published, and the reactor thread has
    not taken yet, has bounds of the same size.

    :ivar messages: messages that are not confirmed yet.
    :ivar bytes: bytes of these messages on the wire. A callable counts from the moment when it has returned; no further
        one is called while there is no space, so a single payload at most is held in excess.
    :ivar max_age: seconds after which an unconfirmed message fails; 0: never.
    :ivar policy: the policy of messages that are published without one.
    :ivar resend_window: seconds. Messages that were confirmed at most this long before the connection was lost are sent
        again, because a server that is killed may have confirmed messages that it had not yet passed on. None of them
        is sent when it is older than ``max_age``.
    """

    messages: int = 65_536
    bytes: int = 8 * 1024 * 1024
    max_age: float = 3600.0
    policy: PublishPolicy = "keep"
    resend_window: float = 0.25
