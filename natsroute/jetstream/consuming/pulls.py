"""The pulls that a server has not answered completely, and how many messages are still to come."""

from __future__ import annotations

from collections import deque

import attrs


@attrs.define
class Pull:
    """
    One pull.

    :ivar number: its number, from 1; it is part of its reply subject.
    :ivar batch: messages that it asked for.
    :ivar max_bytes: bytes that it may bring.
    :ivar sent: when it was sent, in seconds.
    :ivar until: it is filled when so many messages have been received in all, if the pulls are filled in their order.
    """

    number: int
    batch: int
    max_bytes: int
    sent: float
    until: int


class Pulls:
    """
    Counts what was asked for against what was received.

    A server does not say which pull a message belongs to, and fills several of them alternately; only a pull that ends
    unfilled has a status of its own. So messages are counted for all pulls together.

    :param expires: seconds after which a pull has ended, whatever the server said of it.

    :ivar asked: the number of messages that will have been received when every pull is filled.
    :ivar sent: pulls that were sent so far.
    """

    def __init__(self, expires: float) -> None:
        self.asked = 0
        self.sent = 0
        self.expires = expires
        self._first = 1  # the number of the first pull that still counts
        self._pulls: deque[Pull] = deque()

    def add(self, batch: int, max_bytes: int, now: float, received: int) -> Pull:
        """
        Count a pull that is sent now.

        :param received: messages received so far; also for the other methods.
        """
        self._drop_filled(received)
        self.sent += 1
        self.asked = max(self.asked, received) + batch
        pull = Pull(self.sent, batch, max_bytes, now, self.asked)
        self._pulls.append(pull)
        return pull

    def is_current(self, number: int) -> bool:
        """Whether a status of this pull still counts: it was sent after the last :meth:`clear`."""
        return self._first <= number <= self.sent

    def ended(self, number: int, missing: int | None, received: int) -> Pull | None:
        """
        End a pull before it is filled.

        :param missing: the messages that it did not bring, if the server said that.
        :return: the pull, if it was not thought to be filled.
        """
        pull = next((one for one in self._pulls if one.number == number), None)
        if missing is None:
            if pull is None:
                return None
            missing = min(pull.batch, max(0, pull.until - received))
        self.asked -= missing
        for later in self._pulls:
            if later.number > number:
                later.until -= missing
        if pull is not None:
            self._pulls.remove(pull)
        if not self._pulls or self.asked < received:
            self.asked = received
        return pull

    def outstanding(self, received: int) -> bool:
        """Whether a pull is not filled yet."""
        self._drop_filled(received)
        return bool(self._pulls)

    def _drop_filled(self, received: int) -> None:
        while self._pulls and self._pulls[0].until <= received:
            self._pulls.popleft()

    def expire(self, now: float, received: int) -> None:
        """End the pulls whose time is over; their statuses were lost."""
        while self._pulls and self._pulls[0].sent + self.expires < now:
            self.ended(self._pulls[0].number, None, received)

    def clear(self, received: int) -> None:
        """End all pulls, and let no status of them count."""
        self._pulls.clear()
        self._first = self.sent + 1
        self.asked = received
