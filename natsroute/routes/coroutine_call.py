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


def start_coroutine(coroutine: Coroutine[Any, Any, Any], context: Context | None = None) -> Deferred[Any]:
    """
    Run a coroutine until it ends or awaits a Deferred that has not fired.

    :param context: the context (contextvars) that it runs in, or None for a copy of the current one.
    :return: fires with what it returns, which may be a Deferred to wait for, or fails with what it raises.
    """
    if context is None:
        context = copy_context()
    try:
        awaited = context.run(coroutine.send, None)
    except StopIteration as stop:
        value = stop.value
        return value if value is not None and isinstance(value, Deferred) else succeed(value)
    except BaseException:
        return fail(Failure())
    return _CoroutineCall(coroutine, context, awaited)


class _CoroutineCall(Deferred[Any]):
    """A coroutine that awaits something."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context, awaited: object) -> None:
        Deferred.__init__(self)  # super() costs more
        self._coroutine = coroutine
        self._context = context
        self._awaited: Deferred[Any] | None = None
        if isinstance(awaited, Deferred):
            self._awaited = awaited
            awaited.addBoth(self._resume)
        else:  # such as None, from asyncio.sleep(0)
            self._resume(awaited)

    def cancel(self) -> None:
        """Cancel what the coroutine awaits. The coroutine decides how it ends, and when."""
        if self.called:
            super().cancel()
        elif self._awaited is not None:
            self._awaited.cancel()

    def _resume(self, result: object) -> None:
        """Run the coroutine until it ends or awaits a Deferred that has not fired."""
        self._awaited = None
        while True:
            try:
                if isinstance(result, Failure):
                    result = self._context.run(result.throwExceptionIntoGenerator, self._coroutine)
                else:
                    result = self._context.run(self._coroutine.send, result)
            except StopIteration as stop:
                value = stop.value
                break
            except BaseException:
                self.errback(Failure())
                return
            if isinstance(result, Deferred):
                self._awaited = result
                result.addBoth(self._resume)
                return
        if value is not None and isinstance(value, Deferred):
            self._awaited = value
            value.addCallbacks(self.callback, self.errback)
        else:
            self.callback(value)
