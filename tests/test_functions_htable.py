"""natsroute.kamailio.script.functions.htable"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError, ScriptError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.tables import HashTable
from natsroute.kamailio.values import Value
from tests.support.expressions import make_event
from tests.support.functions import call, compile_call, start
from tests.support.log_recorder import LogRecorder


class Case(SynchronousTestCase):
    """Two tables with entries, one of which expires."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = HashTable()
        self.short = HashTable(expire=60, now=self.clock.seconds)
        self.service = ServiceVariables(tables={b"t": self.table, b"short": self.short})
        self.evaluation = self.new_event()
        for name, value in ((b"alice", b"ringing"), (b"bob", b"Busy"), (b"bill", 5), (b"", b"empty name")):
            self.table.set(name, value)

    def new_event(self) -> Evaluation:
        return Evaluation(make_event(), EventVariables(ConsumerVariables(self.service)))

    def call(self, name: str, *written: Any) -> int:
        return call(self.evaluation, name, *written)

    def names(self) -> list[bytes]:
        return [name for name, _ in self.table.entries()]

    def get(self, text: str) -> Value:
        return compile_expression(text).value(self.evaluation)


class EntryTests(Case):
    """Functions for single entries."""

    def test_rm(self) -> None:
        """Also if there is no such entry. Names are expanded."""
        self.evaluation.consumer.var[b"who"] = b"alice"
        self.assertEqual(self.call("sht_rm", "t", "$var(who)"), 1)
        self.assertEqual(self.call("sht_rm", "t", "nobody"), 1)
        self.assertEqual(self.names(), [b"bob", b"bill", b""])

    def test_setx(self) -> None:
        """A value with its own time."""
        self.assertEqual(self.call("sht_setxs", "short", "a", "text $rm", 5), 1)
        self.assertEqual(self.call("sht_setxi", "short", "b", "7", "10"), 1)
        self.assertEqual(self.call("sht_setxs", "short", "c", "", 0), 1)
        entries = [(name, value, self.short.expires_in(name)) for name, value in self.short.entries()]
        self.assertEqual(entries, [(b"a", b"text OPTIONS", 5), (b"b", 7, 10), (b"c", b"", 60)])

    def test_reset(self) -> None:
        """All entries go."""
        self.assertEqual(self.call("sht_reset", "t"), 1)
        self.assertEqual(self.names(), [])

    def test_print(self) -> None:
        """A line for each entry."""
        recorder = LogRecorder(self)
        self.short.set(b"x\n", b"\x1b")
        self.assertEqual(self.call("sht_print"), 1)
        self.assertEqual(
            recorder.lines("error"),
            [
                '$sht(t=>alice) = "ringing", expires in 0 s',
                '$sht(t=>bob) = "Busy", expires in 0 s',
                "$sht(t=>bill) = 5, expires in 0 s",
                '$sht(t=>) = "empty name", expires in 0 s',
                '$sht(short=>x\\n) = "\\x1b", expires in 60 s',
            ],
        )

    def test_no_table(self) -> None:
        """The result is -1, and 1 for the two that delete by a pattern, as in Kamailio."""
        for name, *written in (
            ("sht_rm", "no", "a"),
            ("sht_reset", "no"),
            ("sht_setxs", "no", "a", "b", 1),
            ("sht_setxi", "no", "a", 1, 1),
            ("sht_rm_name", "no", "re", "a"),
            ("sht_rm_value", "no", "re", "a"),
            ("sht_match_name", "no", "re", "a"),
            ("sht_has_str_value", "no", "re", "a"),
            ("sht_iterator_start", "i", "no"),
        ):
            with self.assertRaises(EvaluationError, msg=str(name)) as caught:
                compile_call(str(name), *written)(self.evaluation)  # type: ignore[arg-type]
            self.assertEqual(str(caught.exception), "there is no such hash table")
        self.assertEqual(self.call("sht_rm_name_re", "no=>a"), 1)
        self.assertEqual(self.call("sht_rm_value_re", "no=>a"), 1)

    def test_empty_arguments(self) -> None:
        """-1."""
        for name, *written in (
            ("sht_rm", "t", ""),
            ("sht_rm", "", "a"),
            ("sht_setxs", "t", "", "x", 1),
            ("sht_rm_name_re", "t=>$var(e)"),
            ("sht_match_name", "t", "eq", ""),
        ):
            self.evaluation.consumer.var[b"e"] = b""
            self.assertEqual(self.call(str(name), *written), -1, name)
        self.assertEqual(len(self.names()), 4)


