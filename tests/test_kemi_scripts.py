"""natsroute.kamailio.kemi.scripts, with real threads"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from natsroute.errors import ScriptError
from natsroute.kamailio.evaluation import ConsumerVariables
from natsroute.kamailio.kemi.scripts import Scripts, read_script
from natsroute.ledger import RouteCounters
from natsroute.routes.in_flight import CallsInFlight
from tests.support.kemi_scripts import ScriptCase, new_event
from tests.support.log_recorder import LogRecorder

SCRIPT = """\
import threading
import KSR

count = 0

def script_child_init(rank):
    KSR.nats.publish("init", str(rank))

def on_event(evname):
    global count
    count += 1
    KSR.nats.publish("out", f"{count} {KSR.pv.get('$var(x)')} {threading.current_thread().name}")
    KSR.pv.seti("$var(x)", count)
"""


class Reactor(Clock):
    """A clock. What threads ask for is done when the test waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.called = threading.Condition()

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        with self.called:
            self.asked.append((function, arguments))
            self.called.notify()

    def run_until(self, condition: Callable[[], object]) -> None:
        """Make calls until this holds."""
        while not condition():
            with self.called:
                if not self.called.wait_for(lambda: self.asked, timeout=120.0):
                    raise AssertionError("nothing happens")
                asked, self.asked = self.asked, []
            for function, arguments in asked:
                function(*arguments)


class ScriptsTests(ScriptCase):
    """One instance for each consumer."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = Reactor()
        self.in_flight = CallsInFlight(self.reactor)  # type: ignore[arg-type]

    def scripts(self, source: str) -> Scripts:
        return Scripts(self.reactor, self.script(source), "on_event", self.in_flight)

    def publish_for(self, name: str) -> Any:
        def publish(subject: str, payload: bytes, reply: str | None = None) -> Deferred[None]:
            self.published.append((f"{name} {subject}", payload, reply))
            return succeed(None)

        return publish

    def stop(self, scripts: Scripts) -> None:
        stopped = scripts.stopService()
        self.reactor.run_until(lambda: stopped.called)

    def test_slow_to_load(self) -> None:
        """The log says once for all instances where the script is. Nothing is left of the wait."""
        log = LogRecorder(self)
        started, go = threading.Event(), threading.Event()
        self.addCleanup(go.set)
        scripts = self.scripts("import slow_script_gate\nslow_script_gate.wait()\ndef on_event(evname): pass\n")
        gate: Any = ModuleType("slow_script_gate")
        gate.wait = lambda: (started.set(), go.wait(120.0))
        sys.modules[gate.__name__] = gate
        self.addCleanup(sys.modules.pop, gate.__name__)
        for name in ("a:q", "b:q"):
            scripts.new_thread(name, ConsumerVariables(self.service), self.publish_for, consumes=True)
        loaded = scripts.load()
        self.assertTrue(started.wait(120.0))
        self.reactor.advance(29.9)
        self.assertEqual(log.lines(), [])
        self.reactor.advance(0.1)
        [line] = log.lines("warn")
        self.assertRegex(
            line, r"^The script (.+\.py) is still being loaded after 30 s, at \1:[12]\. Nothing is consumed"
        )
        go.set()
        self.reactor.run_until(lambda: loaded.called)
        self.successResultOf(loaded)
        self.stop(scripts)
        self.assertEqual((len(log.lines()), self.reactor.getDelayedCalls()), (1, []))

    def test_instances(self) -> None:
        """Their globals and variables are their own, and so is their thread. Only consumers have the hook."""
        scripts = self.scripts(SCRIPT)
        threads = [
            scripts.new_thread(name, ConsumerVariables(self.service), self.publish_for, consumes=name != "workers")
            for name in ("a:q", "b:q", "workers")
        ]
        loaded = scripts.load()
        self.reactor.run_until(lambda: loaded.called)
        self.assertIs(self.successResultOf(loaded), None)
        scripts.resume()
        counters = []
        for thread in threads:
            assert thread is not None
            counters.append(RouteCounters("nats:a"))
            calls = thread.calls(counters[-1], self.in_flight)
            for _ in range(2):
                calls.call(new_event())
        self.reactor.run_until(lambda: sum(one.succeeded for one in counters) == 6)
        self.stop(scripts)
        found = sorted((subject, payload.decode()) for subject, payload, _ in self.published)
        self.assertEqual(
            found,
            [
                ("a:q init", "-2"),
                ("a:q out", "1 0 natsroute script a:q"),
                ("a:q out", "2 1 natsroute script a:q"),
                ("b:q init", "-2"),
                ("b:q out", "1 0 natsroute script b:q"),
                ("b:q out", "2 1 natsroute script b:q"),
                ("workers out", "1 0 natsroute script workers"),
                ("workers out", "2 1 natsroute script workers"),
            ],
        )

    def test_script_that_cannot_be_loaded(self) -> None:
        """The first error is the reason; all threads end."""
        scripts = self.scripts("1 / 0")
        for name in ("a", "b"):
            scripts.new_thread(name, ConsumerVariables(self.service), self.publish_for, consumes=True)
        loaded = scripts.load()
        self.reactor.run_until(lambda: loaded.called)
        self.assertIn("ZeroDivisionError", str(self.failureResultOf(loaded, ScriptError).value))
        self.stop(scripts)

    def test_no_script(self) -> None:
        """There are no instances then."""
        scripts = Scripts(self.reactor, "", "", self.in_flight)
        self.assertIs(scripts.new_thread("a", ConsumerVariables(self.service), self.publish_for, consumes=True), None)
        self.successResultOf(scripts.load())
        scripts.hold()
        scripts.release()
        scripts.resume()
        self.successResultOf(scripts.stopService())

    def test_languages(self) -> None:
        """The name of the file says which."""
        for suffix in (".js", ""):
            error = self.assertRaises(ScriptError, read_script, self.script("", suffix), "on_event")
            self.assertIn("Name a .py or a .lua file", error.remedy)
        self.assertRaises(ScriptError, self.scripts, "x = = 1")
