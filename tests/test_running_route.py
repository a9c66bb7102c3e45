"""natsroute.routes.running_route"""

from __future__ import annotations

import gc
import sys
from functools import partial, wraps
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.routes.route import Route
from natsroute.routes.running_route import RouteCode
from tests.support.route_cases import an_event


class RouteCodeTests(SynchronousTestCase):
    """The route whose function is on the stack."""

    def setUp(self) -> None:
        self.code = RouteCode()
        self.found: list[Any] = []

    def look(self) -> None:
        self.found.append(self.code.find(sys._getframe()))

    def test_kinds_of_functions(self) -> None:
        def function(event: Event) -> None:
            self.look()

        async def coroutine(event: Event) -> None:
            self.look()

        @inlineCallbacks
        def inline(event: Event) -> Any:
            self.look()
            yield None

        @wraps(function)
        def around(event: Event) -> None:
            function(event)

        class Called:
            def __call__(him, event: Event) -> None:  # noqa: N805 - the test is self
                self.look()

        kinds: list[Any] = [function, coroutine, inline, partial(function), around, Called()]
        for number, kind in enumerate(kinds):
            self.code = RouteCode()
            self.code.add(Route(f"nats:a.{number}", kind))
            result = kind(an_event())
            if kind is coroutine:
                Deferred.fromCoroutine(result)
            name, where = self.found.pop()
            self.assertEqual(name, f"nats:a.{number}")
            self.assertRegex(where, r"test_running_route\.py:\d+")

    def test_two_versions(self) -> None:
        """Code that is equal may belong to another route; code that is gone is forgotten."""
        source = "def function(event): look()"
        functions: list[Any] = []
        for name in ("nats:a", "nats:b"):
            names: dict[str, Any] = {"look": self.look}
            exec(compile(source, "routes.py", "exec"), names)
            functions.append(names.pop("function"))
            self.code.add(Route(name, functions[-1]))
        self.assertEqual(functions[0].__code__, functions[1].__code__)
        for function in functions:
            function(an_event())
        self.assertEqual([name for name, _ in self.found], ["nats:a", "nats:b"])
        del functions, function, names
        gc.collect()
        self.assertEqual(self.code._names, {})

    def test_a_key_function(self) -> None:
        def key(event: Event) -> str:
            self.look()
            return "key"

        self.code.add(Route("nats:a", print, key=key))
        key(an_event())
        self.assertEqual(self.found[0][0], "nats:a")

    def test_no_route(self) -> None:
        self.look()
        self.assertEqual((self.found, self.code.find(None)), ([None], None))
