"""
Acknowledgements of the messages of a consumer (NATS ADR-15, and the server's ``consumer.go``).

Each is a message to the ack subject of the message that it is about, which is written back exactly as it came.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.state import ConnectionEvent
from natsroute.client.status import Change

#: Acknowledgements that may wait for a connection. One that is dropped costs a redelivery.
MAX_WAITING = 65_536

_NANOSECONDS = 1_000_000_000
# A server ends the connection if a control line is longer than 4096 bytes.
_MAX_REASON = 1024


class Acks:
    """
    Writes the acknowledgements of one consumer. All methods run in the reactor thread, and every Deferred fires there.

    What is acknowledged in one turn of the reactor is written at once at its end. An acknowledgement of a message that
    came over an earlier connection is still valid, so it waits while there is no connection. If too many wait, the
    oldest are dropped: the server delivers those messages again.

    :param connection: the connection of the consumer.
    :param requests: asks over the same connection; for :meth:`ack_confirmed`.

    :ivar dropped: acknowledgements that were dropped because too many waited for a connection.
    """

    def __init__(self, connection: Connection, requests: Requests, clock: IReactorTime) -> None:
        self.dropped = 0
        self._connection = connection
        self._requests = requests
        self._clock = clock
        self._acks: list[bytes] = []  # ack subjects: nearly everything is a plain +ACK, and this is the fastest for it
        self._others: deque[bytes] = deque()  # whole commands
        self._turn: IDelayedCall | None = None
        connection.observe(self._on_change)

    @property
    def waiting(self) -> int:
        """Acknowledgements that are not written yet."""
        return len(self._acks) + len(self._others)

    def ack(self, reply_to: bytes) -> None:
        """
        Acknowledge a message: it was handled.

        :param reply_to: its ack subject.
        """
        self._acks.append(reply_to)
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._write)

    def nak(self, reply_to: bytes, delay: float | None = None) -> None:
        """
        Let the server deliver a message again.

        :param delay: seconds until then, if the consumer has no ``backoff``: see
            :meth:`natsroute.routes.ack_policy.DeliveryRules.nak_delay`. None: at once.
        """
        if delay is None:
            self._add(reply_to, b"-NAK")
        else:
            self._add(reply_to, b'-NAK {"delay":%d}' % round(delay * _NANOSECONDS))

    def in_progress(self, reply_to: bytes) -> None:
        """Tell the server that a message is still being handled: its ``ack_wait`` begins again."""
        self._add(reply_to, b"+WPI")

    def term(self, reply_to: bytes, reason: str = "") -> None:
        """
        Let the server never deliver a message again, although it was not handled.

        :param reason: for the advisory that the server publishes; its first 1,024 bytes are sent.
        """
        # One line: the server shows it in an advisory, and other programs in their logs.
        text = " ".join(str(reason).split()).encode("utf-8", "replace")[:_MAX_REASON]
        self._add(reply_to, b"+TERM " + text if text else b"+TERM")

    def ack_confirmed(self, reply_to: bytes, timeout: float) -> Deferred[None]:
        """
        Acknowledge a message, and wait until the server confirms that. It is not delivered again then.

        :param timeout: seconds that the confirmation may take.
        :return: fires with the confirmation. Fails as :meth:`~natsroute.client.requests.Requests.request` says; whether
            the server has the acknowledgement is unknown then. Cancelling it ends the wait.
        """
        subject = reply_to.decode("utf-8", "surrogateescape")
        confirmed: Deferred[None] = self._requests.request(subject, b"+ACK", timeout)
        return confirmed.addCallback(lambda answer: None)

    def flush(self) -> Deferred[None]:
        """
        Write what waits now.

        :return: fires when the server has it. Fails with :class:`~natsroute.errors.ConnectionLostError` if the
            connection ends first, or if there is none; what is not written yet goes on waiting. Do not cancel it.
        """
        self._write()
        return self._connection.write_and_ping(b"")

    def _add(self, reply_to: bytes, payload: bytes) -> None:
        self._others.append(b"PUB %b %d\r\n%b\r\n" % (reply_to, len(payload), payload))
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._write)

    def _write(self) -> None:
        if self._turn is not None:
            if self._turn.active():
                self._turn.cancel()
            self._turn = None
        acks, others = self._acks, self._others
        if not acks and not others:
            return
        # The others come first: "in progress" behind the acknowledgement of the same message would be no use.
        commands = b"".join(others)
        if acks:
            commands += b"PUB " + b" 4\r\n+ACK\r\nPUB ".join(acks) + b" 4\r\n+ACK\r\n"
        if self._connection.write(commands, len(acks) + len(others)):
            self._acks = []
            others.clear()
        else:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        excess = len(self._acks) - MAX_WAITING
        if excess > 0:
            del self._acks[:excess]
            self.dropped += excess
        while len(self._others) > MAX_WAITING:
            self._others.popleft()
            self.dropped += 1

    def _on_change(self, change: Change) -> None:
        if change.event is ConnectionEvent.CONNECTED:
            self._write()
        elif change.event is ConnectionEvent.CLOSED and self._turn is not None:
            self._turn.cancel()
            self._turn = None
