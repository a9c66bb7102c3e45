"""natsroute.daemon.processes.log_relay"""

from __future__ import annotations

import io
import json
import os
import threading
from typing import Any

from twisted.logger import (
    LogBeginner,
    LogLevel,
    LogPublisher,
    formatEvent,
    formatEventAsClassicLogText,
    globalLogPublisher,
    jsonFileLogObserver,
)
from twisted.logger import Logger as TwistedLogger
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.processes import log_relay
from natsroute.daemon.processes.log_relay import LogSender, emit_again, event_line, event_of_line
from natsroute.log import Logger
from natsroute.monitoring.log_levels import LogLevels
from natsroute.monitoring.log_lines import json_lines, text_lines
from tests.support.log_recorder import LogRecorder


class RelayTestCase(SynchronousTestCase):
    """A log, and what the parent makes of its events."""

    def setUp(self) -> None:
        self.recorder = LogRecorder(self)
        self.log = Logger(namespace="child")

    def relayed(self, number: int = 2) -> dict[str, Any]:
        """The newest event, as the parent emits it."""
        line = event_line(self.recorder.events[-1])
        self.assertEqual((line.count(b"\n"), line[-1:]), (1, b"\n"))
        return event_of_line(line[:-1], number)

    def classic(self, event: dict[str, Any]) -> str:
        """The line that twistd writes for an event."""
        file = io.StringIO()
        publisher = LogPublisher(old_log.LegacyLogObserverWrapper(old_log.FileLogObserver(file).emit))
        publisher(dict(event))
        return file.getvalue()


