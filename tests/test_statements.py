"""natsroute.kamailio.script.statements, with the flow of control."""

from __future__ import annotations

from natsroute import Settings
from natsroute.errors import ScriptLimitError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.context import MAX_LEVEL
from natsroute.kamailio.script.functions.definitions import FunctionDefinition
from tests.support.log_recorder import LogRecorder
from tests.support.scripts import ScriptTestCase


class AssignmentTests(ScriptTestCase):
    """What can be assigned to, and with what result."""

    def test_variables(self) -> None:
        text = """
            $var(a) = 1; $vn(b) = "b"; $avp(c) = 2; $avp(c) = 3; $shv(d) = "d"; $xavp(e=>f) = 4; $(avp(g)) = 5;
            $avp($var(a)) = 6;
            show($var(a)); show($vn(b)); show($(avp(c)[1])); show($shv(d)); show($xavp(e=>f)); show($avp(g));
            show($avp($var(a)));
        """
        self.assertEqual(self.run_script(text), [1, b"b", 2, b"d", 4, 5, 6])

    def test_null(self) -> None:
        """``$var`` becomes 0; others are unset."""
        text = "$var(a) = 1; $var(a) = $null; show($var(a)); $vn(b) = 1; $vn(b) = $null; show($vn(b));"
        text += "$avp(c) = 1; $avp(c) = 2; $(avp(c)[*]) = $null; show($avp(c));"
        self.assertEqual(self.run_script(text), [0, None, None])

    def test_not_assignable(self) -> None:
        for text in ("$natsData", "$ru", "$null", "$(var(x){s.len})", "$rc", "$dlg_var(x)"):
            error = self.error_of(f" {text} = 1;")
            self.assertEqual((error.line, error.column), (1, 2 if text != "$dlg_var(x)" else error.column), str(error))

    def test_cannot_be_assigned_now(self) -> None:
        """The name of the variable is null: the statement fails, and the script goes on."""
        for value in ("1", "$var(x)", "give(5)", "$var(x) + 1", "$(var(x){s.substr,$vn(none),1})"):
            routes = {"A": f"$avp($vn(none)) = {value};"}
            self.assertEqual(self.run_script("route(A); show($rc);", routes=routes), [-1], value)

    def test_result(self) -> None:
        """Of the last statement of a route; -1, if it fails."""
        for text, result in [
            ("$var(a) = 0;", 1), ('$var(a) = "";', 1), ("$var(a) = 1 / 0;", -1), ("$vn(a) = $vn(none);", 1),
            ("$var(a) = $(var(x){s.int}{s.substr,$vn(none),1});", -1), ("$var(a) = give(-7);", 1),
        ]:  # fmt: skip
            self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": text}), [result], text)


class BranchTests(ScriptTestCase):
    """``if``: only a number above 0 is true."""

    def test_truth(self) -> None:
        for condition, is_true in [
            ("1", 1), ("0", 0), ("-1", 0), ('"1"', 1), ('"a"', 0), ('""', 0), ("$vn(none)", 0), ("$natsData", 0),
            ("give(1)", 1), ("give(-1)", 0), ("1 / 0", 0), ("fail()", 0),
        ]:  # fmt: skip
            for text in ("if ({}) show(1); else show(0);", "if (0) show(2); else if ({}) {{ show(1); }} else show(0);"):
                self.assertEqual(self.run_script(text.format(condition), b"text"), [is_true], (condition, text))

    def test_else_if(self) -> None:
        text = "if ($var(i) == 0) show(0); else if ($var(i) == 1) show(1); else if ($var(i) == 2) show(2);"
        for value, shown in [(0, [0]), (1, [1]), (2, [2]), (3, [])]:
            self.assertEqual(self.run_script(f"$var(i) = {value}; {text}"), shown)

    def test_result(self) -> None:
        for text, result in [("if (1) give(-3);", -3), ("if (0) give(-3);", 1), ("if (1) { give(2); give(3); }", 3)]:
            self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": text}), [result], text)


