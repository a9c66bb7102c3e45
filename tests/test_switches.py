"""natsroute.kamailio.script.switches"""

from __future__ import annotations

from tests.support.scripts import ScriptTestCase


class SwitchTests(ScriptTestCase):
    """``switch``: the first label decides whether cases are integers or strings."""

    def shown_for(self, cases: str, *subjects: str, payload: bytes = b"") -> list[list[object]]:
        """What a switch shows for each subject."""
        return [list(self.run_script(f"$var(x) = 2; switch ({one}) {{ {cases} }}", payload)) for one in subjects]

    def test_integers(self) -> None:
        cases = "case 1: show(1); break; case 2: show(2); break; case -3: show(-3); break; default: show(0);"
        subjects = ("1", "$var(x)", "-3", '"2"', "$vn(none)", '"x"', "1 + 1")
        self.assertEqual(self.shown_for(cases, *subjects), [[1], [2], [-3], [2], [0], [0], [2]])

    def test_strings(self) -> None:
        """An integer is compared as its digits, null as an empty string."""
        cases = 'case "2": show(2); break; case "a": show(1); break; case "": show(3); break; default: show(0);'
        subjects = ("$var(x)", '"a"', "$vn(none)", '"A"', "$natsData")
        self.assertEqual(self.shown_for(cases, *subjects, payload=b"a"), [[2], [1], [3], [0], [1]])

    def test_regular_expressions(self) -> None:
        """The first that matches; unlike ``=~``, case matters."""
        cases = 'case "abc": show(1); break; case /"^a.c": show(2); break; case /"b": show(3); break; default: show(0);'
        subjects = ('"abc"', '"axcb"', '"xb"', '"B"', "$var(x)")
        self.assertEqual(self.shown_for(cases, *subjects), [[1], [2], [3], [0], [0]])

    def test_order(self) -> None:
        """With regular expressions, the order of the cases decides."""
        cases = 'case /"^a": show(1); break; case "abc": show(2); break;'
        self.assertEqual(self.shown_for(cases, '"abc"'), [[1]])

    def test_falls_through(self) -> None:
        """A case without ``break`` goes on with the next one, also with ``default``, which may stand anywhere."""
        cases = "case 1: case 2: show(2); default: show(0); case 3: show(3); break; case 4: show(4);"
        self.assertEqual(self.shown_for(cases, "1", "2", "3", "4", "5"), [[2, 0, 3], [2, 0, 3], [3], [4], [0, 3]])

    def test_break_inside(self) -> None:
        cases = "case 2: if ($var(x) == 2) { break; } show(2); case 3: show(3);"
        self.assertEqual(self.shown_for(cases, "$var(x)"), [[]])

    def test_return_inside(self) -> None:
        text = "switch (1) { case 1: return(7); } show(1);"
        self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": text}), [7])

    def test_nothing_to_run(self) -> None:
        for cases in ("", "case 1:", "case 1: show(1);", "default:"):
            self.assertEqual(self.run_script(f"switch (5) {{ {cases} }} show(2);"), [2])

    def test_results(self) -> None:
        """A constant subject and nothing to run give -5, as in Kamailio."""
        for text, result in [
            ("switch (1) { case 1: give(-3); }", -3), ("switch (1) { case 1: break; }", 0),
            ("switch ($var(o)) { case 2: give(-3); }", 1), ("switch (1) { case 2: give(-3); }", -5),
            ("switch (1) { case 1: }", -5), ("switch ($var(o)) { case 0: }", 1),
            ("switch (1 / $var(z)) { case 2: give(3); }", -1),
            ("switch (1 / $var(z)) { case 2: give(3); default: give(4); }", 4),
        ]:  # fmt: skip
            self.assertEqual(self.run_script("route(A); show($rc);", routes={"A": text}), [result], text)

    def test_labels(self) -> None:
        """They are constant expressions."""
        self.assertEqual(
            self.shown_for('case "a" + 1: show(1); case 2: show(2);'.replace(" case 2: show(2);", ""), '"a1"'), [[1]]
        )
        self.assertEqual(self.shown_for("case 1 + 1: show(1);", "2"), [[1]])

    def test_errors(self) -> None:
        for cases, column, problem in [
            ("case $var(x): show(1);", 6, "not constant"),
            ('case 1: case "a": show(1);', 14, "integers and strings"),
            ('case "a": case 1: show(1);', 16, "integers and strings"),
            ("case 1: case 1: show(1);", 14, "a second case for '1'"),
            ('case "a": case "a": show(1);', 16, "a second case"),
            ("default: default: show(1);", 10, "a second 'default'"),
            ('case /"(": show(1);', 7, "bad regular expression"),
        ]:
            start = "switch ($var(x)) {"
            self.assert_error(f"{start}{cases}}}", 1, len(start) + column, problem)

    def test_many_cases_without_break(self) -> None:
        """Compiled in no time, each statement once."""
        cases = "".join(f"case {number}: $var(n) = $var(n) + 1; " for number in range(2000))
        self.assertEqual(self.run_script(f"switch (1500) {{ {cases} }} show($var(n));"), [500])
        inner = "case 1: case 2: case 3: case 4: show(1); "
        for _ in range(20):
            inner = f"case 1: switch (1) {{ {inner} }} case 2: case 3: case 4: show(2);"
        self.assertEqual(len(self.run_script(f"switch (1) {{ {inner} }}")), 21)
