"""natsroute.kamailio.user_functions"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import RouteError
from natsroute.kamailio import script_function
from natsroute.kamailio.user_functions import MAX_ARGUMENTS, ScriptFunction, script_functions_in


class DecorationTests(SynchronousTestCase):
    """``@script_function``"""

    def found(self, function: Any, **options: Any) -> ScriptFunction:
        """What decoration keeps of a function."""
        decorated = script_function(**options)(function)
        self.assertIs(decorated, function)
        (found,) = script_functions_in([function])
        self.assertIs(found.function, function)
        return found

    def test_plain(self) -> None:
        """Its own name is its name in scripts."""

        @script_function
        def block(event: object, user: str, seconds: int = 60) -> None:
            """Block a user."""

        (found,) = script_functions_in([block, 5, block])
        self.assertEqual(found, ScriptFunction("block", block, False, 1, 2))

    def test_numbers_of_arguments(self) -> None:
        """Without the event."""

        def none(event: object) -> None: ...
        def any_number(event: object, *more: object) -> None: ...
        def everything(*more: object, wait: bool = False, **named: object) -> None: ...
        def many(event: object, a: int, b: int, /, c: int = 0, *, d: int = 0) -> None: ...

        class Called:
            def __call__(self, event: object, a: int) -> None: ...

            def method(self, event: object, a: int, b: int) -> None: ...

        for function, least, most in (
            (none, 0, 0),
            (any_number, 0, MAX_ARGUMENTS),
            (everything, 0, MAX_ARGUMENTS),
            (many, 2, 3),
            (partial(many, "event"), 1, 2),
            (Called(), 1, 1),
        ):
            found = self.found(function, name="f")
            self.assertEqual((found.minimum, found.maximum), (least, most), function)

    def test_options(self) -> None:
        """A name of its own, and a thread."""

        def function(event: object) -> None: ...

        self.assertEqual(
            self.found(function, name="other_2", thread=True), ScriptFunction("other_2", function, True, 0, 0)
        )

    def test_two_names(self) -> None:
        """A function may have several."""

        @script_function(name="first")
        @script_function
        def second(event: object) -> None: ...

        self.assertEqual([found.name for found in script_functions_in([second])], ["second", "first"])

    def test_refused(self) -> None:
        """The error ends at the line of the decoration."""

        def nothing() -> None: ...
        def generator(event: object) -> Any:
            yield

        async def async_generator(event: object) -> AsyncIterator[int]:
            yield 1

        async def coroutine(event: object) -> None: ...
        def named(event: object, *, user: str) -> None: ...

        for function, options, problem in (
            (nothing, {}, "takes no argument; the first is the event"),
            (generator, {}, "is a generator function"),
            (async_generator, {}, "is a generator function"),
            (coroutine, {"thread": True}, "runs on the reactor"),
            (named, {}, "it is called with positional arguments"),
            (named, {"name": "a-b"}, "'a-b' is not a name"),
            (named, {"name": ""}, "'' is not a name"),
            (named, {"name": 5}, "5 is not a name"),
            (lambda event: None, {}, "'<lambda>' is not a name"),
            (5, {"name": "five"}, "is not callable"),
            (print, {}, "cannot be decorated"),
        ):
            error = self.assertRaises(RouteError, script_function(**options), function)  # type: ignore[arg-type]
            self.assertIn(problem, str(error))
        error = self.assertRaises(RouteError, script_function, nothing)
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        assert traceback is not None
        self.assertNotIn("natsroute/kamailio", traceback.tb_frame.f_code.co_filename)
