"""natsroute.kamailio.kemi.ksr.pvx"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event


class PvxTests(ScriptCase):
    """``KSR.pvx``."""

    def test_var_and_shv(self) -> None:
        """What nobody set is 0, as in an expression."""
        self.check_calls(
            new_event(),
            [
                (0, "pvx.var_get", b"x"),
                (1, "pvx.var_sets", b"x", b"a"),
                (b"a", "pvx.var_get", b"x"),
                (b"a", "pv.get", b"$var(x)"),
                (0, "pvx.shv_get", b"x"),
                (1, "pvx.shv_seti", b"x", 3),
                (3, "pv.get", b"$shv(x)"),
            ],
        )
        self.assertEqual(self.service.shared, {b"x": 3})

    def test_avp(self) -> None:
        self.check_calls(
            new_event(),
            [
                (None, "pvx.avp_get", b"x"),
                (b"", "pvx.avp_gete", b"x"),
                (b"<null>", "pvx.avp_getw", b"x"),
                (1, "pvx.avp_is_null", b"x"),
                (1, "pvx.avp_seti", b"x", 1),
                (1, "pvx.avp_sets", b"x", b"two"),
                (b"two", "pvx.avp_get", b"x"),
                (b"two, 1", "pv.get", b"$(avp(x)[*])"),
                (-1, "pvx.avp_is_null", b"x"),
                (1, "pvx.avp_rm", b"x"),
                (1, "pvx.avp_get", b"x"),
                (None, "pvx.avp_get", b":"),
            ],
        )

    def test_xavp(self) -> None:
        self.check_calls(
            new_event(),
            [
                (1, "pvx.xavp_is_null", b"x"),
                (1, "pvx.xavp_sets", b"x", b"a"),
                (b"a", "pvx.xavp_get", b"x"),
                (1, "pvx.xavp_seti", b"x", 5),
                (5, "pvx.xavp_getw", b"x"),
                (1, "pvx.xavp_rm", b"x"),
                (1, "pvx.xavp_seti", b"all", 1),
                (1, "pvx.xavp_seti", b"all", 2),
                (1, "pvx.xavp_rm_all", b"all"),
                (1, "pvx.xavp_is_null", b"all"),
                (b"a", "pvx.xavp_gete", b"x"),
                (-1, "pvx.xavp_is_null", b"x"),
            ],
        )

    def test_children(self) -> None:
        self.check_calls(
            new_event(),
            [
                (None, "pvx.xavp_child_get", b"x", b"f"),
                (1, "pvx.xavp_child_is_null", b"x", b"f"),
                (1, "pvx.xavp_child_rm", b"x", b"f"),
                (1, "pvx.xavp_child_sets", b"x", b"f", b"a"),
                (1, "pvx.xavp_child_seti", b"x", b"g", 5),
                (1, "pvx.xavp_child_seti", b"x", b"f", 6),
                (6, "pvx.xavp_child_get", b"x", b"f"),
                (5, "pvx.xavp_child_gete", b"x", b"g"),
                (b"<null>", "pvx.xavp_child_getw", b"x", b"h"),
                (6, "pv.get", b"$xavp(x=>f)"),
                (b"<<xavp>>", "pvx.xavp_get", b"x"),
                (1, "pvx.xavp_child_rm", b"x", b"f"),
                (None, "pv.get", b"$xavp(x=>f)"),
            ],
        )

    def test_evalx(self) -> None:
        """Variables in the values of variables are expanded, once."""
        self.check_calls(
            new_event(b"$var(b)"),
            [
                (True, "pv.sets", b"$var(b)", b"deep"),
                (1, "pvx.evalx", b"$var(x)", b"<$natsData>"),
                (b"<deep>", "pv.get", b"$var(x)"),
                (-1, "pvx.evalx", b"$nosuch", b"x"),
            ],
        )