class LoopTests(ScriptTestCase):
    """``while``: any number but 0 is true."""

    def test_counts(self) -> None:
        text = "while ($var(i) < 3) { show($var(i)); $var(i) = $var(i) + 1; }"
        self.assertEqual(self.run_script(text), [0, 1, 2])
        self.assertEqual(
            self.run_script("$var(i) = -2; while ($var(i)) { show($var(i)); $var(i) = $var(i) + 1; }"), [-2, -1]
        )

    def test_break(self) -> None:
        text = "while (1) { while (1) { show(1); break; show(2); } show(3); break; } show(4);"
        self.assertEqual(self.run_script(text), [1, 3, 4])

    def test_return(self) -> None:
        self.assertEqual(
            self.run_script("route(A); show($rc);", routes={"A": "while (1) { if (1) { return -4; } }"}), [-4]
        )

    def test_too_many_turns(self) -> None:
        """It ends after ``max_while_loops``, which is logged once, and the script goes on."""
        text = "while (1) $var(i) = $var(i) + 1; show($var(i));"
        recorder = LogRecorder(self)
        self.assertEqual(self.run_script(text, times=2), [100, 200])
        self.assertEqual(self.run_script(text, max_while_loops=7), [7])
        messages = recorder.matching("max_while_loops")
        self.assertEqual(len(messages), 2, messages)
        self.assertIn("kamailio.cfg:1:1", messages[0])

    def test_condition_fails(self) -> None:
        self.assertEqual(self.run_script("while (1 / $var(zero)) { show(1); } show(2);"), [2])

    def test_string(self) -> None:
        self.assert_error('while ("a") show(1);', 1, 8, "a string where an integer is needed")
        self.assert_error('return "7";', 1, 8, "a string where an integer is needed")

    def test_loops_inside_of_loops(self) -> None:
        """They do not hold the reactor for ever."""
        failure = self.failure_of("while (1) { while (1) {\n while (1) { work(1); } } }", max_while_loops=0)
        self.assertTrue(failure.check(ScriptLimitError))
        for part in ("nats:test", "1.0", "kamailio.cfg:2:2", "script_timeout"):
            self.assertIn(part, str(failure.value))


class LeaveTests(ScriptTestCase):
    """``return``, ``exit``, ``drop`` and ``break``."""

    def test_return(self) -> None:
        for text, result in [
            ("return;", 1), ("return();", 1), ("return(5);", 5), ("return -2;", -2), ("return $var(x) + 1;", 4),
            ('return (int)"7";', 7), ("return 1 / $var(zero);", -5),
        ]:  # fmt: skip
            shown = self.run_script("$var(x) = 3; route(A); show($rc);", routes={"A": text + " show(9);"})
            self.assertEqual(shown, [result], text)

    def test_ends(self) -> None:
        """What ends the script, wherever it is."""
        for text in (
            "exit;",
            "exit();",
            "exit(5);",
            "drop;",
            "drop();",
            "drop(5);",
            "return 0;",
            "return $var(zero);",
            "give(0);",
        ):
            for around in ("{}", "if (1) {{ {} }}", "while (1) {{ {} }}", "switch (1) {{ case 1: {} }}"):
                found = self.run_script("show(1); route(A); show(2);", routes={"A": around.format(text)})
                self.assertEqual(found, [1], (text, around))

    def test_ends_in_expressions(self) -> None:
        for text in (
            "if (route(A)) show(1);",
            "$var(x) = route(A);",
            "$var(x) = 1 + route(A);",
            "while (route(A)) show(1);",
        ):
            self.assertEqual(self.run_script(f"{text} show(2);", routes={"A": "exit;"}), [], text)
        self.assertEqual(self.run_script("if (!give(0)) show(1); show(2);"), [])

    def test_assigned_before_the_end(self) -> None:
        """As in Kamailio: the result is assigned, and then the script ends."""
        self.assertEqual(
            self.run_script("show($var(x)); $var(x) = route(A);", routes={"A": "exit(3);"}, times=2), [0, 3]
        )

    def test_return_in_expressions(self) -> None:
        """It ends the statements that it is in, and is their value."""
        for value, is_true in [(3, 1), (-3, 0)]:
            found = self.run_script(f"if ({{ return {value}; show(2); }} || 0) show(1); else show(0);")
            self.assertEqual(found, [is_true])

    def test_break_in_a_route(self) -> None:
        """Outside of a loop, it ends the route and gives 0."""
        self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": "if (1) { break; } show(1);"}), [0])
        self.assertEqual(self.run_script("show(1); break; show(2);"), [1])

    def test_return_in_the_event_route(self) -> None:
        self.assertEqual(self.run_script("show(1); if (1) return; show(2);"), [1])


class ReturnCodeTests(ScriptTestCase):
    """``$rc``, ``$retcode`` and ``$?``."""

    def test_names(self) -> None:
        self.assertEqual(
            self.run_script("give(-3); show($rc); give(-3); show($retcode); give(-3); show($?);"), [-3] * 3
        )

    def test_begins_with_0(self) -> None:
        self.assertEqual(self.run_script("show($rc); give(5);", times=2), [0, 0])

    def test_of_functions(self) -> None:
        """An assignment does not change it; a call in an expression begins with 0."""
        self.assertEqual(self.run_script("give(4); $var(x) = 1; show($rc);"), [4])
        self.assertEqual(
            self.run_script("give(4); if (route(A)) show($rc);", routes={"A": "show($rc); return 6;"}), [0, 6]
        )
        self.assertEqual(self.run_script("give(4); if (($var(x) = 1)) give($rc + 1); show($rc);"), [1])

    def test_of_routes(self) -> None:
        """Without a ``return``, it is the result of the last statement."""
        for text, result in [("give(-2);", -2), ("$var(x) = 1;", 1), ("", 1), ("while (0) give(3);", 1)]:
            self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": text}), [result], text)


