"""natsroute.kamailio.kemi.ksr.htable"""

from __future__ import annotations

from natsroute.kamailio.evaluation import ConsumerVariables, EventVariables
from natsroute.kamailio.kemi.ksr import FUNCTIONS
from tests.support.kemi_scripts import ScriptCase, new_event


class HtableTests(ScriptCase):
    """Single entries of hash tables."""

    def test_get_and_set(self) -> None:
        self.check_calls(
            new_event(),
            [
                (None, "htable.sht_get", b"t", b"a"),
                (b"", "htable.sht_gete", b"t", b"a"),
                (b"<null>", "htable.sht_getw", b"t", b"a"),
                (1, "htable.sht_is_null", b"t", b"a"),
                (1, "htable.sht_sets", b"t", b"a", b"$var(x)"),
                (b"$var(x)", "htable.sht_get", b"t", b"a"),
                (b"$var(x)", "pv.get", b"$sht(t=>a)"),
                (-1, "htable.sht_is_null", b"t", b"a"),
                (1, "htable.sht_seti", b"t", b"a", 5),
                (5, "htable.sht_gete", b"t", b"a"),
                (1, "htable.sht_setex", b"t", b"a", 10),
            ],
        )

    def test_count(self) -> None:
        self.check_calls(
            new_event(),
            [
                (1, "htable.sht_inc", b"n", b"a"),
                (2, "htable.sht_inc", b"n", b"a"),
                (1, "htable.sht_dec", b"n", b"a"),
                (-255, "htable.sht_inc", b"t", b"a"),
            ],
        )

    def test_no_table(self) -> None:
        self.check_calls(
            new_event(),
            [
                (None, "htable.sht_get", b"x", b"a"),
                (2, "htable.sht_is_null", b"x", b"a"),
                (-1, "htable.sht_seti", b"x", b"a", 1),
                (-1, "htable.sht_setex", b"x", b"a", 1),
                (-255, "htable.sht_dec", b"x", b"a"),
            ],
        )

    def test_locks(self) -> None:
        """Each entry has one, whether there is an entry or not. They are those of native scripts."""
        native = EventVariables(ConsumerVariables(self.service))
        self.check_calls(
            new_event(),
            [
                (1, "htable.sht_lock", b"t", b"a"),
                (1, "htable.sht_lock", b"t", b"a"),
                (1, "htable.sht_unlock", b"t", b"a"),
                (-1, "htable.sht_lock", b"x", b"a"),
                (-1, "htable.sht_unlock", b"x", b"a"),
            ],
        )
        self.assertEqual([text for text, _ in self.failures], ["KSR.htable.sht_lock()", "KSR.htable.sht_unlock()"])
        context = self.new_context()
        context.begin(new_event())
        FUNCTIONS["htable.sht_lock"].new(context)(b"t", b"b")
        self.assertFalse(self.service.locks.try_acquire((b"t", b"b"), native))
        FUNCTIONS["htable.sht_unlock"].new(context)(b"t", b"b")
        self.assertTrue(self.service.locks.try_acquire((b"t", b"b"), native))

    def test_number_of_entries(self) -> None:
        """By the operators of ``$shtcn``."""
        self.check_calls(
            new_event(),
            [
                (1, "htable.sht_seti", b"t", b"call-1", 5),
                (1, "htable.sht_seti", b"t", b"call-2", 5),
                (2, "htable.sht_cn", b"t", b"", b"^CALL"),
                (2, "htable.sht_cn", b"t", b"~~", b"l-"),
                (1, "htable.sht_cn", b"t", b"~%", b"1"),
                (2, "htable.sht_cn", b"t", b"**", b""),
                (0, "htable.sht_cn", b"t", b"==", b"call"),
                (-1, "htable.sht_cn", b"t", b"a", b"x"),
                (-1, "htable.sht_cn", b"x", b"", b"x"),
            ],
        )

    def test_delete_by_regular_expression(self) -> None:
        self.check_calls(
            new_event(),
            [
                (1, "htable.sht_sets", b"t", b"a1", b"x"),
                (1, "htable.sht_sets", b"t", b"a2", b"y"),
                (1, "htable.sht_sets", b"t", b"b", b"y$var(z)"),
                (1, "htable.sht_rm_name_re", b"t", b"^A[0-9]=>*1$|^A1$"),
                (None, "htable.sht_get", b"t", b"a1"),
                (b"y", "htable.sht_get", b"t", b"a2"),
                (1, "htable.sht_rm_value_re", b"t", b"^y"),
                (0, "htable.sht_cn", b"t", b"**", b""),
                (-1, "htable.sht_rm_name_re", b"t", b"("),
                (-1, "htable.sht_rm_value_re", b"t", b""),
                (1, "htable.sht_rm_name_re", b"x", b"a"),
            ],
        )
        names = ["KSR.htable.sht_rm_name_re()", "KSR.htable.sht_rm_value_re()"]
        self.assertEqual([text for text, _ in self.failures], names)
