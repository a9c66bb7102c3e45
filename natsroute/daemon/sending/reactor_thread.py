"""Running functions in the reactor thread, from whatever thread asks for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred


class ReactorThread:
    """
    Knows the thread that the reactor runs in.

    :param call_from_thread: the reactor's ``callFromThread``.
    """

    def __init__(self, call_from_thread: Callable[..., object]) -> None:
        self._call_from_thread = call_from_thread
        self._ident: int | None = None

    def start(self) -> None:
        """The reactor runs in the current thread. Before this is called, no thread counts as the reactor's."""
        self._ident = get_ident()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the reactor thread."""
        return get_ident() == self._ident

    def run(self, function: Callable[..., Any], *arguments: object) -> Deferred[Any]:
        """
        Call a function in the reactor thread, soon.

        :return: fires there, with what the function returns or with what its Deferred fires with; or fails. Cancel it
            in the reactor thread only: that cancels the function's Deferred, or keeps the function from being called.
        """
        running: Deferred[Any] | None = None

        def cancel(_: Deferred[Any]) -> None:
            if running is not None:
                running.cancel()

        result: Deferred[Any] = Deferred(cancel)

        def call() -> None:
            nonlocal running
            if not result.called:  # it was cancelled
                running = maybeDeferred(function, *arguments)
                running.addBoth(lambda outcome: None if result.called else result.callback(outcome))

        self._call_from_thread(call)
        return result