class DepthTests(ScriptTestCase):
    """Routes that call themselves."""

    def test_recursion(self) -> None:
        """Each block counts, as in Kamailio; at 256 the call fails and the script goes on."""
        routes = {"A": "$var(n) = $var(n) + 1; route(A);"}
        self.assertEqual(self.run_script("route(A); show($var(n));", routes=routes), [MAX_LEVEL - 1])
        routes = {"A": "$var(n) = $var(n) + 1; if ($var(n) > 0) { route(A); }"}
        self.assertEqual(self.run_script("route(A); show($var(n));", routes=routes), [MAX_LEVEL // 2])

    def test_recursion_that_ends(self) -> None:
        routes = {"A": "$var(n) = $var(n) + 1; if ($var(n) < 100) route(A); return($var(n));"}
        self.assertEqual(self.run_script("route(A); show($rc);", routes=routes), [100])

    def test_recursion_in_expressions(self) -> None:
        """It ends before Python's stack does."""
        routes = {"A": "$var(n) = $var(n) + 1; if (1 + (2 + (3 + route(A)))) { return 1; }"}
        (value,) = self.run_script("route(A); show($var(n));", routes=routes)
        self.assertGreater(int(value or 0), 50)

    def test_two_calls_each(self) -> None:
        """They end, too."""
        for calls in ("route(A);\nroute(A);", '$var(name) = "A";\nroute($var(name)); route($var(name));'):
            self.seconds = 0.0
            failure = self.failure_of("route(A);", {"A": f"work(1); {calls}"})
            self.assertTrue(failure.check(ScriptLimitError))
            self.assertRegex(str(failure.value), r"kamailio\.cfg:10[12]:")
            self.assertLess(self.seconds, 1.1)

    def test_slow_statements(self) -> None:
        """A script that makes few turns is ended within twice the time, and ten turns."""
        for milliseconds in (30, 100, 300, 700, 1500):
            self.seconds = 0.0
            failure = self.failure_of(f"while (1) work({milliseconds});")
            self.assertTrue(failure.check(ScriptLimitError))
            self.assertLessEqual(self.seconds, 2.0 + 10 * milliseconds / 1000)

    def test_the_clock_is_asked_seldom(self) -> None:
        """Not at all by a short script, and by others once for many turns."""
        for turns, most in ((8, 0), (100, 8), (6400, 110)):
            self.asked = 0
            self.run_script(f"while ($var(i) < {turns}) $var(i) = $var(i) + 1;", max_while_loops=0)
            self.assertLessEqual(self.asked, most)

    def test_each_event_has_its_time(self) -> None:
        text = "while ($var(i) < 90) { $var(i) = $var(i) + 1; work(10); } $var(i) = 0; show(1);"
        self.assertEqual(self.run_script(text, times=3), [1, 1, 1])

    def test_other_limits(self) -> None:
        text = "while ($var(i) < 90) { $var(i) = $var(i) + 1; work(100); } show(1);"
        self.settings = Settings(script_timeout=10.0)
        self.assertEqual(self.run_script(text), [1])
        self.settings = Settings(script_timeout=0)
        self.assertEqual(self.run_script(text.replace("100", "100000")), [1])

    def test_doubled_strings(self) -> None:
        """A string that is doubled in a loop does not fill the memory."""
        text = '$var(s) = "x"; while (1) { $var(s) = $var(s) + $var(s); } show(strlen($var(s)));'
        (length,) = self.run_script(text.replace("show(strlen($var(s)))", "$var(l) = strlen($var(s)); show($var(l))"))
        self.assertEqual(length, 8 * 2**20)


class FailureTests(ScriptTestCase):
    """Statements that fail for an event."""

    def test_logged_once_for_each_place(self) -> None:
        """The script goes on."""
        text = "$var(a) = 1 / $var(zero);\n$var(b) = 1 / $var(zero);\nfail();\nshow($rc);"
        recorder = LogRecorder(self)
        self.assertEqual(self.run_script(text, times=3), [-1, -1, -1])
        lines = recorder.matching("failed for an event")
        self.assertEqual(len(lines), 3)
        for number, reason in enumerate(("division by zero", "division by zero", "it always fails")):
            self.assertIn(f"kamailio.cfg:{number + 1}:1", lines[number])
            self.assertIn(reason, lines[number])

    def test_too_deep_for_python(self) -> None:
        """It fails the event, with an error that says why."""

        def too_deep(evaluation: Evaluation) -> int:
            raise RecursionError

        for waits in (False, True):
            self.functions["give"] = FunctionDefinition("give", lambda argument: too_deep, 1, 1, waits)
            failure = self.failure_of("give(1);")
            self.assertTrue(failure.check(ScriptLimitError), failure)
            self.assertIn("too deeply", str(failure.value))

    def test_a_bug_in_a_function(self) -> None:
        """It fails the event."""
        self.functions["give"] = FunctionDefinition("give", lambda argument: lambda evaluation: 1 // 0, 1, 1)
        self.assertTrue(self.failure_of("give(1);").check(ZeroDivisionError))
