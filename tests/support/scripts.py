"""Scripts in Kamailio's language, compiled and run without a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.errors import EvaluationError, ScriptError
from natsroute.kamailio.cfg.document import Block, KamailioCfg
from natsroute.kamailio.cfg.source import Piece, Position, SourceText
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.compiler import CompiledScript, compile_script
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.definitions import Argument, FunctionDefinition, WaitingAction
from natsroute.kamailio.values import Value
from natsroute.testing import RouteTester

#: The file that scripts of tests are in.
PATH = "kamailio.cfg"

#: The subject of the event route that is tested.
SUBJECT = "test"


def source(text: str, line: int = 1, column: int = 1) -> SourceText:
    """A text of a script that stands there in its file."""
    return SourceText([Piece(text, Position(PATH, line, column))])


def block(kind: str, name: str, body: str, line: int = 1) -> Block:
    """A block; its body begins in the first column of this line."""
    return Block(kind, name, source(body, line), Position(PATH, line, 1))


def cfg_of(body: str, routes: Mapping[str, str] | None = None, **parameters: int) -> KamailioCfg:
    """The event route that is tested, and routes that it can call. Each begins a hundred lines below the one before."""
    blocks = [block("event_route", f"nats:{SUBJECT}", body)]
    for number, (name, text) in enumerate((routes or {}).items(), 1):
        blocks.append(block("route", name, text, 100 * number + 1))
    return KamailioCfg(PATH, blocks=tuple(blocks), parameters=parameters)


class ScriptTestCase(SynchronousTestCase):
    """
    A test of scripts. Besides natsroute's functions they can call:

    - ``show(value)``, which keeps the value in :attr:`shown`;
    - ``give(number)``, which has the number as its result;
    - ``fail()``, which raises EvaluationError;
    - ``wait(number)``, which waits until :meth:`go_on` is called, and has the number as its result;
    - ``work(milliseconds)``, which moves :attr:`seconds` on.

    :ivar seconds: the time that limits scripts. It stands still otherwise.
    :ivar asked: how often scripts have asked for it.
    :ivar settings: those of the service.
    :ivar shown: the values that ``show()`` was called with.
    :ivar published: what the last script that ran has published.
    """

    def setUp(self) -> None:
        self.seconds = 0.0
        self.asked = 0
        self.settings = Settings()
        self.shown: list[Value] = []
        self.published: list[tuple[str, bytes]] = []
        self._waiting: list[tuple[Deferred[int], int]] = []
        self.functions: dict[str, FunctionDefinition] = {
            **FUNCTIONS,
            "show": FunctionDefinition("show", self._show, 1, 1),
            "give": FunctionDefinition("give", lambda argument: argument.number(), 1, 1),
            "fail": FunctionDefinition("fail", self._fail, 0, 0),
            "wait": FunctionDefinition("wait", self._wait, 1, 1, waits=True),
            "work": FunctionDefinition("work", self._work, 1, 1),
        }

    def _show(self, argument: Argument) -> WaitingAction:
        get = argument.value()

        def show(evaluation: Evaluation) -> int:
            self.shown.append(get(evaluation))
            return 1

        return show

    def _fail(self) -> WaitingAction:
        def fail(evaluation: Evaluation) -> int:
            raise EvaluationError("it always fails")

        return fail

    def _wait(self, argument: Argument) -> WaitingAction:
        number = argument.number()

        def wait(evaluation: Evaluation) -> Deferred[int]:
            result: Deferred[int] = Deferred()
            self._waiting.append((result, number(evaluation)))
            return result

        return wait

    def _clock(self) -> float:
        self.asked += 1
        return self.seconds

    def _work(self, argument: Argument) -> WaitingAction:
        milliseconds = argument.number()

        def work(evaluation: Evaluation) -> int:
            self.seconds += milliseconds(evaluation) / 1000
            return 1

        return work

    def go_on(self) -> None:
        """End the call of ``wait()`` that waits longest."""
        result, number = self._waiting.pop(0)
        result.callback(number)

    def compile(self, body: str, routes: Mapping[str, str] | None = None, **parameters: int) -> CompiledScript:
        """Compile an event route, in a file with these global parameters."""
        return compile_script(cfg_of(body, routes, **parameters), self.functions)

    def start(
        self,
        body: str,
        payload: bytes = b"",
        routes: Mapping[str, str] | None = None,
        *,
        times: int = 1,
        **options: Any,
    ) -> list[Deferred[object]]:
        """Run an event route for some messages of one consumer; the Deferreds fire when they have ended."""
        tester = RouteTester(self.compile(body, routes, **options).event_routes, self.settings)
        tester._expressions._consumer.service.seconds = self._clock
        calls = [tester.deliver(SUBJECT, payload) for _ in range(times)]
        self.published = [(message.subject, message.data) for message in tester.published]
        return calls

    def run_script(
        self, body: str, payload: bytes = b"", routes: Mapping[str, str] | None = None, **options: Any
    ) -> list[Value]:
        """Run an event route that waits for nothing, and return what it has shown."""
        self.shown.clear()
        for call in self.start(body, payload, routes, **options):
            self.successResultOf(call)
        return list(self.shown)

    def failure_of(self, body: str, routes: Mapping[str, str] | None = None, **options: Any) -> Failure:
        """How an event route fails."""
        (call,) = self.start(body, b"", routes, **options)
        return self.failureResultOf(call)

    def value_of(self, expression: str, before: str = "", payload: bytes = b"") -> Value:
        """The value of an expression, assigned to a variable that can be null."""
        (value,) = self.run_script(f"{before} $vn(value) = {expression}; show($vn(value));", payload)
        return value

    def error_of(self, body: str, routes: Mapping[str, str] | None = None) -> ScriptError:
        """The error of an event route that cannot be compiled."""
        return self.assertRaises(ScriptError, self.compile, body, routes)

    def assert_error(
        self, body: str, line: int, column: int, problem: str, remedy: str = "", routes: Mapping[str, str] | None = None
    ) -> None:
        """Check where an error is, and what it says."""
        error = self.error_of(body, routes)
        self.assertEqual((error.file, error.line, error.column), (PATH, line, column), str(error))
        self.assertIn(problem, error.problem)
        self.assertIn(remedy, error.remedy)
