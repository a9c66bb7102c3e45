"""natsroute.monitoring.log_lines"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.logger import Logger as TwistedLogger
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.log import Logger
from natsroute.monitoring.log_lines import MAX_JSON, MAX_LINE, MAX_LINES, STABLE_KEYS, json_lines, text_lines
from tests.support.documents import documents, snippet
from tests.test_hostile_text import HOSTILE, LONG

#: 2026-11-26T18:00:36.250Z
TIME = 1795716036.25


class Broken:
    """An object without a text."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


class LinesCase(SynchronousTestCase):
    """Events of natsroute's logger, of Twisted's, and of its older one."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.log = Logger("natsroute.test", observer=self.events.append)
        self.others = TwistedLogger("others", observer=self.events.append)

    def raised(self, error: BaseException) -> Failure:
        try:
            raise error
        except type(error):
            return Failure()

    def legacy(self, function: Any, *arguments: Any, **fields: Any) -> LogEvent:
        """The event of Twisted's older logger."""
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        function(*arguments, **fields)
        self.flushLoggedErrors()
        return self.events[-1]


class TextTests(LinesCase):
    """Text as twistd writes it."""

    def test_as_twistd(self) -> None:
        self.log.warn("{a} of {b}", a=1, b="x")
        event = {**self.events[-1], "log_time": TIME}
        self.assertEqual(text_lines(event), [eventAsText(event)])
        self.assertEqual(text_lines(event, with_time=False), ["[natsroute.test#warn] 1 of x"])

    def test_traceback(self) -> None:
        """It follows after a tab, and ends without an empty line."""
        for log in (self.log, self.others):
            log.failure("Failed", self.raised(ValueError("a\n\x1b")))
            first, *lines = text_lines(self.events[-1], with_time=False)
            self.assertTrue(first.endswith("#critical] Failed"), first)
            self.assertEqual(
                (lines[0], lines[-1]), ("\tTraceback (most recent call last):", "\tbuiltins.ValueError: a\\n\\x1b")
            )

    def test_several_lines(self) -> None:
        """Those of others may have several; each is escaped, and tabs stay."""
        self.others.info("{text}", text="one\ttwo\n2026-01-01 forged\n\x1b[2Jthree\u2028\udcff\n\n")
        self.assertEqual(
            text_lines(self.events[-1], with_time=False),
            ["[others#info] one\ttwo", "\t2026-01-01 forged", "\t\\x1b[2Jthree\\u2028\\xff"],
        )

    def test_bounds(self) -> None:
        self.others.info("{text}", text="x" * 10_000_000)
        (line,) = text_lines(self.events[-1])
        self.assertLess(len(line), MAX_LINE + 100)
        self.assertRegex(line, r"x\.\.\. \(100000\d\d characters\)$")
        self.others.info("{text}", text="x\n" * 100_000)
        lines = text_lines(self.events[-1])
        self.assertEqual(len(lines), MAX_LINES + 2)
        self.assertIn("more lines", lines[MAX_LINES // 2 + 1])

    def test_nothing(self) -> None:
        self.assertEqual((text_lines({}), json_lines({})), ([], []))

    def test_older_logger(self) -> None:
        event = self.legacy(legacy_log.msg, "a", "\x1b", system="S\n[forged]")
        self.assertEqual(text_lines(event, with_time=False), ["[S", "\t[forged]] a \\x1b"])
        event = self.legacy(legacy_log.err, self.raised(ValueError("\x1b")), "why\x1b")
        lines = text_lines(event)
        self.assertTrue(all(line.removeprefix("\t").isprintable() for line in lines))
        self.assertIn("\tbuiltins.ValueError: \\x1b", lines)

    def test_hostile(self) -> None:
        for text in (HOSTILE, LONG):
            self.others.failure("{text} {text!r}", self.raised(ValueError(text)), text=text)
            for line in text_lines(self.events[-1]):
                self.assertTrue(line.replace("\t", "").isprintable(), ascii(line)[:300])


class DocumentTests(LinesCase):
    """docs/logging.md shows what is written."""

    def test_json(self) -> None:
        shown = json.loads(snippet("docs/logging.md", "JSON", "json").text)
        self.log.namespace = shown["namespace"]
        self.log.error(
            "Event route {route} failed on a message to {subject!r}: {reason}",
            route=shown["route"],
            subject=shown["subject"],
            reason=shown["reason"],
        )
        (line,) = json_lines({**self.events[-1], "log_time": TIME})
        self.assertEqual(list(json.loads(line).items()), list(shown.items()))

    def test_text(self) -> None:
        shown = snippet("docs/logging.md", "Text", "text").text.rstrip("\n")
        self.log.namespace = "natsroute.daemon.startup.Startup"
        self.log.info("Consumer {consumer} -> nats:Kamailio-World", consumer="Kamailio-World:2021")
        (line,) = text_lines(self.events[-1], with_time=False)
        self.assertEqual(shown.partition(" ")[2], line)

    def test_bounds(self) -> None:
        (page,) = [document for document in documents() if document.name == "docs/logging.md"]
        for number in (f"{MAX_LINE:,} characters", f"{MAX_LINES} lines", f"{MAX_JSON >> 10} KiB"):
            self.assertIn(number, page.text)
        keys = re.findall(r"^\| `(\w+)` \|", page.text, re.MULTILINE)
        self.assertEqual(keys, list(STABLE_KEYS))


class JsonTests(LinesCase):
    """One object a line."""

    def json(self, event: LogEvent | None = None) -> dict[str, Any]:
        (line,) = json_lines({"log_time": TIME} if event is None and not self.events else event or self.events[-1])
        self.assertTrue(line.isprintable(), ascii(line)[:300])
        self.assertLessEqual(len(line.encode()), MAX_JSON)
        read: dict[str, Any] = json.loads(line, parse_constant=self.fail)
        return read

    def test_keys(self) -> None:
        """The stable ones first, in their order, then the further fields in theirs."""
        self.log.info(
            "{prefix}{b} {connection} {route} {consumer} {subject!r}",
            b=2,
            connection="consumer in:q",
            consumer="in:q",
            subject="a.b",
            route="nats:a",
            prefix="name: ",
            a=[1, "x"],
        )
        found = self.json({**self.events[-1], "log_time": TIME})
        self.assertEqual(
            list(found.items()),
            [
                ("time", "2026-11-26T18:00:36.250Z"),
                ("level", "info"),
                ("namespace", "natsroute.test"),
                ("event", "name: 2 consumer in:q nats:a in:q 'a.b'"),
                ("route", "nats:a"),
                ("subject", "a.b"),
                ("consumer", "in:q"),
                ("connection", "consumer in:q"),
                ("b", 2),
                ("a", "[1, 'x']"),
            ],
        )
        self.assertEqual([key for key in found if key in STABLE_KEYS], list(STABLE_KEYS[:-1]))

    def test_absent_keys(self) -> None:
        self.log.info("{route}{subject}", route="", subject=None)
        self.assertEqual(list(self.json()), ["time", "level", "namespace", "event"])

    def test_error(self) -> None:
        """Type, text and traceback, after the fields that say what failed."""
        for log in (self.log, self.others):
            log.failure("Failed", self.raised(KeyError("a\n\x1b")), subject="a.b")
            found = self.json()
            self.assertEqual(list(found), ["time", "level", "namespace", "event", "subject", "error"])
            self.assertEqual((found["level"], found["error"]["type"]), ("critical", "builtins.KeyError"))
            self.assertEqual(found["error"]["text"], "'a\\n\\x1b'")
            self.assertEqual(found["error"]["traceback"][0], "Traceback (most recent call last):")
            self.assertEqual(found["error"]["traceback"][-1], "builtins.KeyError: 'a\\n\\x1b'")

    def test_values(self) -> None:
        """What JSON does not have becomes text: infinite numbers, large integers, objects, and those without a text."""
        values = {"a": float("inf"), "b": float("nan"), "c": 10**5000, "d": True, "e": None, "f": 1.5, "g": 2**63}
        self.others.info("x", **values, h=Broken(), i=b"\xff", j={"k": Broken()}, l=object, m="\udcff")
        found = self.json()
        self.assertEqual((found["a"], found["b"], found["d"], found["e"], found["f"]), ("inf", "nan", True, None, 1.5))
        self.assertEqual((found["g"], found["i"], found["m"]), (str(2**63), "b'\\xff'", "\\xff"))
        self.assertIn("Broken, whose text raised ZeroDivisionError", found["h"])
        self.assertIn("raised ZeroDivisionError", found["j"])
        self.assertIsInstance(found["c"], str)

    def test_fields_of_others(self) -> None:
        """They cannot take the place of a stable key, and their names are escaped and bounded."""
        self.others.info("x", time="t", event="e", error="r", namespace="n", **{"\x1b" * 1000: 1})
        found = self.json()
        self.assertEqual((found["level"], found["namespace"], found["event"]), ("info", "others", "x"))
        self.assertNotIn("error", found)
        self.assertLess(max(map(len, found)), 150)

    def test_older_logger(self) -> None:
        found = self.json(self.legacy(legacy_log.msg, "a\n\x1b", system="S", more_of_it=5))
        self.assertEqual(found["event"], "a\\n\\x1b")
        self.assertEqual(list(found), ["time", "level", "namespace", "event", "more_of_it"])
        found = self.json(self.legacy(legacy_log.err, self.raised(ValueError("x")), "why"))
        self.assertEqual((found["level"], found["error"]["type"]), ("critical", "builtins.ValueError"))

    def test_strange_events(self) -> None:
        """Times that are none, failures without a type, formats that cannot be formatted."""
        for changes in (
            {"log_time": None},
            {"log_time": "x"},
            {"log_time": 1e300},
            {"log_time": float("nan")},
            {"log_namespace": Broken()},
            {"log_level": 7},
            {"log_failure": "no failure"},
            {"log_format": "{nothing} {x.y}"},
            {"log_format": 5},
            {5: "x"},
            {"route": Broken(), "subject": 5},
        ):
            self.json({"log_format": "x", "log_time": TIME, **changes})  # type: ignore[dict-item]

    def test_bounds(self) -> None:
        """However large the parts are, and also if all of them are."""
        self.others.failure(
            "{a}", self.raised(ValueError(LONG)), a=LONG, **{f"\U0001f600{number}" * 50: LONG for number in range(100)}
        )
        self.assertIn("event", self.json())

    def test_too_long(self) -> None:
        """What is too long all together becomes short, and says so."""
        wide = "\U0001f600" * 1_000_000
        self.others.failure("{a}", self.raised(ValueError(wide)), a=wide, subject=wide)
        found = self.json()
        self.assertEqual(list(found), ["time", "level", "namespace", "shortened", "event"])
        self.assertRegex(found["shortened"], r"^\d+ characters$")
        self.assertTrue(found["event"].startswith("\U0001f600"))

    @given(st.dictionaries(st.text(max_size=20), st.text() | st.integers() | st.floats() | st.none(), max_size=20))
    @settings(deadline=None, max_examples=200)
    def test_any_fields(self, fields: dict[str, Any]) -> None:
        event = {"log_format": "x", "log_time": TIME, **{name: fields[name] for name in fields if name[:4] != "log_"}}
        found = self.json(event)
        self.assertEqual(list(found)[:4], list(STABLE_KEYS[:4]))
