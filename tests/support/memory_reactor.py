"""A reactor in memory for a whole service."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.testing import MemoryReactorClock


class Reactor(MemoryReactorClock):
    """With the one thing that MemoryReactorClock leaves out."""

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the function at once."""
        function(*arguments)
