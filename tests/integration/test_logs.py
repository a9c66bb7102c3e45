"""The log of ``twistd natsroute`` and of ``natsroute.tac``: where it goes, in which format, and which lines it has"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.environment import without_settings
from tests.support.twistd import TwistdTestCase
from tests.support.waiting import TIMEOUT

ROUTES = r"""
from natsroute import EventRoutes
from natsroute.log import Logger
from twisted.python import log as older
event_route = EventRoutes()

@event_route("nats:in")
def fail(event):
    print("printed\x1b[2J", event.subject, flush=True)
    older.msg("an older line")
    Logger("natsroute.test").debug("a debug line")
    raise ValueError("text\nforged\x1b[2J")

done = []

@event_route("nats:connected")
async def begin(event):
    done.append(event.server)
    if len(done) == 3:
        await event.publish("in", "hello")
"""

#: twistd calls it for its log, with --logger.
LOGGER = """
from twisted.logger import ILogObserver
from zope.interface import provider

def observer():
    @provider(ILogObserver)
    def observe(event):
        print("OWN", event["log_format"], file=open("own.log", "a"))
    return observe
"""
ARGUMENTS = ("natsroute", "--embedded_server", "--subject_queue_group=in:q", "--event_routes=routes.py")
VARIABLES = {
    "NATSROUTE_EMBEDDED_SERVER": "1",
    "NATSROUTE_SUBJECT_QUEUE_GROUP": "in:q",
    "NATSROUTE_EVENT_ROUTES": "routes.py",
}
TAC = ("--python", str(ROOT / "natsroute.tac"))
LAST = "Server Shut Down"
#: The line after which all lines of a message have been written.
FAILED = "Event route nats:in failed"


class LogsTests(TwistdTestCase):
    """Each way to start it."""

    files = {"routes.py": ROUTES, "own_logger.py": LOGGER}

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def run_until_failed(self, *arguments: str, log: str | None = None, **environment: str) -> str:
        """Run it until the route has failed, and stop it; returns its log."""
        program = self.run_program(*arguments, **environment)

        def read() -> str:
            return program.output() if log is None else self.read(log)

        self.until(lambda: FAILED in read(), program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        return read()

    def objects(self, text: str) -> list[dict[str, Any]]:
        """The lines as JSON objects: all of them are."""
        return [json.loads(line) for line in text.splitlines()]

    def check_json(self, text: str) -> None:
        lines = self.objects(text)
        for line in lines:
            self.assertEqual(list(line)[:4], ["time", "level", "namespace", "event"])
            self.assertRegex(line["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        [failed] = [line for line in lines if line["event"].startswith(FAILED)]
        self.assertEqual((failed["route"], failed["subject"], failed["level"]), ("nats:in", "in", "critical"))
        self.assertEqual(failed["error"]["type"], "builtins.ValueError")
        self.assertEqual(failed["error"]["text"], r"text\nforged\x1b[2J")
        connected = {line["connection"] for line in lines if "connected to" in line["event"]}
        self.assertEqual(connected, {"publish worker 1", "publish worker 2", "consumer in:q"})
        [consumer] = [line for line in lines if line["event"].startswith("Consumer in:q -> ")]
        self.assertEqual(consumer["consumer"], "in:q")
        self.assertIn(r"printed\x1b[2J in", [line["event"] for line in lines if line["namespace"] == "stdout"])
        self.assertIn("an older line", [line["event"] for line in lines])
        self.assertNotIn("a debug line", text)

    def test_text(self) -> None:
        """As twistd writes it, and nothing can forge a line."""
        text = self.run_until_failed(*ARGUMENTS)
        for line in text.splitlines():
            self.assertTrue(
                line.startswith("\t") or re.match(r"20\d\d-\d\d-\d\dT[\d:]{8}[-+]\d{4} \[\S+\] ", line), line
            )
        self.assertIn(r"[stdout#info] printed\x1b[2J in", text)
        self.assertIn("\n\tbuiltins.ValueError: text\\nforged\\x1b[2J\n", text)
        self.assertNotIn("a debug line", text)

    def test_json(self) -> None:
        self.check_json(self.run_until_failed(*ARGUMENTS, "--log_format=json"))

    def test_json_of_the_tac(self) -> None:
        self.check_json(self.run_until_failed(*TAC, **VARIABLES, NATSROUTE_LOG_FORMAT="json"))

    def test_levels(self) -> None:
        text = self.run_until_failed(*ARGUMENTS, "--log_level=error", "--log_level=natsroute.test=debug,stdout=info")
        self.assertEqual(
            re.findall(r"^\S+ \[\S+\] (.{10})", text, re.MULTILINE), ["printed\\x1", "a debug li", "Event rout"]
        )

    def test_levels_that_change(self) -> None:
        """The admin socket shows and changes them."""
        program = self.run_program(*ARGUMENTS, "--admin_socket=admin.sock")
        self.wait_for(FAILED, program)
        self.assertEqual(self.ask({}), {"rules": ["info"]})
        self.assertEqual(self.ask({"rules": ["critical"]}), {"rules": ["critical"]})
        program.process.send_signal(signal.SIGUSR2)
        self.ask({})  # the signal is handled by then
        self.assertEqual(self.ask({"rules": ["info"]}), {"rules": ["info"]})
        before = program.output()
        program.process.send_signal(signal.SIGUSR2)
        self.until(lambda: program.output() != before, program)
        self.assertTrue(before.endswith("\n"))
        self.assertNotIn("succeeded", before)
        self.until(lambda: "succeeded" in program.output(), program)

    def ask(self, params: dict[str, object]) -> object:
        """The answer of the admin method ``log_level``."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "log_level", "params": params}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT)
            connection.connect(str(self.folder / "admin.sock"))
            connection.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(connection.makefile().readline())["result"]

    def test_file(self) -> None:
        """With the plugin and the .tac. What logrotate moves is opened again at SIGUSR1."""
        for arguments, environment in ((ARGUMENTS, {}), (TAC, VARIABLES)):
            program = self.run_program("--logfile", "a.log", *arguments, **environment)
            self.until(lambda: FAILED in self.read("a.log"), program)
            os.rename(self.folder / "a.log", self.folder / "moved.log")
            program.process.send_signal(signal.SIGUSR1)
            self.until(lambda: "a.log" in os.listdir(self.folder), program)
            program.process.send_signal(signal.SIGUSR2)
            self.until(lambda: "in:q" in self.read("a.log"), program)
            program.process.send_signal(signal.SIGUSR1)  # nobody has moved it now
            self.until(lambda: "a.log.1" in os.listdir(self.folder), program)
            program.process.send_signal(signal.SIGTERM)
            program.wait()
            self.assertIn(LAST, self.read("a.log"))
            self.assertEqual(program.output(), "")
            for name in ("a.log", "a.log.1", "moved.log"):
                (self.folder / name).unlink()

    def test_json_file(self) -> None:
        self.check_json(self.run_until_failed("--logfile", "a.log", *ARGUMENTS, "--log_format=json", log="a.log"))

    def test_logger(self) -> None:
        """With a --logger, ours is out of the way."""
        path = {"PYTHONPATH": f"{ROOT}:{self.folder}"}
        for arguments, environment in ((ARGUMENTS, {}), (TAC, VARIABLES)):
            program = self.run_program(
                "--logger=own_logger.observer", "--logfile=a.log", *arguments, **environment, **path
            )
            self.until(lambda: "OWN Event route {route}" in self.read("own.log"), program)
            program.kill()
            self.assertNotIn("a.log", os.listdir(self.folder))
            self.assertEqual(program.output(), "")
            (self.folder / "own.log").unlink()

    def test_journal(self) -> None:
        """No time of its own, and a priority for each line."""
        for arguments, environment in ((ARGUMENTS, {}), (TAC, VARIABLES)):
            lines = self.in_journal(*arguments, **environment).splitlines()
            self.assertEqual([line for line in lines if not re.match(r"<[2346]>(\t|\[\S+\] )", line)], [])
            self.assertIn("<6>[stdout#info] printed\\x1b[2J in", lines)
            self.assertIn("<2>\tbuiltins.ValueError: text\\nforged\\x1b[2J", lines)

    def test_json_in_the_journal(self) -> None:
        text = self.in_journal(*ARGUMENTS, "--log_format=json")
        self.check_json(re.sub(r"^<\d>", "", text, flags=re.MULTILINE))

    def in_journal(self, *arguments: str, **environment: str) -> str:
        """What it writes to a pipe that is said to be the journal."""
        reading, writing = os.pipe()
        found = os.fstat(writing)
        variables = {"PYTHONPATH": str(ROOT), "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}", **environment}
        twistd = str(Path(sys.executable).with_name("twistd"))
        process = subprocess.Popen(
            [sys.executable, twistd, "--nodaemon", "--pidfile=", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            env=without_settings() | variables,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(writing)
        lines = []
        with open(reading, encoding="utf-8") as pipe:
            for line in pipe:
                lines.append(line)
                if FAILED in line:
                    process.send_signal(signal.SIGTERM)
        return "".join(lines)

    def test_mistakes(self) -> None:
        """One message, and exit code 1."""
        for option in ("--log_format=xml", "--log_level=loud", "--log_level=natsroute=loud"):
            program = self.run_program(*ARGUMENTS, option)
            self.assertEqual(program.wait(), 1)
            self.assertIn(f"(from {option.partition('=')[0]})", program.output())
            self.assertEqual(program.output().count("\n"), 1)
