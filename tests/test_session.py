"""natsroute.console.session"""

from __future__ import annotations

import io
import sys
from argparse import ArgumentParser
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.errors import AnswerTimeoutError, MethodError, NoAccessError, NoServiceError
from natsroute.console import session
from natsroute.console.commands import ExitCode
from natsroute.console.services import RunningService
from natsroute.console.session import ConsoleError, add_service_arguments, client_of


class ClientTests(SynchronousTestCase):
    """Which service a command is for."""

    ONE = RunningService("/run/a-1.sock", "a", 1)
    OTHER = RunningService("/run/a-2.sock", "a\x1b", 2)

    def client(self, *words: str, running: tuple[RunningService, ...] = (), **environment: str) -> str:
        """The path of the socket."""
        self.patch(session, "running_services", lambda environment, uid: list(running))
        parser = ArgumentParser()
        add_service_arguments(parser)
        return client_of(None, parser.parse_args(words), environment, 0).path

    def failed(self, *words: str, running: tuple[RunningService, ...] = ()) -> tuple[ExitCode, str]:
        """The exit code and the message."""
        error = self.assertRaises(ConsoleError, self.client, *words, running=running)
        return error.code, str(error)

    def test_socket(self) -> None:
        """The option, or the variable that is also the service's."""
        self.assertEqual(self.client("--socket", "/a"), "/a")
        self.assertEqual(self.client(NATSROUTE_ADMIN_SOCKET="/b"), "/b")
        self.assertEqual(self.client("--socket", "/a", NATSROUTE_ADMIN_SOCKET="/b"), "/a")
        self.assertEqual(self.client(NATSROUTE_ADMIN_SOCKET="off", running=(self.ONE,)), "/run/a-1.sock")

    def test_the_only_one(self) -> None:
        self.assertEqual(self.client(running=(self.ONE,)), "/run/a-1.sock")

    def test_one_of_several(self) -> None:
        both = (self.ONE, self.OTHER)
        self.assertEqual(self.client("--pid", "2", running=both), "/run/a-2.sock")
        self.assertEqual(self.client("--name", "a", running=both), "/run/a-1.sock")

    def test_several(self) -> None:
        """They are listed."""
        code, text = self.failed(running=(self.ONE, self.OTHER))
        self.assertEqual(code, ExitCode.USAGE)
        self.assertEqual(text.splitlines()[1:], ["  a, process 1, /run/a-1.sock", "  a\\x1b, process 2, /run/a-2.sock"])

    def test_no_such_service(self) -> None:
        code, text = self.failed("--pid", "3", running=(self.ONE,))
        self.assertEqual(code, ExitCode.NO_SERVICE)
        self.assertIn("these do:\n  a, process 1", text)

    def test_none(self) -> None:
        """It says where it has looked."""
        code, text = self.failed()
        self.assertEqual(code, ExitCode.NO_SERVICE)
        self.assertIn("/run/natsroute", text)
        self.assertIn("--socket", text)


class EndTests(SynchronousTestCase):
    """How a command ends."""

    def setUp(self) -> None:
        self.errors = io.StringIO()
        self.patch(sys, "stderr", self.errors)

    def end(self, result: Any) -> int:
        """The exit code of a command that returns or raises this."""

        class Module:
            """A command."""

            async def run(self, reactor: object, arguments: object) -> int:
                if isinstance(result, BaseException):
                    raise result
                return int(result)

        module: Any = Module()
        clock = Clock()
        running: Deferred[None] = Deferred.fromCoroutine(session._run(clock, module, None))  # type: ignore[arg-type]
        self.assertNoResult(running)  # before the reactor runs, a signal would end the process anyhow
        clock.advance(0)
        code = self.failureResultOf(running, SystemExit).value.code
        self.assertIsInstance(code, int)
        return int(code)

    def test_exit_codes(self) -> None:
        for result, code, text in [
            (0, 0, ""),
            (1, 1, ""),
            (ConsoleError(ExitCode.USAGE, "which?"), 2, "natsroute: which?\n"),
            (NoServiceError("/a"), 3, "natsroute: no natsroute service listens at /a\n"),
            (NoAccessError("/a"), 1, "natsroute: no permission for /a"),
            (MethodError(-32000, "no\x1b"), 1, "natsroute: no\\x1b\n"),
            (AnswerTimeoutError(5), 1, "natsroute: no answer within 5 s"),
            (CancelledError(), 130, ""),
        ]:
            self.errors.seek(0)
            self.errors.truncate()
            self.assertEqual(self.end(result), code, result)
            self.assertTrue(self.errors.getvalue().startswith(text))
