"""When a route acknowledges the messages of a stream, and when a consumer delivers them again."""

from __future__ import annotations

from typing import Literal, get_args

import attrs

#: When a route acknowledges: after its call, before it, after it and with a confirmation, or itself.
AckPolicy = Literal["after", "before", "double", "manual"]
ACK_POLICIES: tuple[AckPolicy, ...] = get_args(AckPolicy)

#: Seconds before the second delivery, if neither the route nor the consumer says; before the third twice as long, …
DEFAULT_WAIT = 0.1
#: … and so on up to this.
MAX_WAIT = 10.0


@attrs.frozen
class DeliveryRules:
    """
    What the configuration of a consumer says about its deliveries.

    :ivar ack_wait: seconds after which the server delivers a message again that is not acknowledged.
    :ivar max_deliver: how often a message is delivered at most; 0: without a limit.
    :ivar backoff: seconds before the second delivery, the third, and so on; the last one for all others.
    """

    ack_wait: float = 30.0
    max_deliver: int = 0
    backoff: tuple[float, ...] = ()

    @property
    def shortest_wait(self) -> float:
        """Seconds within which a message that is being handled must be reported as in progress."""
        return min(self.ack_wait, *self.backoff) if self.backoff else self.ack_wait

    def wait_after(self, delivered: int) -> float:
        """Seconds before the next delivery, after this many."""
        if self.backoff:
            return self.backoff[min(delivered, len(self.backoff)) - 1]
        return min(MAX_WAIT, DEFAULT_WAIT * 2.0 ** min(delivered - 1, 30))

    def nak_delay(self, wait: float, delivered: int) -> float:
        """
        The delay of a ``-NAK`` after which the server waits this long. It may be below 0.

        nats-server counts the delay from its ``ack_wait``, and waits until the ``backoff`` for this delivery is over
        (``processNak`` and ``checkPending`` in its ``consumer.go``).

        :param wait: seconds.
        :param delivered: how often the message has been delivered.
        """
        if not self.backoff:
            return wait
        return wait - (self.backoff[min(delivered, len(self.backoff)) - 1] - self.ack_wait)

    def is_last(self, delivered: int) -> bool:
        """Whether no delivery follows this one."""
        return 0 < self.max_deliver <= delivered
