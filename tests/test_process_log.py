"""natsroute.daemon.operations.process_log; tests.integration.test_logs starts twistd."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import syslog
from typing import Any

from twisted.application.service import Application, MultiService
from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.daemon.operations.process_log import ProcessLog, ProcessLogFile, twistd_options
from natsroute.monitoring.log_observer import LogObserver
from tests.support.log_recorder import LogRecorder
from tests.support.memory_reactor import Reactor


class ProcessLogTests(SynchronousTestCase):
    """Where the log goes, as twistd's options say."""

    def setUp(self) -> None:
        self.stdout = io.StringIO()
        self.patch(sys, "stdout", self.stdout)
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "a.log")
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)

    def log(self, twistd: dict[str, Any], **settings: Any) -> ProcessLog:
        """A log to which something is logged."""
        log = ProcessLog(Settings(**settings), twistd)
        Logger("natsroute.test", observer=log.observer()).warn("logged")
        return log

    def test_standard_output(self) -> None:
        for twistd in (
            {"nodaemon": True, "logfile": None},
            {"nodaemon": True, "logfile": "-"},
            {"nodaemon": 1, "logfile": ""},
        ):
            self.log(twistd)
        self.assertEqual(self.stdout.getvalue().count("[natsroute.test#warn] logged\n"), 3)
        self.assertEqual(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)

    def test_detached(self) -> None:
        """A process that is detached from its terminal has no standard output."""
        error = self.assertRaises(SystemExit, self.log, {"nodaemon": 0, "logfile": "-"})
        self.assertEqual(str(error), "Daemons cannot log to stdout, exiting!")

    def test_format_and_levels(self) -> None:
        log = self.log({"nodaemon": 1}, log_format="json", log_level=["error", "natsroute.test=warn"])
        self.assertEqual(json.loads(self.stdout.getvalue())["event"], "logged")
        self.assertEqual(log.levels.rules, ("error", "natsroute.test=warn"))

    def test_file(self) -> None:
        """Also if the process stays; SIGUSR1 is for the file, unless somebody else handles it."""
        self.log({"nodaemon": 1, "logfile": self.path})
        with open(self.path, encoding="utf-8") as file:
            self.assertIn("logged\n", file.read())
        handler = signal.getsignal(signal.SIGUSR1)
        self.assertTrue(callable(handler))
        self.log({"nodaemon": 0, "logfile": self.path})
        self.assertIs(signal.getsignal(signal.SIGUSR1), handler)

    def test_default_file(self) -> None:
        """It is twistd.log in the current folder, as without natsroute."""
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.folder)
        self.log({"nodaemon": 0, "logfile": None})
        self.assertEqual(os.listdir("."), ["twistd.log"])

    def test_syslog(self) -> None:
        calls: list[object] = []
        self.patch(syslog, "openlog", lambda *arguments: calls.append(arguments))
        self.patch(syslog, "syslog", lambda *arguments: calls.append(arguments))
        self.log({"syslog": 1, "prefix": "twisted", "logfile": self.path, "nodaemon": 1})
        self.assertEqual(calls, [("twisted", 0, syslog.LOG_USER), (4, "[natsroute.test#warn] logged")])
        self.assertFalse(os.path.exists(self.path))


class JoinTests(SynchronousTestCase):
    """An application gets the log of its service."""

    def service(self, twistd: dict[str, Any]) -> NatsrouteService:
        log = ProcessLog(Settings(), {"nodaemon": True, **twistd})
        return NatsrouteService(Settings(), EventRoutes(), reactor=Reactor(), process_log=log)

    def test_application(self) -> None:
        application = Application("x")
        self.service({}).setServiceParent(application)
        self.assertIsInstance(application.getComponent(ILogObserver), LogObserver)

    def test_application_with_a_log(self) -> None:
        """The program's own log stays: the one of the application, or the one that twistd is to call."""
        application = Application("x")
        application.setComponent(ILogObserver, self)
        self.service({}).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), self)
        application = Application("x")
        self.service({"logger": self.service}).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), None)

    def test_another_parent(self) -> None:
        """A service in a service has no application to give a log."""
        parent = MultiService()
        service = self.service({})
        service.setServiceParent(parent)
        self.assertIs(service.parent, parent)

    def test_program(self) -> None:
        """The log of a program that composes the service is not touched."""
        application = Application("x")
        NatsrouteService(Settings(log_format="json"), EventRoutes(), reactor=Reactor()).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), None)


