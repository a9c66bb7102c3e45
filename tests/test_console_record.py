"""natsroute.console.record; tests.integration.test_recording runs it"""

from __future__ import annotations

from argparse import ArgumentError, ArgumentParser
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.console import record
from natsroute.console.commands import ExitCode
from natsroute.console.session import ConsoleError


class ArgumentTests(SynchronousTestCase):
    """What the command takes."""

    def parse(self, *words: str) -> Any:
        parser = ArgumentParser(exit_on_error=False)
        record.add_arguments(parser)
        return parser.parse_args(words)

    def test_arguments(self) -> None:
        """Its own, and the settings that say how to reach a server, in both spellings."""
        taken = self.parse(
            *("a.>", "b", "--count", "5", "--seconds", "0.5", "-o", "file", "--queue-group", "q"),
            *("--nats_url", "nats://a", "--nats-url", "nats://b", "--keep_url_order"),
        )
        self.assertEqual((taken.subjects, taken.count, taken.seconds, taken.output), (["a.>", "b"], 5, 0.5, "file"))
        self.assertEqual((taken.queue_group, taken.nats_url), ("q", ["nats://a", "nats://b"]))
        self.assertIs(taken.keep_url_order, True)
        self.assertNotIn("embedded_server", vars(self.parse("a")))

    def test_usage(self) -> None:
        """It is short: below all settings, nobody would see the error that follows it."""
        parser = ArgumentParser(prog="natsroute record")
        record.add_arguments(parser)
        self.assertEqual(parser.format_usage(), "usage: natsroute record [OPTIONS] SUBJECT [SUBJECT ...]\n")

    def test_positive(self) -> None:
        for words in (["--count", "0"], ["--count", "1.5"], ["--seconds", "-1"], ["--seconds", "inf"]):
            self.assertRaises(ArgumentError, self.parse, "a", *words)

    def test_subjects(self) -> None:
        """Each message is recorded once: patterns that overlap are refused."""
        for subjects, group in [(["a.>", "a.b"], None), (["a", "a"], None), (["a..b"], None), (["a"], "g g")]:
            error = self.assertRaises(ConsoleError, record._check, subjects, group)
            self.assertEqual(error.code, ExitCode.USAGE)
        record._check(["a.*", "b", "a.b.c"], "g")
