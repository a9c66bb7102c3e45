"""natsroute.routes.coroutine_call"""

from __future__ import annotations

import types
from collections.abc import Generator
from contextvars import ContextVar, copy_context
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.coroutine_call import start_coroutine

variable: ContextVar[str] = ContextVar("variable", default="unset")


@types.coroutine
def pause() -> Generator[None, None, None]:
    """What ``asyncio.sleep(0)`` does."""
    yield


class CoroutineTests(SynchronousTestCase):
    """Like Deferred.fromCoroutine()."""

    def test_results(self) -> None:
        """At once, and after each kind of wait."""
        first: Deferred[str] = Deferred()
        second: Deferred[str] = Deferred()

        async def route() -> list[str]:
            await pause()
            got = [await succeed("0"), await first]
            await pause()
            return [*got, await second]

        ended = start_coroutine(route())
        first.callback("1")
        self.assertNoResult(ended)
        second.callback("2")
        self.assertEqual(self.successResultOf(ended), ["0", "1", "2"])
        self.assertIs(self.successResultOf(first), None)

        async def at_once() -> int:
            return 5

        async def pausing() -> int:
            await pause()
            return 6

        self.assertEqual(self.successResultOf(start_coroutine(at_once())), 5)
        self.assertEqual(self.successResultOf(start_coroutine(pausing())), 6)

    def test_errors(self) -> None:
        """With the traceback of the coroutine, and of what it awaited."""
        waiting: Deferred[None] = Deferred()

        async def at_once() -> None:
            raise ZeroDivisionError

        async def route() -> None:
            try:
                await fail(ValueError())
            except ValueError:
                await waiting

        self.failureResultOf(start_coroutine(at_once()), ZeroDivisionError)

        def cause() -> None:
            raise ZeroDivisionError

        waiting.addCallback(lambda _: cause())
        ended = start_coroutine(route())
        waiting.callback(None)
        traceback = self.failureResultOf(ended, ZeroDivisionError).getTraceback()
        self.assertIn("in route", traceback)
        self.assertIn("in cause", traceback)
        for error in (KeyboardInterrupt, GeneratorExit, SystemExit):

            async def raising(error: type[BaseException] = error) -> None:
                await pause()
                raise error

            self.failureResultOf(start_coroutine(raising()), error)

    def test_a_deferred_that_is_returned(self) -> None:
        """At once or later, it is waited for, and cancelled."""
        for awaited in (succeed(None), Deferred()):
            for how in ("succeeds", "fails", "is cancelled"):
                returned: Deferred[int] = Deferred()
                one: Deferred[None] = succeed(None) if awaited.called else Deferred()

                async def route(one: Any = one, returned: Any = returned) -> Any:
                    await one
                    return returned

                ended = start_coroutine(route())
                results: list[object] = []
                ended.addBoth(results.append)
                if not one.called:
                    one.callback(None)
                self.assertEqual(results, [])
                if how == "succeeds":
                    returned.callback(5)
                    self.assertEqual(results, [5])
                elif how == "fails":
                    returned.errback(ZeroDivisionError())
                    self.assertTrue(results[0].check(ZeroDivisionError))  # type: ignore[attr-defined]
                else:
                    ended.cancel()
                    self.assertTrue(results[0].check(CancelledError))  # type: ignore[attr-defined]

    def test_cancel(self) -> None:
        """What it awaits is cancelled; it may go on."""
        cancelled: list[object] = []
        go_on: Deferred[str] = Deferred()

        async def route() -> str:
            ended.cancel()  # while it runs, nothing is awaited
            try:
                await Deferred(cancelled.append)
            except CancelledError:
                return await go_on
            return "not cancelled"

        first: Deferred[None] = Deferred()

        async def starting() -> str:
            await first
            return await route()

        ended = start_coroutine(starting())
        first.callback(None)
        ended.cancel()
        self.assertEqual(len(cancelled), 1)
        self.assertNoResult(ended)
        go_on.callback("went on")
        self.assertEqual(self.successResultOf(ended), "went on")
        ended.cancel()

    def test_one_context(self) -> None:
        """From the first step to the last, so that a variable can be reset; nothing else sees it."""
        waiting: Deferred[None] = Deferred()

        async def route() -> str:
            token = variable.set("set")
            await waiting
            got = variable.get()
            variable.reset(token)
            return got

        ended = start_coroutine(route())
        copy_context().run(lambda: (variable.set("other"), waiting.callback(None)))
        self.assertEqual((self.successResultOf(ended), variable.get()), ("set", "unset"))

    def test_many_deferreds_that_have_fired(self) -> None:
        """They do not deepen the stack."""

        async def route() -> int:
            for _ in range(5000):
                await pause()
                await succeed(None)
            return 5

        self.assertEqual(self.successResultOf(start_coroutine(route())), 5)
