"""natsroute.monitoring.log_observer"""

from __future__ import annotations

import io
import json
import os
import tempfile
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from natsroute.errors import SettingError
from natsroute.log import Logger
from natsroute.monitoring.log_levels import LogLevels
from natsroute.monitoring.log_observer import LogObserver, is_journal, log_observer, syslog_observer
from tests.support.log_recorder import LogRecorder


class ObserverCase(SynchronousTestCase):
    """A logger and what it is observed by."""

    def log_all(self, observer: ILogObserver) -> None:
        """An event of each level; the last has a failure."""
        log = Logger("natsroute.test", observer=observer)
        log.debug("debug")
        log.info("info")
        log.warn("warn {a}", a="\u00e4")
        log.error("error")
        try:
            raise ValueError("text")
        except ValueError:
            log.failure("critical")


class StreamTests(ObserverCase):
    """Text and JSON in a stream."""

    def setUp(self) -> None:
        self.stream = io.StringIO()

    def test_text(self) -> None:
        observer = log_observer(self.stream)
        verifyObject(ILogObserver, observer)
        self.log_all(observer)
        lines = self.stream.getvalue().splitlines()
        heads = [line for line in lines if not line.startswith("\t")]
        self.assertEqual(
            [line.split(" ", 1)[1][16:] for line in heads],
            ["info] info", "warn] warn \u00e4", "error] error", "critical] critical"],
        )
        for line in heads:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d{4} \[natsroute\.test#\w+\] ")

    def test_json(self) -> None:
        self.log_all(log_observer(self.stream, "json", ["debug"]))
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        self.assertEqual([line["level"] for line in lines], ["debug", "info", "warn", "error", "critical"])
        self.assertEqual([line["event"] for line in lines][2], "warn \u00e4")

    def test_levels(self) -> None:
        """They may change at any time, and a recorder of the tests sees all the same."""
        levels, recorder = LogLevels(["error"]), LogRecorder(self)
        observer = log_observer(self.stream, levels=levels)
        log = Logger(
            "natsroute.test", observer=lambda event: [observe(event) for observe in (observer, recorder.events.append)]
        )
        log.warn("one")
        levels.change(["natsroute.test=debug"])
        log.debug("two")
        levels.change(["natsroute.test=default"])
        log.warn("three")
        self.assertEqual(self.stream.getvalue().count("\n"), 1)
        self.assertIn("two", self.stream.getvalue())
        self.assertEqual(recorder.lines(), ["one", "two", "three"])
        self.assertRaises(SettingError, log_observer, self.stream, "text", ["loud"])

    def test_what_is_filtered_is_not_formatted(self) -> None:
        def lines(event: LogEvent) -> list[str]:
            raise AssertionError

        LogObserver(lines, lambda priority, lines: None, LogLevels(["warn"]))({"log_level": LogLevel.info})

    def test_encodings(self) -> None:
        """What the stream cannot write is escaped."""
        for encoding, expected in (("utf-8", "warn \u00e4"), ("ascii", "warn \\xe4"), ("latin-1", "warn \u00e4")):
            raw = io.BytesIO()
            stream = io.TextIOWrapper(raw, encoding)
            self.log_all(log_observer(stream))
            self.assertIn(expected, raw.getvalue().decode(encoding))


class JournalTests(ObserverCase):
    """systemd's journal."""

    def setUp(self) -> None:
        file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - the clean-up closes it
        self.addCleanup(file.close)
        self.file = file
        found = os.fstat(file.fileno())
        self.stream = f"{found.st_dev}:{found.st_ino}"

    def written(self, **options: Any) -> list[str]:
        self.patch(os, "environ", {"JOURNAL_STREAM": self.stream})
        self.log_all(log_observer(self.file, **options))
        self.file.seek(0)
        return self.file.read().splitlines()

    def test_is_journal(self) -> None:
        for named, expected in [(self.stream, True), (self.stream + "0", False), ("", False), ("x", False)]:
            self.assertEqual(is_journal(self.file, {"JOURNAL_STREAM": named}), expected, named)
        self.assertFalse(is_journal(self.file, {}))
        for no_file in (io.StringIO(), object()):
            self.assertFalse(is_journal(no_file, {"JOURNAL_STREAM": self.stream}))

    def test_text(self) -> None:
        """No time, and each line has its priority: a traceback, too."""
        lines = self.written(levels=["debug"])
        self.assertEqual(
            lines[:5],
            [
                "<7>[natsroute.test#debug] debug",
                "<6>[natsroute.test#info] info",
                "<4>[natsroute.test#warn] warn \u00e4",
                "<3>[natsroute.test#error] error",
                "<2>[natsroute.test#critical] critical",
            ],
        )
        self.assertEqual(lines[5], "<2>\tTraceback (most recent call last):")
        self.assertEqual(lines[-1], "<2>\tbuiltins.ValueError: text")

    def test_json(self) -> None:
        """The journal takes the priority off; the rest is the object."""
        lines = self.written(format="json")
        self.assertEqual([line[:3] for line in lines], ["<6>", "<4>", "<3>", "<2>"])
        self.assertEqual([json.loads(line[3:])["level"] for line in lines], ["info", "warn", "error", "critical"])


class SyslogTests(ObserverCase):
    """A line for each call."""

    def test_text(self) -> None:
        written: list[tuple[int, str]] = []
        self.log_all(syslog_observer(lambda priority, line: written.append((priority, line)), levels=["warn"]))
        self.assertEqual(written[:2], [(4, "[natsroute.test#warn] warn \u00e4"), (3, "[natsroute.test#error] error")])
        self.assertEqual(written[-1], (2, "\tbuiltins.ValueError: text"))

    def test_json(self) -> None:
        written: list[tuple[int, str]] = []
        self.log_all(syslog_observer(lambda priority, line: written.append((priority, line)), "json"))
        self.assertEqual([priority for priority, _ in written], [6, 4, 3, 2])
        self.assertEqual(json.loads(written[-1][1])["error"]["text"], "text")
