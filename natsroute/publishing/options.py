"""On what terms a message is published: what a worker may hold, what gives way, and what it needs of the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args
from typing import Protocol as Interface

import attrs
from twisted.internet.defer import Deferred


class Link(Interface):
    """What a publish worker sees of a connection."""

    @property
    def max_payload(self) -> int | None:
        """Bytes that the connected server allows; None while there is no connection."""

    def write_and_ping(self, data: bytes, messages: int) -> Deferred[None]:
        """Write so many messages, and fire when the server has read them; fail if the connection ends before."""


#: Runs a function in the pool: ``deferToThreadPool`` with its reactor and pool.
RunInPool = Callable[[Callable[[], None]], "Deferred[None]"]

#: What becomes of a message when it cannot go out: it is kept and sent (again) later; it fails at once without a
#: connection, and is never sent twice; or it gives way when its worker is half full.
PublishPolicy = Literal["keep", "fail", "drop"]
PUBLISH_POLICIES: tuple[PublishPolicy, ...] = get_args(PublishPolicy)


@attrs.frozen
class PublishLimits:
    """
    What one worker may hold until it is confirmed.

    :ivar messages: messages.
    :ivar bytes: bytes, as they go over the wire.
    :ivar max_age: seconds; 0: any.
    :ivar policy: of messages that come without one.
    :ivar resend_window: seconds. A message that was confirmed no longer ago than this when the connection is lost is
        sent again: a server that is killed may have confirmed what it had not yet passed on.
    """

    messages: int = 65_536
    bytes: int = 8 * 1024 * 1024
    max_age: float = 3600.0
    policy: PublishPolicy = "keep"
    resend_window: float = 0.25
