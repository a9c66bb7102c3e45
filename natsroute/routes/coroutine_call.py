"""
Coroutines as Deferreds, under any reactor but that of asyncio.

Twisted's ``Deferred.fromCoroutine()`` does the same, and costs twice as much for a coroutine that ends at once.
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure


def start_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Deferred[Any]:
    """
    Run a coroutine in a copy of the current context, until it ends or awaits a Deferred that has not fired.

    :return: fires with what it returns, which may be a Deferred to wait for, or fails with what it raises.
    """
    context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration as stop:
        return stop.value if isinstance(stop.value, Deferred) else succeed(stop.value)
    except BaseException:
        return fail(Failure())
    return _CoroutineCall(coroutine, context, awaited)


class _CoroutineCall(Deferred[Any]):
    """A coroutine that awaits something."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context, awaited: object) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._context = context
        self._awaited: Deferred[Any] | None = None
        self._wait_for(awaited)

    def cancel(self) -> None:
        """Cancel what the coroutine awaits. The coroutine decides how it ends, and when."""
        if self.called:
            super().cancel()
        elif self._awaited is not None:
            self._awaited.cancel()

    def _wait_for(self, awaited: object) -> None:
        while not isinstance(awaited, Deferred):  # such as None, from asyncio.sleep(0)
            if self._resume(awaited):
                return
            awaited = self._yielded
        self._awaited = awaited
        awaited.addBoth(self._fired)

    def _fired(self, result: object) -> None:
        self._awaited = None
        if not self._resume(result):
            self._wait_for(self._yielded)

    def _resume(self, result: object) -> bool:
        """Run the coroutine until it awaits something, and return whether it has ended."""
        try:
            if isinstance(result, Failure):
                self._yielded = self._context.run(result.throwExceptionIntoGenerator, self._coroutine)
            else:
                self._yielded = self._context.run(self._coroutine.send, result)
        except StopIteration as stop:
            if isinstance(stop.value, Deferred):
                self._awaited = stop.value
                stop.value.addCallbacks(self.callback, self.errback)
            else:
                self.callback(stop.value)
            return True
        except BaseException:
            self.errback(Failure())
            return True
        return False