class ProcessLogFileTests(SynchronousTestCase):
    """A log file, and those who move it."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.path = os.path.join(self.folder, "a.log")
        self.file = ProcessLogFile.fromFullPath(self.path)
        self.addCleanup(lambda: self.file.close())
        self.file.write("one\n")

    def files(self) -> dict[str, str]:
        """The files of the folder, and what is in them."""
        found = {}
        for name in sorted(os.listdir(self.folder)):
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                found[name] = file.read()
        return found

    def test_rotate(self) -> None:
        """Nobody has moved it: it is moved here, as twistd does."""
        self.file.rotate_or_reopen()
        self.file.write("two\n")
        self.file.rotate_or_reopen()
        self.file.write("three\n")
        self.assertEqual(self.files(), {"a.log": "three\n", "a.log.1": "two\n", "a.log.2": "one\n"})

    def test_moved(self) -> None:
        """logrotate has moved it, and has made a new file or not."""
        for create in (False, True):
            os.rename(self.path, f"{self.path}-{create}")
            if create:
                open(self.path, "w").close()
            self.assertTrue(self.file.moved)
            self.file.write("late\n")
            self.file.rotate_or_reopen()
            self.assertFalse(self.file.moved)
            self.file.write("new\n")
        self.assertEqual(self.files(), {"a.log": "new\n", "a.log-False": "one\nlate\n", "a.log-True": "new\nlate\n"})

    def test_truncated(self) -> None:
        """logrotate has copied and truncated it: no hole remains."""
        os.truncate(self.path, 0)
        self.file.write("two\n")
        self.assertEqual(self.files(), {"a.log": "two\n"})

    def test_existing_file(self) -> None:
        other = ProcessLogFile.fromFullPath(self.path)
        other.write("two\n")
        other.close()
        self.file.write("three\n")
        self.assertEqual(self.files(), {"a.log": "one\ntwo\nthree\n"})

    def test_cannot_be_opened_again(self) -> None:
        """It goes on in the old one, and says so."""
        log = LogRecorder(self)
        os.rename(self.folder, self.folder + "-away")
        self.file.rotate_or_reopen()
        self.file.write("two\n")
        self.folder += "-away"
        self.assertEqual(self.files(), {"a.log": "one\ntwo\n"})
        self.assertIn("cannot be opened again: [Errno 2] No such file", log.lines("error")[0])

    def test_no_rotation_by_size(self) -> None:
        for _ in range(3):
            self.file.write("x" * 1_000_000)
        self.assertEqual(list(self.files()), ["a.log"])


class TwistdOptionsTests(SynchronousTestCase):
    """The command line of a process."""

    def test_options(self) -> None:
        options = twistd_options(
            ["twistd", "-n", "--logfile", "a", "--reactor", "select", "--spew", "-y", "natsroute.tac"]
        )
        self.assertEqual((bool(options["nodaemon"]), options["logfile"], options["logger"]), (True, "a", None))
        self.assertIsNone(sys.gettrace())
        options = twistd_options(
            ["twistd", "--syslog", "--prefix=p", "--logger=twisted.logger.textFileLogObserver", "-y", "a"]
        )
        self.assertEqual((bool(options["syslog"]), options["prefix"]), (True, "p"))
        self.assertTrue(callable(options["logger"]))

    def test_another_program(self) -> None:
        """It has other options: the log goes to standard output."""
        for arguments in (["x", "--strange"], ["x", "what", "is", "this"], ["x", "--version"]):
            self.patch(sys, "stdout", io.StringIO())
            self.assertEqual(dict(twistd_options(arguments)), {"nodaemon": True})
