"""natsroute.kamailio.kemi.ksr.native"""

from __future__ import annotations

from tests.support.kemi_scripts import ScriptCase, new_event
from tests.support.log_recorder import LogRecorder


class XlogTests(ScriptCase):
    """``KSR.xlog``, which expands variables."""

    def test_levels(self) -> None:
        log = LogRecorder(self)
        call = self.new_caller(new_event(b"data"))
        for level in ("dbg", "info", "notice", "warn", "err", "crit", "alert"):
            self.assertEqual(call(f"xlog.x{level}", b"<$natsData>\n"), 1)
            self.assertEqual(call("xlog.xlog", level.encode(), b"<$natsData>\n"), 1)
        self.assertEqual({event["text"] for event in log.events}, {"<data>"})
        self.assertEqual(log.events[0]["log_level"].name, "debug")
        for by_name, by_argument in zip(log.events[::2], log.events[1::2]):
            self.assertEqual(by_name["kamailio_level"], by_argument["kamailio_level"])

    def test_unknown_level(self) -> None:
        log = LogRecorder(self)
        self.new_caller(new_event())("xlog.xlog", b"L_INFO", b"x")
        self.assertEqual(log.events[0]["kamailio_level"], "L_ERR")


class NativeTests(ScriptCase):
    """Other functions of native scripts: their arguments are taken as they are."""

    def test_htable(self) -> None:
        self.check_calls(
            new_event(),
            [
                (1, "htable.sht_setxs", b"t", b"$a", b"$b", 10),
                (b"$b", "htable.sht_get", b"t", b"$a"),
                (0, "htable.sht_setxi", b"t", b"c", 5, 10),
                (1, "htable.sht_match_name", b"t", b"eq", b"c"),
                (-1, "htable.sht_match_name", b"t", b"eq", b"d"),
                (1, "htable.sht_iterator_start", b"i", b"t"),
                (1, "htable.sht_iterator_next", b"i"),
                (1, "htable.sht_iterator_sets", b"i", b"z"),
                (b"z", "pv.get", b"$shtitval(i)"),
                (1, "htable.sht_iterator_next", b"i"),
                (-1, "htable.sht_iterator_next", b"i"),
                (1, "htable.sht_iterator_end", b"i"),
                (1, "htable.sht_rm", b"t", b"c"),
                (None, "htable.sht_get", b"t", b"c"),
                (1, "htable.sht_rm_name", b"t", b"sw", b"$"),
                (None, "htable.sht_get", b"t", b"$a"),
                (0, "htable.sht_reset", b"t"),
                (-1, "htable.sht_reset", b"nosuch"),
            ],
        )

    def test_target(self) -> None:
        """A variable that a function assigns to is named in an argument."""
        self.check_calls(
            new_event(),
            [
                (1, "jansson.get", b"a.b", b'{"a":{"b":"x"}}', b"$var(x)"),
                (b"x", "pv.get", b"$var(x)"),
                (-1, "jansson.get", b"a", b'{"a":1}', b"$nosuch"),
                (-1, "jansson.get", b"a", b'{"a":1}', b"$natsData"),
            ],
        )
        self.assertEqual([text for text, _ in self.failures], ["KSR.jansson.get()"] * 2)

    def test_texts(self) -> None:
        self.check_calls(
            new_event(),
            [
                (1, "textops.cmp_str", b"a", b"a"),
                (-1, "textops.cmp_str", b"a", b"A"),
                (1, "textops.cmp_istr", b"a", b"A"),
                (1, "textops.starts_with", b"abc", b"ab"),
                (1, "textops.ends_with", b"abc", b"bc"),
                (2, "textops.str_find", b"abc", b"b"),
                (2, "textops.str_ifind", b"abc", b"B"),
                (1, "textops.search_str", b"abc", b"b."),
                (1, "textops.str_any_in", b"abc", b"xb"),
                (-1, "textops.str_all_in", b"abc", b"xb"),
                (1, "siputils.is_uri", b"sip:a@b"),
                (1, "siputils.is_tel_number", b"+49123"),
                (-2, "siputils.is_numeric", b"+49123"),
                (1, "siputils.is_alphanum", b"a1"),
                (1, "siputils.is_alphanumex", b"a-1", b"-"),
                (0, "textopsx.fnmatch", b"abc", b"a*"),
                (0, "textopsx.fnmatch_ex", b"ABC", b"a*", b"i"),
            ],
        )

    def test_xavps(self) -> None:
        """Lists of parameters, and copies."""
        self.check_calls(
            new_event(),
            [
                (1, "pvx.xavp_params_explode", b"a=1;b=$var(x)", b"p"),
                (b"$var(x)", "pvx.xavp_child_get", b"p", b"b"),
                (1, "pvx.xavp_params_implode", b"p", b"$var(out)"),
                (b"a=1;b=$var(x);", "pv.get", b"$var(out)"),
                (1, "pvx.xavp_slist_explode", b"a, b", b",", b"t", b"l"),
                (b"b", "pv.get", b"$xavp(l=>v[1])"),
                (1, "pvx.xavp_copy", b"p", 0, b"q"),
                (b"1", "pvx.xavp_child_get", b"q", b"a"),
                (1, "pvx.xavp_copy_dst", b"l", 0, b"q", 0),
                (b"1", "pvx.xavp_child_get", b"q", b"a"),
                (b"a", "pv.get", b"$xavp(q[1]=>v)"),
                (-1, "pvx.xavp_copy", b"nosuch", 0, b"q"),
                (1, "pvx.pv_xavp_to_var", b"p"),
                (b"1", "pvx.var_get", b"a"),
                (1, "pvx.pv_var_to_xavp", b"a", b"r"),
                (b"1", "pvx.xavp_child_get", b"r", b"a"),
                (1, "pvx.pv_xavp_print"),
            ],
        )

    def test_format_that_cannot_be_compiled(self) -> None:
        """It is logged as it is, and the reason is logged."""
        log = LogRecorder(self)
        self.new_caller(new_event())("xlog.xinfo", b"5$ a$nosuch")
        self.assertEqual(log.events[0]["text"], "5$ a$nosuch")
        self.assertEqual(len(self.failures), 1)

    def test_instances_do_not_mix(self) -> None:
        """Each has the arguments of its own calls."""
        first, second = self.new_caller(new_event()), self.new_caller(new_event())
        first("htable.sht_setxs", b"t", b"a", b"1", 0)
        second("htable.sht_setxs", b"t", b"b", b"2", 0)
        self.assertEqual((first("htable.sht_get", b"t", b"b"), second("htable.sht_get", b"t", b"a")), (b"2", b"1"))