class EventTests(RelayTestCase):
    """Events on their way to the parent."""

    def test_fields(self) -> None:
        """The text has the number of the process; level, time, namespace and the fields are as they were."""
        self.log.warn("{count} of {what}", count=3, what="a{b}\x1b", subject="x.y")
        before, event = self.recorder.events[-1], self.relayed()
        self.assertEqual(formatEvent(event), "process 2: 3 of a{b}\\x1b")
        for name in ("log_level", "log_time", "log_namespace", "count", "subject"):
            self.assertEqual(event[name], before[name])
        self.assertEqual(event["process"], 2)
        self.assertIn("process 2: 3 of a{b}\\x1b\n", self.classic(event))
        self.assertIn("[child#warn] process 2: 3 of a{b}\\x1b\n", formatEventAsClassicLogText(event) or "")

    def test_json(self) -> None:
        """The parent may write it as JSON."""
        self.log.info("{one}", one=1)
        file = io.StringIO()
        jsonFileLogObserver(file, "")(self.relayed())
        fields = json.loads(file.getvalue())
        self.assertEqual((fields["one"], fields["process"], fields["log_namespace"]), (1, 2, "child"))

    def test_failure(self) -> None:
        """The error and its traceback arrive, without the objects."""
        secret = object()
        try:
            raise KeyError(f"no\nkey {secret is None}")
        except KeyError:
            failure = Failure()
        self.log.failure("It failed: {what}", failure, what="x")
        event = self.relayed(3)
        relayed = event["log_failure"]
        self.assertEqual((relayed.type.__name__, relayed.type.__module__), ("KeyError", "builtins"))
        self.assertEqual(relayed.getErrorMessage(), "'no\\nkey False'")
        self.assertEqual(relayed.getTraceback(), self.recorder.events[-1]["log_failure"].getTraceback())
        text = self.classic(event)
        self.assertIn("process 3: It failed: x", text)
        self.assertIn('in test_failure\n\t    raise KeyError(f"no', text)
        self.flushLoggedErrors()

    def test_traceback_in_the_log(self) -> None:
        """The parent's log shows the traceback that one process would show, as text and as JSON."""
        try:
            raise ValueError("no\x1b")
        except ValueError:
            self.log.failure("It failed", Failure())
        event, relayed = self.recorder.events[-1], self.relayed(3)
        alone, joined = (json.loads(json_lines(one)[0])["error"] for one in (event, relayed))
        self.assertIn('    raise ValueError("no\\x1b")', alone["traceback"])
        self.assertEqual((joined["traceback"], joined["text"]), (alone["traceback"], alone["text"]))
        self.assertEqual(text_lines(relayed, with_time=False)[1:], text_lines(event, with_time=False)[1:])
        self.flushLoggedErrors()

    def test_format_of_a_number(self) -> None:
        self.log.info("{count:,} in {seconds:.1f} s {{}} {what!r}", count=12345, seconds=3.14159, what="a{b}")
        self.assertEqual(formatEvent(self.relayed()), "process 2: 12,345 in 3.1 s {} 'a{b}'")

    def test_twisted_s_older_log(self) -> None:
        """``log.msg()`` and ``log.err()`` arrive once, with the number."""
        old_log.msg("some", "thing", system="old")
        event = self.relayed()
        self.assertEqual(formatEvent(event), "process 2: some thing")
        self.assertIn("process 2: some thing\n", self.classic(event))
        old_log.err(Failure(ValueError("x")), "why")
        self.assertIn("process 2: why", self.classic(self.relayed()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_any_field(self) -> None:
        """What is not JSON does no harm."""
        circle: list[object] = []
        circle.append(circle)
        for value in (object(), b"\xff", {1: 2}, {(1, 2): 3}, circle, "\udcff", float("nan"), SynchronousTestCase):
            line = event_line({"log_format": "a {value} b", "value": value, "log_level": LogLevel.info})
            text = formatEvent(event_of_line(line[:-1], 2))
            self.assertTrue(text.startswith("process 2: a "), text)
            self.assertTrue(text.endswith(" b"), text)

    def test_failure_in_the_text(self) -> None:
        """Twisted itself logs failures so."""
        failure = Failure(ValueError("no"))
        event = event_of_line(event_line({"log_format": "due to {log_failure}", "log_failure": failure}), 2)
        self.assertIn("process 2: due to [Failure instance: ", formatEvent(event))
        self.assertEqual(event["log_failure"].getErrorMessage(), "no")

    def test_no_event(self) -> None:
        for line in (b"", b"x", b"[]", b"1", b"\xff", b'"x"', b"{", b'{"failed": {"new": 1}}', b'{"failed": 1}'):
            self.assertRaises(ValueError, event_of_line, line, 1)

    def test_without_a_format(self) -> None:
        self.assertEqual(formatEvent(event_of_line(b"{}", 1)), "process 1: ")

    def test_emitted_again(self) -> None:
        """The parent's observers get it."""
        self.log.info("hello")
        line = event_line(self.recorder.events[-1])
        emit_again(line, 4)
        self.assertEqual(self.recorder.lines(), ["hello", "process 4: hello"])


class SenderTests(SynchronousTestCase):
    """The child's end of the pipe."""

    def test_in_parts(self) -> None:
        """A pipe may take a part only."""
        written: list[bytes] = []

        def write(descriptor: int, data: memoryview) -> int:
            self.assertEqual(descriptor, 3)
            written.append(bytes(data[:5]))
            return len(written[-1])

        LogSender(3, write).send(b"twelve bytes\n")
        self.assertEqual(written, [b"twelv", b"e byt", b"es\n"])

    def test_levels(self) -> None:
        """What the parent would not write is not sent."""
        sent: list[bytes] = []
        sender = LogSender(3, lambda descriptor, data: sent.append(bytes(data)) or len(data))  # type: ignore[func-returns-value]
        event = {"log_format": "x", "log_namespace": "a.b", "log_level": LogLevel.debug}
        sender(event)
        self.assertEqual(sent, [])
        sender.use(LogLevels(["a=debug"]))
        sender(event)
        sender({**event, "log_namespace": "c"})
        self.assertEqual(len(sent), 1)

    def test_parent_is_gone(self) -> None:
        """Nothing is raised, and the process can go on."""
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        LogSender(writer)({"log_format": "x"})

    def test_threads(self) -> None:
        """Lines of several threads are not mixed, also if the pipe is full at times."""
        reader, writer = os.pipe()
        sender = LogSender(writer)
        lines = [bytes([65 + number]) * 3000 + b"\n" for number in range(8)]
        threads = [threading.Thread(target=lambda line=line: [sender.send(line) for _ in range(50)]) for line in lines]
        for thread in threads:
            thread.start()
        with os.fdopen(reader, "rb") as file:
            received = [file.readline() for _ in range(400)]
        for thread in threads:
            thread.join()
        os.close(writer)
        self.assertEqual(sorted(received), sorted(lines * 50))

    def test_signal_handler(self) -> None:
        """A signal handler may log while its thread sends a line: that does not block, and the lines are not mixed."""
        written: list[bytes] = []

        def write(descriptor: int, data: memoryview) -> int:
            if len(written) in (1, 2):
                sender.send(b"signal\n")
            written.append(bytes(data[:5]))
            return len(written[-1])

        sender = LogSender(3, write)
        sending = threading.Thread(target=sender.send, args=(b"twelve bytes\n",), daemon=True)
        sending.start()
        sending.join(120)
        self.assertFalse(sending.is_alive(), "it waits for itself")
        self.assertEqual(b"".join(written), b"twelve bytes\nsignal\nsignal\n")

    def test_begin(self) -> None:
        """Everything that is logged or printed is sent."""
        publisher, sent = LogPublisher(), []
        streams = io.StringIO(), io.StringIO()

        class Sys:
            stdout, stderr = streams

        beginner = LogBeginner(publisher, io.StringIO(), Sys, __import__("warnings"))
        self.patch(log_relay, "globalLogBeginner", beginner)
        self.addCleanup(setattr, __import__("warnings"), "showwarning", __import__("warnings").showwarning)
        sender = LogSender(3, lambda descriptor, data: sent.append(bytes(data)) or len(data))
        sender.begin()
        print("printed", file=Sys.stdout)
        TwistedLogger(namespace="x", observer=publisher).info("logged")
        texts = [formatEvent(event_of_line(line, 1)) for line in sent]
        self.assertEqual(texts, ["process 1: printed", "process 1: logged"])
        self.assertIsNot(publisher, globalLogPublisher)