class PatternTests(Case):
    """Functions for all entries that match."""

    def test_rm_re(self) -> None:
        """Extended regular expressions that ignore case; integers do not match."""
        self.assertEqual(self.call("sht_rm_name_re", "t=>^B"), 1)
        self.assertEqual(self.names(), [b"alice", b""])
        self.assertEqual(self.call("sht_rm_value_re", "t=>ring|5"), 1)
        self.assertEqual(self.names(), [b""])

    def test_rm(self) -> None:
        """``re`` and ``sw`` only."""
        self.assertEqual(self.call("sht_rm_name", "t", "sw", "bi"), 1)
        self.assertEqual(self.names(), [b"alice", b"bob", b""])
        self.assertEqual(self.call("sht_rm_value", "t", "sw", "busy"), 1)
        self.assertEqual(self.call("sht_rm_value", "t", "re", "^busy$$"), 1)
        self.assertEqual(self.names(), [b"alice", b""])
        self.assertEqual(self.call("sht_rm_name", "t", "eq", "alice"), -1)
        self.assertEqual(self.call("sht_rm_name", "t", "re", "("), -1)
        self.assertEqual(self.names(), [b"alice", b""])

    def test_match(self) -> None:
        """1 if any entry matches, else -1."""
        for name, *rest in (
            ("name", "eq", "bob", 1),
            ("name", "eq", "Bob", -1),
            ("name", "ne", "bob", 1),
            ("name", "re", "^BOB$$", 1),
            ("name", "re", "^x", -1),
            ("name", "sw", "al", 1),
            ("name", "sw", "l", -1),
            ("name", "xx", "l", -1),
            ("str_value", "eq", "Busy", 1),
            ("str_value", "eq", "5", -1),
            ("str_value", "sw", "B", 1),
            ("str_value", "re", "busy", 1),
            ("str_value", "re", "(", -1),
        ):
            *arguments, expected = rest
            for kind in ("match", "has"):
                self.assertEqual(self.call(f"sht_{kind}_{name}", "t", *arguments), expected, (name, rest))

    def test_ne(self) -> None:
        """Whether any entry differs."""
        self.service.tables[b"one"] = one = HashTable()  # type: ignore[index]
        one.set(b"a", b"x")
        self.assertEqual(self.call("sht_match_name", "one", "ne", "a"), -1)
        self.assertEqual(self.call("sht_match_str_value", "one", "ne", "y"), 1)


class LockTests(Case):
    """``sht_lock`` and ``sht_unlock``."""

    def test_free(self) -> None:
        """Does not wait; the same event may lock again."""
        self.assertEqual(self.call("sht_lock", "t=>a"), 1)
        self.assertEqual(self.call("sht_lock", "t=>a"), 1)
        self.assertEqual(self.call("sht_unlock", "t=>a"), 1)
        self.assertEqual(self.call("sht_unlock", "t=>a"), 1)
        self.assertEqual(len(self.service.locks), 0)

    def test_held(self) -> None:
        """Another event waits for it."""
        self.call("sht_lock", "t=>a")
        other = self.new_event()
        waiting = start(other, "sht_lock", "t=>a")
        self.assertEqual(call(other, "sht_lock", "t=>b"), 1)
        self.assertNoResult(waiting)
        self.call("sht_unlock", "t=>a")
        self.assertEqual(self.successResultOf(waiting), 1)

    def test_no_table(self) -> None:
        """-1."""
        self.assertEqual(self.call("sht_lock", "no=>a"), -1)
        self.assertEqual(self.call("sht_unlock", "no=>a"), -1)

    def test_form(self) -> None:
        """``table=>name``."""
        for written in ("t", "=>a", "t=>", "t=>$nothing(", 5):
            with self.assertRaises(ScriptError, msg=str(written)):
                compile_call("sht_lock", written)
        self.evaluation.consumer.var[b"x"] = b"bob"
        self.assertEqual(self.call("sht_rm_name_re", " t =>$var(x)"), 1)
        self.assertEqual(self.names(), [b"alice", b"bill", b""])


class IteratorTests(Case):
    """``sht_iterator_…``, ``$shtitkey`` and ``$shtitval``."""

    def test_walk(self) -> None:
        """Over all entries, and again from the first."""
        self.assertEqual((self.get("$shtitkey(i)"), self.get("$shtitval(i)")), (None, None))
        self.assertEqual(self.call("sht_iterator_start", "i", "t"), 1)
        self.assertEqual((self.get("$shtitkey(i)"), self.get("$shtitval(i)")), (None, None))
        for _ in range(2):
            found = []
            while self.call("sht_iterator_next", "i") == 1:
                found.append((self.get("$shtitkey(i)"), self.get("$shtitval(i)")))
            self.assertEqual(found, self.table.entries())
        self.assertEqual(self.call("sht_iterator_end", "i"), 1)
        self.assertEqual(self.call("sht_iterator_end", "i"), -1)

    def test_change(self) -> None:
        """The entry that it stands at."""
        self.call("sht_iterator_start", "i", "short")
        self.short.set(b"a", 1)
        for name, written in (("sht_iterator_sets", "x"), ("sht_iterator_seti", 2), ("sht_iterator_setex", 3)):
            self.assertEqual(self.call(name, "i", written), -1, name)
        self.assertEqual(self.call("sht_iterator_rm", "i"), -1)
        self.call("sht_iterator_next", "i")
        self.assertEqual(self.call("sht_iterator_sets", "i", "x$rm"), 1)
        self.assertEqual(self.short.get(b"a"), b"xOPTIONS")
        self.assertEqual(self.call("sht_iterator_seti", "i", 9), 1)
        self.assertEqual(self.call("sht_iterator_setex", "i", 3), 1)
        self.assertEqual((self.short.get(b"a"), self.short.expires_in(b"a")), (9, 3))
        self.assertEqual(self.call("sht_iterator_rm", "i"), -2)
        self.assertEqual(len(self.short), 0)

    def test_remove(self) -> None:
        """Goes to the next entry."""
        self.call("sht_iterator_start", "i", "t")
        self.call("sht_iterator_next", "i")
        self.assertEqual(self.call("sht_iterator_rm", "i"), 1)
        self.assertEqual((self.get("$shtitkey(i)"), self.names()), (b"bob", [b"bob", b"bill", b""]))

    def test_unknown(self) -> None:
        """-1."""
        self.assertEqual(self.call("sht_iterator_next", "i"), -1)
        self.assertEqual(self.call("sht_iterator_rm", "i"), -1)
