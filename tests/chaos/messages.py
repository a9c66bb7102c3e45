"""The numbered messages that every publisher of this suite sends, and their rate."""

from __future__ import annotations

import math

#: The number of subjects. A message goes to the subject of its number's remainder.
SUBJECTS = 12

#: Bytes of a payload.
SIZE = 128

#: What the subscriber subscribes to.
PATTERN = "chaos.>"

#: A message to this subject asks the subscriber to write down all that came before it.
QUESTION_SUBJECT = "chaos.question"


def subject_of(number: int) -> str:
    """The subject of the message with that number."""
    return f"chaos.{number % SUBJECTS}"


def payload_of(number: int, size: int = SIZE) -> bytes:
    """The payload of the message with that number: the number, padded with spaces."""
    return (b"%d" % number).ljust(size)


class Pace:
    """
    A constant rate. Messages that became due during a standstill are all due after it.

    :ivar sent: the number of messages that have been due so far.

    :param rate: messages a second.
    """

    def __init__(self, rate: float) -> None:
        self.sent = 0
        self._rate = rate
        self._began: float | None = None

    def due(self, now: float, limit: float = math.inf) -> range:
        """
        The numbers that are due now, and have not been due before.

        :param now: seconds of any clock.
        :param limit: how many there may be; further ones are due later.
        """
        if self._began is None:
            self._began = now
        end = min(int((now - self._began) * self._rate), self.sent + limit)
        numbers = range(self.sent, max(self.sent, int(end)))
        self.sent = numbers.stop
        return numbers

    def burst(self, count: int) -> None:
        """Make that number of further messages due at once."""
        if self._began is not None:
            self._began -= count / self._rate
