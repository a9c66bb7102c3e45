"""natsroute.routes.signatures"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import RouteError
from natsroute.routes.signatures import check_function, is_coroutine_function, positional_arguments
from natsroute.testing import RouteTester


class Methods:
    """Functions of other kinds than ``def``."""

    def method(self, event: Event) -> None: ...
    async def coroutine(self, event: Event) -> None: ...
    def generator(self, event: Event) -> Iterator[int]:
        yield 1

    @classmethod
    def of_class(cls, event: Event) -> None: ...
    @staticmethod
    def static(event: Event) -> None: ...


class AsyncCall:
    """An object that can be called."""

    async def __call__(self, event: Event) -> None: ...


class GeneratorCall:
    """An object that can be called and that runs nothing then."""

    async def __call__(self, event: Event) -> AsyncIterator[int]:
        yield 1


def injecting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds an argument: the function inside takes two, and that outside takes one."""

    @wraps(function)
    def around(event: Event) -> object:
        return function("database", event)

    return around


@inlineCallbacks
def inline(event: Event) -> Iterator[Deferred[None]]:
    yield Deferred()


def generator(event: Event) -> Iterator[int]:
    yield 1


async def async_generator(event: Event) -> AsyncIterator[int]:
    yield 1


class CheckFunctionTests(SynchronousTestCase):
    """check_function()"""

    def test_functions(self) -> None:
        right: list[Any] = [
            lambda event: None,
            lambda *arguments: None,
            lambda event, more=1, *, option=2: None,
            partial(lambda more, event: None, 1),
            Methods().method,
            Methods().coroutine,
            Methods.of_class,
            Methods.static,
            AsyncCall(),
            injecting(lambda database, event: None),
            inline,
            print,
            [].append,
            dict,  # without a signature
        ]
        for function in right:
            check_function(function, "the event")

    def test_generators(self) -> None:
        wrong: list[Any] = [generator, async_generator, partial(generator), Methods().generator, GeneratorCall()]
        for function in wrong:
            error = self.assertRaises(RouteError, check_function, function, "the event")
            self.assertIn("is a generator function: a call runs none of it", str(error))

    def test_parameters(self) -> None:
        def no_parameter() -> None: ...
        def two(msg: object, event_name: str) -> None: ...
        def a_keyword(event: Event, *, option: int) -> None: ...

        wrong: list[Any] = [no_parameter, two, a_keyword, partial(lambda event: None, 1), Methods.method]
        for function in wrong:
            error = self.assertRaises(RouteError, check_function, function, "the event")
            self.assertIn("it is called with one argument, the event", str(error))
        error = self.assertRaises(RouteError, check_function, two, "the event")
        line = two.__code__.co_firstlineno
        self.assertIn(f"two() ({__file__}:{line}) has the parameters (msg: 'object', event_name: 'str')", str(error))

    def test_coroutine_functions(self) -> None:
        for function in (Methods().coroutine, AsyncCall(), partial(Methods().coroutine)):
            self.assertTrue(is_coroutine_function(function))
        for other in (Methods().method, inline, print, dict):
            self.assertFalse(is_coroutine_function(other))


class PositionalArgumentsTests(SynchronousTestCase):
    """positional_arguments"""

    def test_numbers(self) -> None:
        """At least and at most; None is no limit, and what is known of functions in C that have no signature."""

        def defaults(a: int, b: int, /, c: int = 0, *, d: int = 0) -> None: ...
        def any_number(*more: int, **named: int) -> None: ...
        @wraps(defaults)
        def wrapper(*more: int) -> None: ...

        for function, expected in (
            (defaults, (2, 3)),
            (any_number, (0, None)),
            (wrapper, (0, None)),
            (Methods().method, (1, 1)),
            (partial(defaults, 1), (1, 2)),
            (type, (0, None)),
        ):
            self.assertEqual(positional_arguments(function), expected, function)

    def test_names_needed(self) -> None:
        """A parameter that has to be named is refused."""

        def named(a: int, *, b: int) -> None: ...

        error = self.assertRaises(RouteError, positional_arguments, named)
        self.assertIn("it is called with positional arguments", str(error))


class DecorationTests(SynchronousTestCase):
    """A mistake is refused when it is decorated, at the line of the program."""

    def assert_refused(self, decorate: Callable[[EventRoutes], object], problem: str) -> None:
        error = self.assertRaises(RouteError, decorate, EventRoutes())
        self.assertIn(problem, str(error))
        last = traceback.extract_tb(error.__traceback__)[-1]
        self.assertEqual((last.filename, last.name), (__file__, "<lambda>"), "the traceback ends in the program")

    def test_mistakes(self) -> None:
        def no_parameter() -> None: ...
        def one(event: Event) -> None: ...
        async def coroutine(event: Event) -> str:
            return "key"

        wrong: Any = None
        for wrong, problem in (
            (lambda routes: routes("nats:a")(generator), "is a generator function"),
            (lambda routes: routes("nats:a")(no_parameter), "it is called with one argument, the event"),
            (lambda routes: routes("nats:a", key=no_parameter)(one), "it is called with one argument, the event"),
            (lambda routes: routes("nats:a", key=coroutine)(one), "key is a coroutine function"),
            (lambda routes: routes("nats:a", thread=True)(AsyncCall()), "runs on the reactor, not in a thread"),
            (lambda routes: routes(one), "Write @event_route('nats:SUBJECT')"),
            (lambda routes: routes("nats:a b")(one), "white space"),
            (lambda routes: routes("nats:a", timeout=-1), "timeout = -1; it must be a number above 0"),
            (lambda routes: [routes("nats:a")(one), routes("nats:a")(one)], "two event routes 'nats:a'"),
            (lambda routes: routes.on_start(no_parameter), "it is called with one argument, the service"),
            (lambda routes: routes.on_stop(generator), "is a generator function"),
        ):
            self.assert_refused(wrong, problem)

    def test_a_decorator_that_adds_an_argument(self) -> None:
        called: list[object] = []
        event_route = EventRoutes()
        event_route("nats:a")(injecting(lambda database, event: called.append(database)))
        self.successResultOf(RouteTester(event_route).deliver("a"))
        self.assertEqual(called, ["database"])
