"""Coroutines on asyncio's loop, as with ``twistd --reactor asyncio``: they await Futures, and Deferreds."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from contextvars import Context
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure


def _new_task(
    coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop, context: Context | None
) -> asyncio.Task[None]:
    """It begins at once, as coroutines do under the other reactors. Before Python 3.12 it begins in the next turn."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
    if context is None:
        return asyncio.Task(coroutine, loop=loop)
    return context.run(lambda: asyncio.Task(coroutine, loop=loop))


class AsyncioCall(Deferred[Any]):
    """
    A coroutine that runs as a Task of asyncio, so that ``asyncio.timeout()``, TaskGroups and libraries work in it.

    A Deferred that fires with the coroutine's result, or fails with what it raised. Its errors never reach the loop,
    not even SystemExit, which would end it.

    :param coroutine: awaits Futures, Deferreds, and other coroutines.
    :param loop: asyncio's loop, which is running.
    :param context: the context (contextvars) that it runs in, or None for a copy of the current one.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, context: Context | None = None
    ) -> None:
        Deferred.__init__(self)  # super() costs more
        self._coroutine = coroutine
        self._loop = loop
        self._has_begun = False
        self._awaited: Deferred[Any] | None = None
        self._task = _new_task(self._run(), loop, context)
        if not self._has_begun:
            self._task.add_done_callback(self._task_done)

    def cancel(self) -> None:
        """
        Cancel what the coroutine awaits: a Deferred then fails with Twisted's CancelledError, a Future with that of
        asyncio. The coroutine decides how it ends, and when.
        """
        if self.called:
            super().cancel()
        elif self._awaited is not None:
            self._awaited.cancel()
        else:
            self._task.cancel()

    async def _run(self) -> None:
        self._has_begun = True
        self._end(await self._drive())

    def _end(self, result: object) -> None:
        if isinstance(result, Failure):
            self.errback(result)
        elif result is not None and isinstance(result, Deferred):  # a coroutine may return one, to be waited for
            self._awaited = result
            result.addCallbacks(self.callback, self.errback)
        else:
            self.callback(result)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not self._has_begun:  # cancelled before its first turn
            self._coroutine.close()
            self._end(Failure(CancelledError()))

    @types.coroutine
    def _drive(self) -> Generator[Any, None, object]:
        """Run the coroutine to its end; what it awaits, this awaits. Returns its result, or a Failure."""
        coroutine, create_future = self._coroutine, self._loop.create_future
        error: BaseException | None = None
        while True:
            try:
                awaited = coroutine.send(None) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            except BaseException:
                error = None  # the traceback has this frame
                return Failure()
            error = deferred = None
            if awaited is not None and isinstance(awaited, Deferred):
                self._awaited = deferred = awaited
                future: asyncio.Future[None] = create_future()
                awaited = next(future.__await__())  # what the Task waits for; as "await future" in the coroutine would
                deferred.addBoth(_wake, future)
            try:
                yield awaited
            except GeneratorExit:  # nobody has a reference to the Task any more
                coroutine.close()
                raise
            except BaseException as thrown:
                error = thrown
                if deferred is not None:  # from asyncio: a timeout, a TaskGroup, or cancel() of the Task
                    deferred.addErrback(_trap_cancelled)
                    deferred.cancel()
            if deferred is not None:
                self._awaited = None


def _wake(result: object, future: asyncio.Future[None]) -> object:
    if not future.done():
        future.set_result(None)
    return result  # for the coroutine


def _trap_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError, asyncio.CancelledError)
