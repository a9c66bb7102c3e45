"""natsroute.kamailio.kemi.ksr.htable"""

from __future__ import annotations

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
