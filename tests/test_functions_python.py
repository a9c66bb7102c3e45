"""natsroute.kamailio.script.functions.python"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, Settings
from natsroute.errors import DecodeError, RouteError
from natsroute.kamailio import script_function
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.script.functions.python import definitions, result_of
from natsroute.kamailio.user_functions import script_functions_in
from natsroute.testing import RouteTester
from tests.support import ROOT
from tests.support.expressions import make_evaluation
from tests.support.functions import Bare, Quoted
from tests.support.log_recorder import LogRecorder


def _in_thread(function: Any, event: Event) -> Deferred[object]:
    return succeed(("in a thread", function(event)))  # so that it is seen that it came here


class PythonTests(SynchronousTestCase):
    """Functions in Python, called by a script."""

    def definition(self, function: Any, call_in_thread: Any = _in_thread, **options: Any) -> FunctionDefinition:
        """What the compiler gets."""
        script_function(**options)(function)
        (definition,) = definitions(script_functions_in([function]), FUNCTIONS, call_in_thread).values()
        return definition

    def call(self, function: Any, *written: Any, payload: bytes = b"payload") -> Any:
        """What a call returns."""
        arguments = [one if isinstance(one, Quoted) else Quoted(one) for one in written]
        return self.definition(function).build(*arguments)(make_evaluation(payload))

    def test_arguments(self) -> None:
        """The event, and what the script gives."""
        seen: list[object] = []

        def keep(event: Event, *arguments: object) -> None:
            seen.append((event.data, *arguments))

        self.assertEqual(self.call(keep, "to $rm", 5, "5", Bare("$null"), Bare("$(rm{s.len})"), Bare("$natsData")), 1)
        self.assertEqual(seen, [(b"payload", "to OPTIONS", 5, "5", None, 7, "payload")])

    def test_definition(self) -> None:
        """The number of arguments is known at the start."""

        def function(event: Event, user: str, seconds: int = 0) -> None: ...

        definition = self.definition(function)
        self.assertEqual((definition.minimum, definition.maximum, definition.waits), (1, 2, True))

    def test_not_text(self) -> None:
        """The event fails; the bytes are not shown."""

        def function(event: Event, text: str) -> None: ...

        error = self.assertRaises(DecodeError, self.call, function, Bare("$natsData"), payload=b"secret\xff")
        self.assertIn("function() is not UTF-8: byte 6 of 7 is invalid", str(error))

    def test_results(self) -> None:
        """Numbers as they are; true, false and nothing as a script writes them."""
        for returned, expected in ((None, 1), (True, 1), (False, -1), (0, 0), (7, 7), (-3, -3)):
            self.assertEqual(result_of("f", returned), expected)
        for wrong in ("text", b"", 1.0, [], object()):
            error = self.assertRaises(RouteError, result_of, "f", wrong)
            self.assertIn("script function 'f' returned an object of type", str(error))

    def test_waits(self) -> None:
        """For a coroutine, and for a Deferred."""
        pending: Deferred[bool] = Deferred()

        async def coroutine(event: Event) -> bool:
            return await pending

        waiting = self.call(coroutine)
        self.assertNoResult(waiting)
        pending.callback(False)
        self.assertEqual(self.successResultOf(waiting), -1)

        def deferred(event: Event) -> Deferred[int]:
            return succeed(5)

        self.assertEqual(self.successResultOf(self.call(deferred)), 5)

    def test_fails(self) -> None:
        """Whatever it raises is an error of the event."""

        def now(event: Event) -> None:
            raise ValueError("now")

        async def later(event: Event) -> None:
            raise ValueError("later")

        async def wrong(event: Event) -> str:
            return "text"

        self.assertRaises(ValueError, self.call, now)
        self.failureResultOf(self.call(later), ValueError)
        self.failureResultOf(self.call(wrong), RouteError)

    def test_thread(self) -> None:
        """It runs where the caller says, with the arguments."""

        def function(event: Event, text: str) -> tuple[bytes, str]:
            return event.data, text

        seen: list[object] = []

        def in_thread(run: Any, event: Event) -> Deferred[object]:
            seen.append(run(event))
            return succeed(-2)

        definition = self.definition(function, in_thread, thread=True)
        self.assertEqual(self.successResultOf(definition.build(Quoted("$rm"))(make_evaluation(b"x"))), -2)
        self.assertEqual(seen, [(b"x", "OPTIONS")])

    def test_names(self) -> None:
        """Each is there once, and is none that the language or natsroute has."""

        def function(event: Event) -> None: ...
        def other(event: Event) -> None: ...

        for name, problem in (("xlog", "natsroute has a function of this name"), ("while", "a word of the language")):
            error = self.assertRaises(RouteError, self.definition, function, name=name)
            self.assertIn(f"script function {name!r}: ", str(error))
            self.assertIn(problem, str(error))
            del function.__dict__["_natsroute_script_functions"]
        script_function(name="same")(function)
        script_function(name="same")(other)
        error = self.assertRaises(RouteError, definitions, script_functions_in([function, other]), (), _in_thread)
        self.assertIn("there are two script functions 'same'", str(error))


class ExampleTests(SynchronousTestCase):
    """``examples/blocklist.cfg`` and ``examples/blocklist.py``"""

    def setUp(self) -> None:
        example = ROOT / "examples" / "blocklist"
        settings = {"kamailio_cfg": str(example.with_suffix(".cfg")), "event_routes": [str(example.with_suffix(".py"))]}
        self.tester = RouteTester(EventRoutes(), Settings.from_environment({}, **settings))

    def report(self, user: str, *results: str) -> list[tuple[str, Any]]:
        """A user has registered, or failed to, some times: what has been published since the start."""
        for result in results:
            self.successResultOf(self.tester.deliver("registrations", {"user": user, "result": result}))
        return [(message.subject, json.loads(message.data)) for message in self.tester.published]

    def test_blocks(self) -> None:
        """A user who fails three times is refused for ten minutes; a success in between counts."""
        self.assertEqual(self.report("eve", "wrong", "wrong", "ok", "wrong", "wrong"), [])
        expected = [("registrations.blocked", {"user": "eve"})]
        self.assertEqual(self.report("eve", "wrong"), expected)
        self.assertEqual(self.report("al", "wrong", "ok"), expected)
        expected.append(("registrations.refused", {"user": "eve", "seconds": 600}))
        self.assertEqual(self.report("eve", "ok"), expected)
        line = Path("audit.log").read_text("utf-8").splitlines()[-1]
        self.assertTrue(line.startswith("blocked eve at "), line)

    def test_no_user(self) -> None:
        """Is logged."""
        recorder = LogRecorder(self)
        self.assertEqual(self.report("", "wrong"), [])
        self.assertEqual(recorder.lines("warn"), ["<script>: a message without a user"])
