"""natsroute.kamailio.script.waiting"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from natsroute.errors import EvaluationError, ScriptLimitError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from natsroute.kamailio.values import Value
from tests.support.scripts import ScriptTestCase


class WaitingTests(ScriptTestCase):
    """Scripts that wait for a function: what runs before it, what behind it, and the same rules as without it."""

    def run_waiting(self, body: str, waits: int = 1, routes: dict[str, str] | None = None) -> list[Value]:
        """Run an event route that waits so many times, and return what it has shown."""
        self.shown.clear()
        (call,) = self.start(body, b"text", routes)
        for _ in range(waits):
            self.assertNoResult(call)
            self.go_on()
        self.successResultOf(call)
        return list(self.shown)

    def test_order(self) -> None:
        (call,) = self.start("show(1); wait(5); show($rc);")
        self.assertEqual(self.shown, [1])
        self.go_on()
        self.assertEqual(self.shown, [1, 5])
        self.successResultOf(call)

    def test_a_result_at_once(self) -> None:
        """A function that may wait need not."""
        self.functions["wait"] = self.functions["wait"].__class__(
            "wait", lambda argument: argument.number(), 1, 1, waits=True
        )
        self.assertEqual(self.run_waiting("wait(3); show($rc);", 0), [3])

    def test_ends_at_0(self) -> None:
        self.assertEqual(self.run_waiting("wait(0); show(1);"), [])

    def test_in_expressions(self) -> None:
        for text, waits, shown in [
            ("if (wait(1)) show(1); else show(2);", 1, [1]),
            ("if (wait(-1)) show(1); else show(2);", 1, [2]),
            ("if (0) show(0); else if (wait(1)) show(1);", 1, [1]),
            ("if (!wait(-1)) show(1);", 1, [1]),
            ("if (wait(1) && wait(-1)) show(1); else show(2);", 2, [2]),
            ("if (wait(-1) && wait(1)) show(1); else show(2);", 1, [2]),
            ("if (wait(1) || wait(1)) show(1);", 1, [1]),
            ("if (wait(-1) or wait(1) or wait(1)) show(1);", 2, [1]),
            ("$var(x) = wait(-7); show($var(x));", 1, [-7]),
            ("$var(x) = wait(-7) + 5; show($var(x));", 1, [5]),
            ("$var(x) = 1 + wait(2) + wait(2); show($var(x));", 2, [3]),
            ('$var(x) = "a" + wait(2); show($var(x));', 1, [b"a1"]),
            ("$var(x) = 5 - wait(2); show($var(x));", 1, [4]),
            ("$var(x) = 5 == wait(2); show($var(x));", 1, [0]),
            ("$var(x) = $var(y) == wait(-2); show($var(x));", 1, [1]),
            ("$var(x) = $var(y) eq (str)wait(-2); show($var(x));", 1, [1]),
            ('$var(x) = (str)wait(1) =~ "1"; show($var(x));', 1, [1]),
            ("$var(x) = strlen((str)wait(1)); show($var(x));", 1, [1]),
            ("$var(x) = -wait(1); show($var(x));", 1, [-1]),
            ("$var(x) = (int)(str)wait(1); show($var(x));", 1, [1]),
            ("$var(x) = selval(wait(1), 7, 8); show($var(x));", 1, [7]),
            ('$vn(s) = "5"; $var(x) = $vn(s) + wait(2) - 1; show($var(x));', 1, [5]),
            ('$vn(s) = "5"; $var(x) = $vn(s) + wait(2); show($var(x));', 1, [b"51"]),
            ('$vn(s) = "5"; $var(x) = $var(y) == $vn(s) + wait(2); show($var(x));', 1, [0]),
            ('$vn(s) = "-1"; $var(x) = $var(y) == $vn(s) + wait(2); show($var(x));', 1, [1]),
            ('$var(p) = "1"; if ((str)wait(1) =~ $var(p)) show(1);', 1, [1]),
            ('$vn(s) = "1"; if ($vn(s) == wait(1)) show(1);', 1, [1]),
            ('$vn(s) = "2"; if ($vn(s) == wait(1)) show(1); else show(0);', 1, [0]),
            ("if (wait(1) && wait(1)) show(1);", 2, [1]),
            ("if (wait(-1) || wait(-1)) show(1); else show(0);", 2, [0]),
            ("if ({ wait(1); return 3; show(2); } || 0) show(1);", 1, [1]),
            ("$avp($vn(none)) = wait(1); show($rc);", 1, [1]),
            ("$avp($vn(none)) = wait(1) + 1; show(1);", 1, [1]),
            ("if (wait(1)) show(1); else show(2);", 1, [1]),
            ("switch (wait(1)) { case 1: show(1); break; default: show(2); }", 1, [1]),
            ("switch (5) { case 5: wait(1); show(1); case 6: show(2); }", 1, [1, 2]),
            ("switch (7) { case 5: wait(1); default: show(2); break; }", 0, [2]),
            ("while (wait(1)) { show(1); break; } show(2);", 1, [1, 2]),
            ("while ($var(i) < 2) { $var(i) = $var(i) + 1; wait(1); show($var(i)); }", 2, [1, 2]),
            ("if (1 / $var(z) + wait(1)) show(1); else show(2);", 0, [2]),
            ("if (wait(1) / $var(z)) show(1); else show(2);", 1, [2]),
            ("$var(x) = wait(1) / $var(z); show(2);", 1, [2]),
            ("if ({ wait(1); give(3); }) show(1);", 1, [1]),
            ("$var(x) = { wait(1); give(3); }; show($var(x));", 1, [3]),
            ("while (wait(1) / $var(z)) show(1); show(2);", 1, [2]),
            ("switch (wait(1) / $var(z)) { case 1: show(1); default: show(2); }", 1, [2]),
        ]:
            self.assertEqual(self.run_waiting(text, waits), shown, text)

    def test_nothing_to_run(self) -> None:
        """A constant subject and nothing to run give -5, as without waiting."""
        for text in ("switch (1) { case 2: wait(1); }", "switch (1) { case 2: wait(1); break; case 1: }"):
            self.assertEqual(self.run_waiting("route(A); show($rc);", 0, {"A": text}), [-5], text)

    def test_in_routes(self) -> None:
        """All that calls a route that waits, waits too."""
        routes = {"A": "show(2); route(B); show($rc);", "B": "wait(1); return(-3);"}
        for text in ("show(1); route(A); show(4);", '$var(r) = "A"; show(1); route($var(r)); show(4);'):
            self.assertEqual(self.run_waiting(text, 1, routes), [1, 2, -3, 4], text)
        self.assertEqual(self.run_waiting("if (route(A)) show(5);", 1, routes), [2, -3, 5])

    def test_routes_that_need_not_wait(self) -> None:
        """They can be called from one that waits."""
        self.assertEqual(self.run_waiting("wait(1); route(A);", 1, {"A": "show(1);"}), [1])

    def test_unknown_route(self) -> None:
        self.assertEqual(self.run_waiting('$var(r) = "X"; route($var(r)); show(1);', 0, {"A": "wait(1);"}), [1])

    def test_ends(self) -> None:
        for text in ("exit;", "return(wait(0));", "exit(wait(1));", "return 1 / $var(z) + wait(1) * 0 + 5;"):
            found = self.start("route(A); show(1);", b"", {"A": f"wait(1); {text}"})[0]
            while self._waiting:
                self.go_on()
            self.successResultOf(found)
        self.assertEqual(self.shown, [1])  # of the last one, whose result is -5
        self.assertEqual(self.run_waiting("if (route(A)) show(1); show(2);", 1, {"A": "wait(1); exit;"}), [])
        self.assertEqual(self.run_waiting("$var(x) = route(A); show(2);", 1, {"A": "wait(1); exit;"}), [])

    def test_return_with_a_wait(self) -> None:
        self.assertEqual(self.run_waiting("route(A); show($rc);", 1, {"A": "return(wait(5) + 6);"}), [7])

    def test_failures(self) -> None:
        """As without waiting: the result is -1, and of a ``return`` -5."""
        self.functions["wait"] = FunctionDefinition("wait", lambda argument: _failing, 1, 1, waits=True)
        self.assertEqual(self.run_waiting("wait(1); show($rc);", 0), [-1])
        self.assertEqual(self.run_waiting("route(A); show($rc);", 0, {"A": "return wait(1) / $var(zero);"}), [-5])

    def test_recursion(self) -> None:
        (call,) = self.start("route(A); show($var(n));", b"", {"A": "$var(n) = $var(n) + 1; route(A); wait(1);"})
        while self._waiting:
            self.go_on()
        self.successResultOf(call)
        self.assertEqual(self.shown, [255])

    def test_too_many_turns(self) -> None:
        self.functions["wait"] = self.functions["wait"].__class__(
            "wait", lambda argument: argument.number(), 1, 1, waits=True
        )
        self.assertEqual(self.run_waiting("while (wait(1)) $var(i) = $var(i) + 1; show($var(i));", 0), [100])

    def loop_with(self, result: Callable[[], Deferred[int] | int]) -> Deferred[object]:
        """Run a loop that works for 2 s in 100 turns, with a function in each of them."""
        self.functions["wait"] = FunctionDefinition("wait", lambda argument: lambda run: result(), 1, 1, waits=True)
        (call,) = self.start("while (wait(1) && $var(i) < 100) { $var(i) = $var(i) + 1; work(20); } show($var(i));")
        return call

    def test_too_much_time_without_a_wait(self) -> None:
        """A Deferred that has a result already is no wait."""
        for result in (lambda: 1, lambda: succeed(1)):
            failure = self.failureResultOf(self.loop_with(result))
            self.assertTrue(failure.check(ScriptLimitError))
            for part in ("nats:test", "kamailio.cfg:1:1", "script_timeout"):
                self.assertIn(part, str(failure.value))

    def test_time_begins_anew_after_a_wait(self) -> None:
        """So does it if a Deferred with a result waits for another one."""
        waiting: list[Deferred[int]] = []

        def not_fired() -> Deferred[int]:
            waiting.append(Deferred())
            return waiting[-1]

        for result in (not_fired, lambda: succeed(1).addCallback(lambda _: not_fired())):
            self.shown.clear()
            call = self.loop_with(result)
            while waiting:
                self.seconds += 60.0
                waiting.pop().callback(1)
            self.successResultOf(call)
            self.assertEqual(self.shown, [100])

    def test_events_do_not_disturb_each_other(self) -> None:
        """Two events wait at once, each with variables of its own."""
        calls = self.start("$avp(x) = $avp(x) + 1; wait(1); show($avp(x));", times=2)
        self.go_on()
        self.go_on()
        self.assertEqual([self.successResultOf(call) for call in calls], [None, None])
        self.assertEqual(self.shown, [b"1", b"1"])

    def test_errors(self) -> None:
        self.assert_error("route(wait(1));", 1, 1, "a call that waits inside of route()")

    def test_locks(self) -> None:
        """What an event has locked is free when it has ended, however it ends."""
        for ending in ("", "exit;", "fail();", "wait(0);"):
            self.shown.clear()
            first, second = self.start(f'lock("a"); lock("a"); wait(1); show(1); {ending}', times=2)
            self.go_on()
            for _ in range(3):
                if self._waiting:
                    self.go_on()
            self.successResultOf(first)
            self.successResultOf(second)
            self.assertEqual(self.shown, [1, 1], ending)
        cancelled, other = self.start('lock("a"); wait(1); show(1);', times=2)
        cancelled.cancel()
        self.failureResultOf(cancelled)
        self.shown.clear()
        while self._waiting:
            self.go_on()
        self.successResultOf(other)
        self.assertEqual(self.shown, [1])

    def test_cancel(self) -> None:
        """A timeout cancels what the script waits for."""
        (call,) = self.start("wait(1); show(1);")
        call.cancel()
        self.failureResultOf(call)
        self.assertEqual(self.shown, [])


def _failing(evaluation: Evaluation) -> int:
    raise EvaluationError("it always fails")
