"""natsroute.console.replay; tests.integration.test_recording runs it"""

from __future__ import annotations

import io
import json
import sys
from argparse import ArgumentError, ArgumentParser
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.console import replay
from natsroute.console.commands import ExitCode
from natsroute.console.session import ConsoleError
from natsroute.daemon.code.rehearsal import Outcome
from natsroute.daemon.memory.publisher import Published


class ArgumentTests(SynchronousTestCase):
    """What the command takes."""

    def parse(self, *words: str) -> Any:
        parser = ArgumentParser(exit_on_error=False)
        replay.add_arguments(parser)
        return parser.parse_args(["file", *words])

    def test_speed(self) -> None:
        """The default is another one for routes than for a server."""
        for words, for_routes, for_server in [
            ((), None, 1.0),
            (("--speed", "max"), None, None),
            (("--speed", "original"), 1.0, 1.0),
            (("--speed", "2.5"), 2.5, 2.5),
        ]:
            arguments = self.parse(*words)
            self.assertEqual(replay._speed_of(arguments, None), for_routes)
            self.assertEqual(replay._speed_of(arguments, 1.0), for_server)
        for speed in ("0", "-1", "inf", "nan", "fast"):
            self.assertRaises(ArgumentError, self.parse, "--speed", speed)

    def test_settings(self) -> None:
        """Those of what runs, and those of the connections."""
        arguments = self.parse("--event_routes", "a.py", "--event-routes", "b.py", "--drain_timeout", "1")
        self.assertEqual((arguments.event_routes, arguments.drain_timeout), (["a.py", "b.py"], "1"))

    def test_nothing_to_run(self) -> None:
        running = Deferred.fromCoroutine(replay.run(None, self.parse()))
        self.assertEqual(self.failureResultOf(running, ConsoleError).value.code, ExitCode.USAGE)

    def test_publish_and_routes(self) -> None:
        """What is published runs no routes, so nobody is left to wonder why they did not run."""
        arguments = self.parse("--publish", "--kamailio_cfg", "a.cfg", "--event_routes", "a.py")
        error = self.failureResultOf(Deferred.fromCoroutine(replay.run(None, arguments)), ConsoleError).value
        self.assertEqual(error.code, ExitCode.USAGE)
        self.assertIn("Leave out --event_routes, --kamailio_cfg", str(error))


class ReportTests(SynchronousTestCase):
    """The lines of outcomes."""

    def setUp(self) -> None:
        self.printed = io.StringIO()
        self.patch(sys, "stdout", self.printed)
        self.report = replay._Report(live=True)

    def test_lines(self) -> None:
        published = (Published("b", b"\xff", "r", {"A": ["b", "c"]}), Published("c", b""))
        self.report.add(Outcome(2, "a\x1b", "nats:*", 0.12345678, "", published))
        self.report.add(Outcome(3, "a", "nats:*", 0.0, "ValueError: x"))
        self.report.add(Outcome(4, "z"))
        self.assertEqual(
            [json.loads(line) for line in self.printed.getvalue().splitlines()],
            [
                {
                    "line": 2,
                    "subject": "a\x1b",
                    "outcome": "succeeded",
                    "route": "nats:*",
                    "seconds": 0.123457,
                    "published": [
                        {"subject": "b", "reply": "r", "headers": [["A", "b"], ["A", "c"]], "payload": "/w=="},
                        {"subject": "c", "payload": ""},
                    ],
                },
                {
                    "line": 3,
                    "subject": "a",
                    "outcome": "failed",
                    "route": "nats:*",
                    "seconds": 0.0,
                    "error": "ValueError: x",
                },
                {"line": 4, "subject": "z", "outcome": "unrouted"},
            ],
        )
        self.assertNotIn("\x1b", self.printed.getvalue())
        self.assertEqual(
            (dict(self.report.counts), self.report.published), ({"succeeded": 1, "failed": 1, "unrouted": 1}, 2)
        )

    def test_closed_pipe(self) -> None:
        """The error is kept for the player: it is not the route's."""

        def write(text: str) -> int:
            raise BrokenPipeError

        self.printed.write = write  # type: ignore[method-assign,assignment]
        self.report.add(Outcome(4, "z"))
        self.assertIsInstance(self.report.error, BrokenPipeError)
