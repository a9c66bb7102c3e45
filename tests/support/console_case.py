"""Runs commands of the console without a service: a client answers from the memory."""

from __future__ import annotations

import io
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.console import session
from natsroute.monitoring.overview import (
    CallRow,
    ConnectionRow,
    ConsumerRow,
    ErrorRow,
    Overview,
    PublisherRow,
    Reason,
    RouteRow,
    WorkerRow,
)

HOSTILE = "a\x1b[2J\u202eb\nc"


def sample_overview(received: int = 1234, time: float = 100.0, **fields: Any) -> Overview:
    """An overview in which each table has a row, and which has hostile text."""
    parts: dict[str, Any] = {
        "reasons": (Reason("not_connected", "consumer a:q", f"the connection of {HOSTILE} is connecting"),),
        "connections": (
            ConnectionRow("consumer a:q", "connecting", None, None, 2, 5, 0, 50, 6, 60, HOSTILE),
            ConnectionRow("publish worker 1", "connected", "nats://127.0.0.1:1", 0.0035, 0, 0, 0, 1, 7, 70, None),
        ),
        "consumers": (ConsumerRow("a:q", received, 1000, 7, 0, 0, 0, 1, 2, 3, 20, 201, 2.5),),
        "routes": (RouteRow("nats:a", received, 0, 20, 1000, 7, 0, 0, 0),),
        "publisher": PublisherRow(published=9, confirmed=9),
        "workers": (WorkerRow("publish worker 1", 9, 9, 0, 0, 0, 0, 0),),
        "calls": (CallRow("nats:a", HOSTILE, 75.0),),
        "calls_in_flight": 20,
        "errors": (ErrorRow(0.0, "error", "natsroute", HOSTILE),),
    }
    return Overview("me", "26.11.0", (7,), time - 3700, time, **{**parts, **fields})


class FakeClient:
    """
    A client whose methods return values, or raise exceptions.

    :ivar calls: the methods that were called, with their parameters and timeouts.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.calls: list[tuple[str, Any, float]] = []

    def call(self, method: str, params: Any = None, *, timeout: float) -> Deferred[Any]:
        """Answer."""
        self.calls.append((method, params, timeout))
        answer = self.answers[method]
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class ConsoleTestCase(SynchronousTestCase):
    """
    A test that runs a command.

    :ivar clock: the reactor of the command.
    :ivar client: the client that it uses.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.output = io.StringIO()
        self.patch(sys, "stdout", self.output)

    def start(self, module: ModuleType, *words: str, **answers: Any) -> Deferred[int]:
        """
        Start a command.

        :param answers: what the methods of the client return.
        """
        parser = ArgumentParser()
        module.add_arguments(parser)
        self.client = FakeClient(answers)
        asking = module if hasattr(module, "client_of") else session  # which shows pages for commands
        self.patch(asking, "client_of", lambda reactor, arguments: self.client)
        return Deferred.fromCoroutine(module.run(self.clock, parser.parse_args(words)))

    def run_command(self, module: ModuleType, *words: str, **answers: Any) -> tuple[int, str]:
        """Run a command; returns its exit code and what it has printed."""
        code = self.successResultOf(self.start(module, *words, **answers))
        return code, self.output.getvalue()

    def assert_harmless(self, text: str) -> None:
        """A text cannot control a terminal."""
        self.assertEqual([char for char in text if not char.isprintable() and char != "\n"], [])
