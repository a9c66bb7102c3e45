"""Coroutines on asyncio's loop, as with ``twistd --reactor asyncio``: they await Futures, and Deferreds."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Coroutine, Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

# A Task begins at once, as a coroutine does under the other reactors. Before Python 3.12 it begins in the next turn.
_AT_ONCE: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class AsyncioCall(Deferred[Any]):
    """
    A coroutine that runs as a Task of asyncio, so that ``asyncio.timeout()``, TaskGroups and libraries work in it.

    A Deferred that fires with the coroutine's result, or fails with what it raised. Its errors never reach the loop,
    not even SystemExit, which would end it.

    :param coroutine: awaits Futures, Deferreds, and other coroutines.
    :param loop: asyncio's loop, which is running.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._coroutine = coroutine
        self._loop = loop
        self._has_begun = False
        self._awaited: Deferred[Any] | None = None
        self._task: asyncio.Task[None] = asyncio.Task(self._run(), loop=loop, **_AT_ONCE)
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
        if isinstance(result, Deferred):  # a coroutine may return one, to be waited for
            self._awaited = result
            result.addCallbacks(self.callback, self.errback)
        elif isinstance(result, Failure):
            self.errback(result)
        else:
            self.callback(result)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not self._has_begun:  # cancelled before its first turn
            self._coroutine.close()
            self._end(Failure(CancelledError()))

    @types.coroutine
    def _drive(self) -> Generator[Any, None, object]:
        """Run the coroutine to its end; what it awaits, this awaits. Returns its result, or a Failure."""
        error: BaseException | None = None
        while True:
            try:
                awaited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            except BaseException:
                return Failure()
            error = None
            try:
                if isinstance(awaited, Deferred):
                    yield from self._wait_for(awaited)
                else:
                    yield awaited
            except GeneratorExit:  # nobody has a reference to the Task any more
                self._coroutine.close()
                raise
            except BaseException as thrown:
                error = thrown

    def _wait_for(self, deferred: Deferred[Any]) -> Generator[Any, None, None]:
        future: asyncio.Future[None] = self._loop.create_future()

        def fired(result: object) -> object:
            if not future.done():
                future.set_result(None)
            return result  # for the coroutine

        deferred.addBoth(fired)
        self._awaited = deferred
        try:
            yield from future
        except asyncio.CancelledError:  # from asyncio: a timeout, a TaskGroup, or cancel() of the Task
            deferred.addErrback(lambda failure: failure.trap(CancelledError, asyncio.CancelledError) and None)
            deferred.cancel()
            raise
        finally:
            self._awaited = None
