"""natsroute.daemon.processes.aggregation"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.errors import AnswerTimeoutError, MethodError, NoServiceError
from natsroute.daemon.processes import aggregation
from natsroute.daemon.processes.aggregation import ANSWER_TIMEOUT, Aggregation
from natsroute.daemon.processes.run import Exit, Patience, Spawn
from natsroute.daemon.processes.supervisor import Supervisor
from natsroute.monitoring.overview import ErrorRow, Overview, PublisherRow, Reason
from tests.test_run import MemoryChild

ERROR = ErrorRow(1.0, "error", "natsroute", "it failed")


def overview(pid: int, published: int) -> dict[str, Any]:
    """The answer of a process."""
    made = Overview(
        "other", "1", (pid,), 5.0, 6.0, (Reason("x", "y", "z"),), publisher=PublisherRow(published), errors=(ERROR,)
    )
    return made.as_json()


class Child(MemoryChild):
    """A process whose answers a test gives, by method."""

    def __init__(self, pid: int, on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> None:
        super().__init__(pid, on_ready, on_ended)
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Deferred[Any]:
        assert timeout == ANSWER_TIMEOUT
        self.calls.append((method, params))
        answer = self.answers[method]
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class AggregationTests(SynchronousTestCase):
    """Two processes that are ready."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.children: list[Child] = []
        self.supervisor = Supervisor(
            self.clock, 2, self.spawn, Patience(1.0, 1.0), 1.0, on_ready=lambda: None, on_failed=lambda reason: None
        )
        self.aggregation = Aggregation(lambda: "me", self.supervisor, lambda: (ERROR,), lambda: 100.0)
        self.supervisor.start()
        for number, child in enumerate(self.children, 1):
            child.is_ready()
            child.answers = {
                "overview": overview(child.pid, number),
                "metrics": "# HELP a A.\n# TYPE a gauge\na 1\n",
                "log_level": None,
            }

    def spawn(self, number: int, fresh: bool) -> Spawn:
        def start(on_ready: Callable[[], None], on_ended: Callable[[Exit], None]) -> Child:
            self.children.append(Child(10 + len(self.children), on_ready, on_ended))
            return self.children[-1]

        return start

    def overview(self) -> Overview:
        return self.successResultOf(self.aggregation.overview())

    def test_overview(self) -> None:
        """The numbers add up; what is told of the service as a whole is told of the parent."""
        found = self.overview()
        self.assertEqual((found.name, found.pids, found.started, found.time), ("me", (10, 11), 100.0, 100.0))
        self.assertEqual(found.publisher.published, 3)
        self.assertEqual([(reason.text, reason.process) for reason in found.reasons], [("z", 1), ("z", 2)])

    def test_errors(self) -> None:
        """They are in the parent's log already, those of processes that have ended, too."""
        self.assertEqual(self.overview().errors, (ERROR,))

    def test_no_answer(self) -> None:
        """A process that does not answer is a reason; the others are shown."""
        self.children[0].answers["overview"] = AnswerTimeoutError(1.0)
        found = self.overview()
        self.assertEqual((found.pids, found.publisher.published), ((10, 11), 2))
        self.assertEqual((found.reasons[0].code, found.reasons[0].process), ("no_answer", 1))
        self.assertIn("process 1: no answer within 1 s", found.reasons[0].text)

    def test_answer_of_another_version(self) -> None:
        for answer in ({}, [], None, 1, {**overview(1, 1), "connections": 3}):
            self.children[1].answers["overview"] = answer
            self.assertEqual((self.overview().reasons[1].code, self.overview().reasons[1].process), ("no_answer", 2))

    def test_starting(self) -> None:
        """A process that has died and starts again does not listen yet."""
        self.children[1].end(None, 9)
        [reason] = [reason for reason in self.overview().reasons if reason.process == 2]
        self.assertEqual((reason.code, reason.text), ("starting", "process 2 waits to be started again"))
        self.clock.advance(0)
        self.children[2].answers["overview"] = NoServiceError("/x")
        [reason] = [reason for reason in self.overview().reasons if reason.process == 2]
        self.assertEqual((reason.code, reason.text), ("starting", "process 2 starts"))

    def test_replaced_meanwhile(self) -> None:
        """The answer is that of the new process: the old one drains, or has ended already."""
        for answer in (NoServiceError("/x"), overview(10, 1)):
            asked: Deferred[Any] = Deferred()
            self.children[0].answers["overview"] = asked
            found = self.aggregation.overview()
            self.supervisor.reload().addErrback(lambda failure: None)
            replacement = self.children[-1]
            replacement.answers["overview"] = overview(99, 7)
            replacement.is_ready()
            self.assertNoResult(found)
            if isinstance(answer, Exception):
                asked.errback(answer)
            else:
                asked.callback(answer)
            result = self.successResultOf(found)
            self.assertEqual(result.pids, (99, 11))
            self.assertNotIn("no_answer", [reason.code for reason in result.reasons])
            self.setUp()

    def test_metrics_of_one_that_is_replaced_meanwhile(self) -> None:
        """A scrape during a reload finds no process down."""
        asked: Deferred[Any] = Deferred()
        self.children[0].answers["metrics"] = asked
        self.children[1].answers["metrics"] = ""
        text = self.aggregation.text()
        self.supervisor.reload().addErrback(lambda failure: None)
        self.children[-1].answers["metrics"] = ""
        self.children[-1].is_ready()
        asked.errback(NoServiceError("/x"))
        self.assertIn(b'natsroute_process_up{process="1"} 1', self.successResultOf(text))

    def test_stopping(self) -> None:
        self.supervisor.stop()
        self.assertEqual(self.overview().reasons[0], Reason("stopping", "", "the service stops"))

    def test_reloads(self) -> None:
        """Replaced processes count, and code that each process has loaded anew by itself."""
        self.supervisor.reloads = 3
        self.assertEqual(self.overview().reloads, 3)
        for child in self.children:
            child.answers["overview"]["reloads"] = 4
        self.assertEqual(self.overview().reloads, 7)
        self.assertEqual(attrs.evolve(self.overview(), errors=()).errors, ())

    def test_metrics(self) -> None:
        """Each sample has the number of its process; one that does not answer is down."""
        self.children[0].answers["metrics"] = AnswerTimeoutError(1.0)
        lines = self.successResultOf(self.aggregation.text()).decode().splitlines()
        self.assertIn('natsroute_process_up{process="1"} 0', lines)
        self.assertIn('natsroute_process_up{process="2"} 1', lines)
        self.assertIn('a{process="2"} 1', lines)

    def test_metrics_without_their_package(self) -> None:
        """Then there are none; otherwise it would look as if no process answered."""
        self.assertIs(self.aggregation.new_metrics(), self.aggregation)
        self.patch(aggregation, "find_spec", lambda name: None)
        self.assertIsNone(self.aggregation.new_metrics())

    def test_log_level(self) -> None:
        """Each process gets the rules; one that does not answer gets them at its next start."""
        self.children[0].answers["log_level"] = NoServiceError("/x")
        self.successResultOf(Deferred.fromCoroutine(self.aggregation.log_level(["debug"])))
        for child in self.children:
            self.assertEqual(child.calls, [("log_level", {"rules": ["debug"]})])

    def test_log_level_of_a_replacement(self) -> None:
        """A process that starts has the former rules, also if it replaces another one: it gets the newest ones."""
        self.supervisor.reload().addErrback(lambda failure: None)
        replacement = self.children[2]
        replacement.answers["log_level"] = NoServiceError("/x")
        for rules in (["debug"], ["warn"]):
            self.successResultOf(Deferred.fromCoroutine(self.aggregation.log_level(rules)))
        replacement.calls.clear()
        replacement.is_ready()
        self.assertEqual(replacement.calls, [("log_level", {"rules": ["warn"]})] * 2)

    def test_log_level_of_one_that_does_not_start(self) -> None:
        """Nothing is told, and no timer is left."""
        self.supervisor.reload().addErrback(lambda failure: None)
        replacement = self.children[2]
        replacement.answers["log_level"] = NoServiceError("/x")
        self.successResultOf(Deferred.fromCoroutine(self.aggregation.log_level(["debug"])))
        replacement.calls.clear()
        replacement.end(1)
        self.assertEqual((replacement.calls, self.clock.getDelayedCalls()), ([], []))

    def test_log_level_is_refused(self) -> None:
        self.children[1].answers["log_level"] = MethodError(-32000, "no")
        self.failureResultOf(Deferred.fromCoroutine(self.aggregation.log_level(["x"])), MethodError)
