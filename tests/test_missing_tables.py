"""natsroute.kamailio.script.missing_tables"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.script.compiler import compile_script
from natsroute.kamailio.script.functions.htable import FUNCTIONS

TABLES = 'modparam("htable", "htable", "calls=>size=4;")\n'


class MissingTableTests(SynchronousTestCase):
    """Warnings for tables that are not defined."""

    def warnings(self, body: str, more: str = "") -> list[tuple[int, int, str]]:
        """Line, column and text of each. The body of the event route begins in line 3."""
        path = Path(self.mktemp())
        path.write_text(f"{TABLES}event_route[nats:a] {{\n{body}\n}}\n{more}")
        warnings = compile_script(read_cfg(str(path), {})).warnings
        self.assertEqual({warning.position.file for warning in warnings} - {str(path)}, set())
        return [(warning.position.line, warning.position.column, warning.text) for warning in warnings]

    def test_defined(self) -> None:
        text = '$var(x) = $sht(calls=>a); sht_reset("calls"); xlog("$(sht(calls=>$natsData){s.len}) $sht( later =>b)");'
        more = 'modparam("htable", "htable", "later=>size=4;")'
        self.assertEqual(self.warnings(text, more), [])

    def test_text(self) -> None:
        self.assertEqual(
            self.warnings("$var(x) = $sht(cals=>a);\n$sht(other=>a) = 1;"),
            [
                (
                    *(3, 11),
                    "there is no htable cals: its entries are null, and assignments and functions fail. Did you mean "
                    "calls?",
                ),
                (
                    *(4, 1),
                    "there is no htable other: its entries are null, and assignments and functions fail. Add "
                    'modparam("htable", "htable", "other=>size=8;")',
                ),
            ],
        )

    def test_variables(self) -> None:
        """Wherever they stand."""
        for text, column in [
            ("$sht(u=>a) = 1;", 1),
            ("$sht(u=>a) = $null;", 1),
            ("if ($sht( u =>a) == 1) exit;", 5),
            ("if (defined $shtex(u=>a)) exit;", 13),
            ("while ($shtinc(u=>$var(x)) < 3) exit;", 8),
            ("return $shtdec(u=>a);", 8),
            ("switch ($shtcn(u=>a)) { case 1: exit; }", 9),
            ("$var(x) = 1 + $shtcv(u=>a);", 15),
            ("$var(x) = $(sht(u=>a){s.len});", 11),
            ("$var(x) = $sht(calls=>$sht(u=>a));", 23),
            ("$var(x) = $(natsData{s.substr,$sht(u=>a),2});", 31),
            ('xlog("$sht(u=>a)");', 7),
            ('xlog("\\tx $sht(u=>a)");', 6),
            ('nats_publish("a", "$natsData $(sht(u=>a))");', 30),
            ('pv_isset("$sht(u=>a)");', 11),
        ]:
            ((line, found, problem),) = self.warnings(text)
            self.assertEqual((line, found), (3, column), text)
            self.assertIn("there is no htable u:", problem)

    def test_functions(self) -> None:
        """All that take a table."""
        entries = ("sht_rm_name_re", "sht_rm_value_re", "sht_lock", "sht_unlock")
        calls = [f'{name}("u=>a")' for name in entries]
        calls += [f'{name}("u", "re", "a")' for name in ("sht_rm_name", "sht_rm_value", "sht_match_name")]
        calls += [f'{name}("u", "re", "a")' for name in ("sht_has_name", "sht_match_str_value", "sht_has_str_value")]
        calls += ['sht_rm("u", "a")', 'sht_is_null("u", "a")', 'sht_reset("u")', 'sht_iterator_start("u", "u")']
        calls += ['sht_setxs("u", "a", "b", 5)', 'sht_setxi("u", "a", 1, 5)']
        without = {"sht_print"} | {name for name in FUNCTIONS if name.startswith("sht_iterator_")} - {
            "sht_iterator_start"
        }
        self.assertEqual({call.partition("(")[0] for call in calls}, set(FUNCTIONS) - without)
        for call in calls:
            self.assertEqual(self.warnings(call.replace('"u', '"calls').replace("u=>", "calls=>") + ";"), [], call)
            ((line, column, _),) = self.warnings(f"if ({call}) exit;")
            self.assertEqual((line, column), (3, 5 + call.index('"u', 21 if "start" in call else 0)), call)

    def test_names_that_are_not_known(self) -> None:
        self.assertEqual(self.warnings('sht_reset("$var(x)"); sht_reset($var(x)); sht_iterator_next("u");'), [])

    def test_no_variable(self) -> None:
        self.assertEqual(self.warnings("$var(x) = '$sht(u=>a)'; xlog(\"$$sht(u=>a)\");"), [])

    def test_once(self) -> None:
        """Each table where it is used first, also in other blocks; not in those that do not run."""
        routes = 'route[A] { sht_reset("u");\nsht_reset("v"); }\nroute[B] { sht_reset("w"); }'
        found = self.warnings("$sht(u=>a) = 1;\n$sht(u=>b) = 2;\nroute(A);", routes)
        self.assertEqual([(line, column) for line, column, _ in found], [(3, 1), (8, 11)])
