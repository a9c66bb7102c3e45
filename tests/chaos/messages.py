"""The numbered messages that every publisher of this suite sends, and how fast."""

from __future__ import annotations

#: A number goes to the subject that its remainder names.
SUBJECTS = 12

#: Bytes of a payload.
SIZE = 128

#: What the witness subscribes to.
WATCHED = "chaos.>"

#: A message here asks the witness how much it has seen.
ASKED = "chaos.asked"


def subject_of(number: int) -> str:
    """Where the message of that number goes."""
    return f"chaos.{number % SUBJECTS}"


def payload_of(number: int) -> bytes:
    """Its payload: the number, filled up with spaces."""
    return (b"%d" % number).ljust(SIZE)


class Pace:
    """
    So many messages a second, whatever stands still meanwhile: what was missed is due at once.

    :ivar sent: numbers that were due so far.
    """

    def __init__(self, rate: float) -> None:
        self.sent = 0
        self._rate = rate
        self._began: float | None = None

    def due(self, now: float) -> range:
        """The numbers that are to be sent now."""
        if self._began is None:
            self._began = now
        numbers = range(self.sent, max(self.sent, int((now - self._began) * self._rate)))
        self.sent = numbers.stop
        return numbers

    def burst(self, count: int) -> None:
        """So many more are due at once."""
        if self._began is not None:
            self._began -= count / self._rate
