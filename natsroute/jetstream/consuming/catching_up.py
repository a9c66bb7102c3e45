"""When everything has been handed over that a stream had when it began to be read."""

from __future__ import annotations

from collections.abc import Callable


class CatchingUp:
    """
    Counts the messages that are still to come from the beginning. Messages may go from the stream meanwhile, and others
    come.

    :param on_caught_up: called once, when the last message of the beginning has been handed over.

    :ivar is_done: whether it has been called.
    """

    def __init__(self, on_caught_up: Callable[[], object]) -> None:
        self.is_done = False
        self._on_caught_up = on_caught_up
        self._missing = -1  # messages of the beginning that have not arrived; -1 before it is known
        self._last = -1  # the sequence of the last message of the beginning, when it has arrived
        self._handed_over = 0  # the sequence of the last message that was handed over

    def learn(self, num_pending: int, last_sequence: int) -> None:
        """
        The server says how many messages are still to come.

        :param last_sequence: the sequence of the last message that has arrived; 0 before the first.
        """
        if self.is_done or self._last >= 0:
            return
        self._missing = num_pending
        if not num_pending:
            self._arrived_all(last_sequence)

    def arrived(self, sequence: int, num_pending: int) -> None:
        """A message has arrived, and it says how many are still to come."""
        if self.is_done or self._last >= 0:
            return
        self._missing -= 1
        if not self._missing or not num_pending:
            self._arrived_all(sequence)

    def handed_over(self, sequence: int) -> None:
        """A message has been handed over, and its receiver is ready for the next one."""
        self._handed_over = sequence
        self._look()

    def _arrived_all(self, sequence: int) -> None:
        self._last = sequence
        self._look()

    def _look(self) -> None:
        if not self.is_done and 0 <= self._last <= self._handed_over:
            self.is_done = True
            self._on_caught_up()
