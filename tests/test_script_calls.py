"""natsroute.kamailio.script.calls"""

from __future__ import annotations

from tests.support.scripts import ScriptTestCase


class FunctionTests(ScriptTestCase):
    """Calls of functions."""

    def test_publishes(self) -> None:
        self.run_script('nats_publish("out", "got $natsData"); nats_publish("out", $natsData);', b"a")
        self.assertEqual(self.published, [("out", b"got a"), ("out", b"a")])

    def test_unknown(self) -> None:
        self.assert_error(
            ' nats_publsh("a", "b");', 1, 2, "unknown function nats_publsh()", "Did you mean nats_publish?"
        )
        self.assert_error("unheard_of();", 1, 1, "unknown function unheard_of()", "@script_function")

    def test_unknown_anywhere(self) -> None:
        """Also where it never runs."""
        for before, after in [
            ("if (0) ", ";"),
            ("if (", ") exit;"),
            ("$var(x) = 1 + ", ";"),
            ("exit; ", ";"),
            ("return ", ";"),
        ]:
            self.assert_error(f"{before}nosuch(){after}", 1, len(before) + 1, "unknown function nosuch()")

    def test_number_of_arguments(self) -> None:
        self.assert_error("show();", 1, 1, "show() has 0 arguments", "It takes 1")
        self.assert_error('nats_publish("a");', 1, 1, "nats_publish() has 1 argument", "It takes 2 to 3")
        self.assert_error('nats_publish("a", "b", "c", "d");', 1, 1, "has 4 arguments")

    def test_calls_in_arguments(self) -> None:
        for text in ("show(give(1));", "show(1 + give(1));", "show(route(A));", "show(($var(x) = 1));"):
            self.assertIn("inside of the arguments", self.error_of(text, {"A": ""}).problem)

    def test_failure(self) -> None:
        """The result is -1, and the script goes on."""
        self.assertEqual(self.run_script("fail(); show($rc); if (!fail()) show(2);"), [-1, 2])


class OptionalRouteTests(ScriptTestCase):
    """``route_if_exists`` and ``check_route_exists``."""

    def test_is_there(self) -> None:
        for text in (
            'route_if_exists("A");',
            '$var(r) = "A"; route_if_exists("$var(r)"); ',
            "route_if_exists($var(r));",
        ):
            text = '$var(r) = "A"; ' + text + " show($rc);"
            self.assertEqual(self.run_script(text, routes={"A": "show(1); return 5;"}), [1, 5], text)

    def test_is_not_there(self) -> None:
        text = 'give(3); route_if_exists("B"); show($rc); route_if_exists("B$var(x)"); if ($rc == -1) show(2);'
        self.assertEqual(self.run_script(text, routes={"A": "show(1);"}), [-1, 2])

    def test_a_part_of_the_name(self) -> None:
        routes = {"A1": "show(1);", "A2": "show(2);"}
        self.assertEqual(self.run_script('$var(x) = 2; route_if_exists("A$var(x)");', routes=routes), [2])

    def test_ends(self) -> None:
        for end in ("exit;", "return 0;", "drop;"):
            self.assertEqual(self.run_script('route_if_exists("A"); show(1);', routes={"A": end}), [], end)

    def test_check(self) -> None:
        routes = {"A": "show(1);", "BAD": "nosuch();"}
        text = 'check_route_exists("A"); show($rc); $var(x) = check_route_exists("N"); show($rc); show($var(x));'
        self.assertEqual(self.run_script(text, routes=routes), [1, -1, -1])
        text = '$var(x) = "A"; if (check_route_exists("$var(x)")) show(2); if (check_route_exists("x$var(x)")) show(3);'
        self.assertEqual(self.run_script(text, routes=routes), [2])

    def test_errors(self) -> None:
        self.assert_error("route_if_exists();", 1, 1, "route_if_exists() has 0 arguments", "It takes 1")
        self.assert_error('route_if_exists("A", "B");', 1, 1, "has 2 arguments")
        self.assert_error("check_route_exists();", 1, 1, "has 0 arguments")
        self.assert_error('route_if_exists("A");', 101, 1, "unknown function nosuch()", routes={"A": "nosuch();"})
        self.assert_error('route_if_exists("$nosuch");', 1, 17, "unknown variable $nosuch")

    def test_waits(self) -> None:
        """A route that waits, and one that is not there."""
        for text in ('route_if_exists("A");', '$var(x) = "A"; route_if_exists("$var(x)");'):
            (call,) = self.start(text + ' route_if_exists("N$var(x)"); show($rc);', routes={"A": "wait(5); show($rc);"})
            self.assertEqual(self.shown, [])
            self.go_on()
            self.successResultOf(call)
            self.assertEqual(self.shown, [5, -1])
            self.shown.clear()

    def test_calls_itself(self) -> None:
        routes = {"A": '$var(n) = $var(n) + 1; route_if_exists("A");'}
        self.assertEqual(self.run_script('route_if_exists("A"); show($var(n));', routes=routes), [255])


class RouteTests(ScriptTestCase):
    """Calls of routes."""

    def test_by_name(self) -> None:
        for text in ("route(A);", 'route("A");', "route('A');", 'route("" + "A");', '$var(r) = "A"; route($var(r));'):
            self.assertEqual(self.run_script(text, routes={"A": "show(1);"}), [1], text)

    def test_by_number(self) -> None:
        self.assertEqual(self.run_script("route(1); $var(r) = 1; route($var(r));", routes={"1": "show(1);"}), [1, 1])

    def test_unknown(self) -> None:
        self.assert_error(" route(CHEK);", 1, 8, "there is no route[CHEK]", "Did you mean CHECK?", {"CHECK": ""})
        self.assert_error('route("A B");', 1, 7, "there is no route[A B]", "Add route[A B]")

    def test_variable_in_a_string(self) -> None:
        """As in Kamailio, the name in quotes is not expanded."""
        self.assert_error('route("$var(x)");', 1, 7, "there is no route[$var(x)]", "without quotes")

    def test_unknown_when_it_runs(self) -> None:
        """The script goes on."""
        self.assertEqual(self.run_script('$var(r) = "B"; route($var(r)); show(2);', routes={"A": "show(1);"}), [2])

    def test_each_other(self) -> None:
        """Routes can call each other, and themselves."""
        routes = {"A": "$var(n) = $var(n) + 1; if ($var(n) < 5) route(B);", "B": "show($var(n)); route(A);"}
        self.assertEqual(self.run_script("route(A);", routes=routes), [1, 2, 3, 4])

    def test_errors_in_routes(self) -> None:
        """They have the line of the route."""
        self.assert_error("route(A);", 102, 2, "unknown function nosuch()", routes={"A": "\n nosuch();"})
