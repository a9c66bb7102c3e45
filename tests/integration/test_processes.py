"""Several processes under one parent: they share messages, die, are replaced, and end together"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from natsroute.daemon.settings.queue_entry import QueueEntry
from tests.support import ROOT
from tests.support.log_recorder import LogRecorder
from tests.support.plain_client import PlainClient
from tests.support.processes import alive, start_of
from tests.support.server_case import ServerTestCase
from tests.support.twistd import Twistd, TwistdTestCase
from tests.support.waiting import TIMEOUT

ROUTES = """
import os, time
from twisted.internet.defer import Deferred
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route("nats:in", concurrency=100)
async def answer(event):
    if event.data == b"hang":
        await event.respond(b"begun")
        await Deferred()
    if event.data == b"block":
        await event.respond(f"begun {os.getpid()}")
        time.sleep(1000)
    if event.data == b"die":
        os.kill(os.getpid(), 9)
    if event.data == b"print":
        print("PRINTED")
        os.write(1, b"WRITTEN\\n")
        raise ValueError("RAISED")
    await event.respond(f"VERSION {os.getpid()} {event.queue_group}")

@event_route("nats:plain")
async def plain(event):
    await event.respond(f"VERSION {os.getpid()} {event.queue_group}")

@event_route.on_stop
async def stopped(service):
    print("STOPPED", os.getpid())
"""

ENTRIES = ("--subject_queue_group", "in:q", "--subject_queue_group", "plain")
TOKEN = "a-token-of-the-tests"


class NeverStable(Twistd):
    """One for which no process counts as stable because it has taken long to die: the machine may be slow."""

    program = (
        "-c",
        "from natsroute.daemon.processes import supervisor; supervisor.STABLE_IF_NEVER_READY = float('inf')\n"
        "from twisted.scripts.twistd import run; run()",
        *Twistd.program[1:],
    )


class ProcessesTestCase(TwistdTestCase):
    """
    A parent with two processes and an embedded server.

    :cvar arguments: more options.
    """

    arguments: tuple[str, ...] = ()
    processes = 2

    def setUp(self) -> None:
        super().setUp()
        self.write_routes("one")
        self.pids: set[int] = set()
        self.addCleanup(self.none_is_left)

    def write_routes(self, version: str, routes: str = ROUTES) -> None:
        """The version of the routes that is loaded from now on. It is in each answer."""
        (self.folder / "routes.py").write_text(routes.replace("VERSION", version), encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> Twistd:
        """Start, and wait until all processes are ready."""
        program = self.run_program(
            "natsroute", "--processes", str(self.processes), "--embedded_server", "--event_routes", "routes.py",
            *ENTRIES, *self.arguments, *arguments, NATSROUTE_TOKEN=TOKEN, **environment,
        )  # fmt: skip
        self.addCleanup(program.kill)
        self.url = self.logged(r"listens on (nats://[\d.:]+)\n", program)
        self.until(lambda: len(self.children(program)) == self.processes + 1, program)  # the spare comes last
        self.client = PlainClient(self.url, login=lambda info: {"auth_token": TOKEN})
        self.addCleanup(self.client.close)
        self.client.subscribe("answers")
        return program

    def logged(self, pattern: str, program: Twistd) -> str:
        """Wait until the log has something; returns its group."""
        found: list[str] = []
        self.until(lambda: found.extend(re.findall(pattern, program.output())) or found, program)
        return found[0]

    def children(self, program: Twistd) -> list[int]:
        """The processes of the parent, in the order of their starts."""
        listed = subprocess.run(
            ["pgrep", "-P", str(program.process.pid), "-f", "child_program"],
            capture_output=True,
            text=True,
            check=False,
        )
        pids = sorted(map(int, listed.stdout.split()), key=start_of)
        self.pids |= set(pids)
        return pids

    def none_is_left(self) -> None:
        """Each process ends with its parent, however that has ended."""
        give_up = time.monotonic() + TIMEOUT
        while any(map(alive, self.pids)) and time.monotonic() < give_up:
            time.sleep(0.02)
        left = [pid for pid in self.pids if alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(left, [])

    def ask(self, data: bytes = b"", subject: bytes = b"in") -> list[str]:
        """The words of the answer: the version, the process and the queue group."""
        self.client.write(b"PUB %b answers %d\r\n%b\r\n" % (subject, len(data), data))
        return self.client.next_message()[2].decode().split()

    def answering(self) -> set[int]:
        """The processes that answer 50 questions."""
        pids = {int(self.ask()[1]) for _ in range(50)}
        self.pids |= pids
        return pids

    def ended(self, program: Twistd) -> None:
        """Wait for the end of all processes."""
        program.wait()
        self.until(lambda: not any(map(alive, self.pids)), program)


class RunTests(ProcessesTestCase):
    """Two processes and their parent."""

    def test_messages(self) -> None:
        """A queue group is shared; a subject without one runs once, and does not know of the private group."""
        program = self.start()
        self.assertEqual(len(self.answering()), 2)
        plain = Counter(tuple(self.ask(subject=b"plain")[1:]) for _ in range(50))
        [(pid, group)] = plain
        self.assertEqual((group, plain[pid, group]), ("None", 50))
        self.assertIn(int(pid), self.children(program))
        self.assertEqual(self.answers_left(), 0)
        for child in self.children(program):
            self.assertNotIn(TOKEN, Path(f"/proc/{child}/cmdline").read_text())
        self.assertIn("process 2: Consumer in:q -> nats:in", program.output())
        self.assertNotRegex(program.output(), r"process 2: .*plain")
        program.process.send_signal(signal.SIGTERM)
        self.ended(program)
        output = program.output()
        self.assertEqual(output.count("STOPPED"), 2)
        self.assertNotIn("Traceback", output)
        self.assertNotIn("#error", output)

    def answers_left(self) -> int:
        """Answers that nobody has asked for: a message ran twice."""
        self.client.write(b"PUB answers 4\r\nlast\r\n")
        left = 0
        while self.client.next_message()[2] != b"last":
            left += 1
        return left

    def test_log(self) -> None:
        """What a process logs and prints is in the parent's log, line by line, with its number; so is its report."""
        program = self.start("--cpu_affinity")
        self.client.write(b"PUB in 5\r\nprint\r\n")
        for text in ("PRINTED", "WRITTEN", "ValueError: RAISED"):  # they come through several pipes
            self.wait_for(text, program)
        lines = program.output().splitlines()
        for text in ("PRINTED", "WRITTEN"):
            self.assertTrue(any(re.search(rf"\[stdout#info\] process \d: {text}$", line) for line in lines), text)
        self.assertTrue(any(re.search(r"#critical\] process \d: .*nats:in", line) for line in lines))
        program.process.send_signal(signal.SIGUSR2)
        for number in (1, 2):
            self.wait_for(f"process {number}: Publisher: 0 published", program)
        self.check_affinity(program)

    def check_affinity(self, program: Twistd) -> None:
        """Each process has a processor; the parent may use all."""
        allowed = sorted(os.sched_getaffinity(0))
        bound = sorted(sorted(os.sched_getaffinity(pid)) for pid in self.answering())
        self.assertEqual(bound, sorted([allowed[number % len(allowed)]] for number in range(2)))
        self.assertEqual(os.sched_getaffinity(program.process.pid), set(allowed))

    def test_tac(self) -> None:
        """All settings from the environment; the processes have the folder, the reactor and the log of the parent."""
        (self.folder / "elsewhere").mkdir()
        self.write_routes("one", ROUTES + "\nfrom twisted.internet import reactor\nprint('REACTOR', type(reactor))\n")
        program = self.run_program(
            "--reactor", "asyncio", "--rundir", "elsewhere", "--python", str(ROOT / "natsroute.tac"),
            NATSROUTE_PROCESSES="2", NATSROUTE_EMBEDDED_SERVER="1", NATSROUTE_SUBJECT_QUEUE_GROUP="in:q",
            NATSROUTE_EVENT_ROUTES="routes.py", NATSROUTE_LOG_FORMAT="json",
        )  # fmt: skip
        self.until(lambda: len(self.children(program)) == 3, program)
        *complete, _ = program.output().split("\n")  # a line may be half written
        lines = [json.loads(line) for line in complete]
        self.assertIn("process 2: Consumer in:q -> nats:in", [line["event"] for line in lines])
        printed = {line["process"]: line["event"] for line in lines if "REACTOR" in line["event"]}
        self.assertEqual(printed.keys(), {1, 2})
        for number, text in printed.items():
            self.assertRegex(text, rf"^process {number}: REACTOR .*AsyncioSelectorReactor")
        for pid in self.children(program)[:2]:
            self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), str(self.folder.resolve() / "elsewhere"))


class OperationTests(ProcessesTestCase):
    """What operators see: the parent asks all processes."""

    def test_http(self) -> None:
        """/readyz, /ledger, /metrics and the admin socket are those of all processes; a blocked one is a reason."""
        program = self.start("--http_listen", "0", "--admin_socket", "admin.sock", "--admin_subject", "admin",
            "--drain_timeout", "0")  # fmt: skip
        self.http = self.logged(r"can see natsroute at (http://[\d.:]+)/", program)
        self.until(lambda: self.get("/readyz")[0] == 200, program)
        for _ in range(20):
            self.ask()
        # All are asked again until they show all processes: one that does not answer within a second is left out.
        self.until(lambda: self.ledger() == (20, 20), program)
        pids = self.children(program)[:2]
        self.wait_for("] admin subject: connected", program)
        self.until(lambda: self.pids_over_nats() == pids, program)
        self.until(lambda: self.admin("overview")["pids"] == pids, program)
        received: list[tuple[str, str]] = []
        self.until(lambda: received.__setitem__(slice(None), self.received()) or len(received) == 2, program)
        self.assertEqual([number for number, _ in received], ["1", "2"])
        self.assertEqual(sum(int(count) for _, count in received), 20)
        _, blocked = self.ask(b"block")
        reasons: list[dict[str, Any]] = []

        def is_blocked() -> bool:
            reasons[:] = json.loads(self.get("/readyz")[1])["reasons"]  # not when the route has ended, after 1000 s
            return [pids[reason["process"] - 1] for reason in reasons] == [int(blocked)]

        self.until(is_blocked, program)
        self.assertEqual((self.get("/readyz")[0], reasons[0]["code"]), (503, "no_answer"))
        os.kill(int(blocked), signal.SIGKILL)
        self.until(lambda: self.get("/readyz")[0] == 200, program)
        self.write_routes("two")
        self.assertEqual(self.admin("reload"), {"processes": 2})
        self.assertEqual({self.ask()[0] for _ in range(20)}, {"two"})
        self.until(lambda: self.admin("overview")["reloads"] == 1, program)

    def ledger(self) -> tuple[int, int]:
        """What consumer ``in:q`` has received, and how many calls succeeded."""
        consumers = {row["name"]: row for row in json.loads(self.get("/ledger")[1])["consumers"]}
        return (consumers["in:q"]["received"], consumers["in:q"]["succeeded"]) if "in:q" in consumers else (0, 0)

    def received(self) -> list[tuple[str, str]]:
        """The number of each process, and what its consumer ``in:q`` has received, from the metrics."""
        found = r'messages_received_total{process="(\d)",consumer="in:q"} (\d+)'
        return re.findall(found, self.get("/metrics")[1])

    def pids_over_nats(self) -> list[int]:
        """The processes of the overview, asked for over NATS."""
        self.client.write(b'PUB admin answers 46\r\n{"jsonrpc":"2.0","method":"overview","id":123}\r\n')
        found: list[int] = json.loads(self.client.next_message()[2])["result"]["pids"]
        return found

    def get(self, path: str) -> tuple[int, str]:
        """The status and the body of an answer over HTTP."""
        try:
            with urllib.request.urlopen(self.http + path, timeout=TIMEOUT) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def admin(self, method: str) -> Any:
        """The result of an admin method."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(str(self.folder / "admin.sock"))
            client.sendall(json.dumps({"jsonrpc": "2.0", "method": method, "id": 1}).encode() + b"\n")
            answer = json.loads(client.makefile().readline())
            self.assertNotIn("error", answer)
            return answer["result"]


class PermissionTests(ServerTestCase):
    """A server that does not let everybody subscribe in every queue group."""

    async def ready(self, *allowed: str) -> bool:
        """Whether the first process can subscribe to ``plain`` if that is allowed."""
        permissions = json.dumps({"subscribe": [*allowed]})
        server = await self.start_server(
            f"authorization {{ users: [{{user: u, password: p, permissions: {permissions}}}] }}"
        )
        entry = QueueEntry("plain", None, "natsroute.0123456789abcdef")
        service = self.start_service(
            subject_queue_group=[entry], nats_url=server.url.replace("://", "://u:p@"), drain_timeout=0.0
        )
        await self.until(lambda: service.connected or self.log.matching("refuses the subscription"))
        return service.connected

    async def test_private_group(self) -> None:
        """The subject alone is enough, unless certain queue groups are named: then the private one must be, too."""
        self.log = LogRecorder(self)
        self.assertTrue(await self.ready("plain"))
        self.assertFalse(await self.ready("plain", "plain workers"))
        self.assertIn("natsroute.0123456789abcdef", "".join(self.log.lines()), self.log.lines())
        self.log.events.clear()
        self.assertTrue(await self.ready("plain", "plain workers", "plain natsroute.*"))


class FailureTests(ProcessesTestCase):
    """What goes wrong."""

    arguments = ("--drain_timeout", "1")

    def test_setting_that_cannot_work(self) -> None:
        """The parent ends with exit code 1, as one process does."""
        program = self.run_program(
            "natsroute", "--processes", "2", "--nats_url", "nats://127.0.0.1:1", "--event_routes", "nothing.py"
        )
        self.assertEqual(program.wait(), 1)
        self.assertIn("there is no such file", program.output())
        self.assertNotIn("Traceback", program.output())

    def test_process_ends(self) -> None:
        """It is replaced within a moment, with the same number. The log says why. One that gets SIGTERM drains."""
        program = self.start()
        victims = []
        for number, times in ((signal.SIGKILL, 2), (signal.SIGTERM, 3)):
            victims.append(int(self.ask(subject=b"plain")[1]))
            os.kill(victims[-1], number)
            subscribed = "process 1: consumer plain: connected"
            self.until(lambda t=times, text=subscribed: program.output().count(text) == t, program)
            self.until(lambda: len(self.children(program)) == 3, program)
        self.assertEqual(len(self.answering() - set(victims)), 2)
        self.assertRegex(program.output(), rf"Process 1 \(pid {victims[0]}\) ended by itself after .* s \(SIGKILL\)")
        self.assertIn(f"STOPPED {victims[1]}", program.output())
        self.assertNotIn(f"STOPPED {victims[0]}", program.output())

    def test_process_dies_in_a_loop(self) -> None:
        """The waits grow, and the log has a line for each death."""
        self.write_routes("one", ROUTES + "\nos.kill(os.getpid(), 9)\n")
        program = self.run_program(
            "natsroute", "--processes", "2", "--nats_url", "nats://127.0.0.1:1", "--event_routes", "routes.py",
            kind=NeverStable,
        )  # fmt: skip
        for wait in ("again", "again in 1 s", "again in 2 s"):
            for number in (1, 2):
                self.until(
                    lambda number=number, wait=wait: re.search(
                        rf"Process {number} .*SIGKILL\): it is started {wait}$", program.output(), re.MULTILINE
                    ),
                    program,
                )
        program.process.send_signal(signal.SIGTERM)
        self.ended(program)
        lines = program.output().splitlines()
        deaths = [line for line in lines if re.search(r"Process \d .*SIGKILL\): it is started again", line)]
        self.assertLess(len(lines) - len(deaths), 20)  # there is a death more for each time that the test waits

    def test_parent_is_killed(self) -> None:
        """The processes drain and end; also one whose reactor is blocked ends in time."""
        program = self.start("--hook_timeout", "1")
        self.assertEqual(self.ask(b"hang"), ["begun"])
        os.killpg(program.process.pid, signal.SIGKILL)
        self.until(lambda: not any(map(alive, self.pids)), program)


class StopTests(ProcessesTestCase):
    """Signals."""

    def hang(self, what: bytes = b"hang") -> None:
        self.assertEqual(self.ask(what)[0], "begun")

    def signal_twice(self, program: Twistd) -> None:
        """Send SIGTERM twice, the second time when the parent has handled the first."""
        for logged in ("Received SIGTERM, ", "Received SIGTERM again"):
            program.process.send_signal(signal.SIGTERM)
            self.wait_for(logged, program)

    def drains(self, program: Twistd, send: Callable[[], object]) -> None:
        """A call that hangs is waited for."""
        began = time.monotonic()
        send()
        self.ended(program)
        self.assertGreater(time.monotonic() - began, 1.9)
        self.assertIn("Messages received but not fully handled: 1", program.output())
        self.assertEqual(program.output().count("STOPPED"), 2)

    def test_ctrl_c(self) -> None:
        """A terminal sends SIGINT to the whole process group: it counts once, and the drain is not skipped."""
        program = self.start("--drain_timeout", "2")
        self.hang()
        self.drains(program, lambda: os.killpg(program.process.pid, signal.SIGINT))

    def test_sigterm_to_all(self) -> None:
        """systemd sends SIGTERM to each process of a service: it counts once, too."""
        program = self.start("--drain_timeout", "2")
        self.hang()

        def send() -> None:
            children = self.children(program)
            program.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)  # mostly, the order of the parent comes first
            for pid in children:
                with contextlib.suppress(ProcessLookupError):  # one without a role has ended by then
                    os.kill(pid, signal.SIGTERM)

        self.drains(program, send)
        self.assertNotIn("Traceback", program.output())

    def test_sigterm_to_all_in_another_order(self) -> None:
        """The order of the parent comes to a process that is stopping because of the signal."""
        program = self.start("--drain_timeout", "2")
        self.hang()
        for pid in self.children(program):
            os.kill(pid, signal.SIGTERM)
        self.until(lambda: len(re.findall(r"process \d: Received SIGTERM", program.output())) == 2, program)
        program.process.send_signal(signal.SIGTERM)
        self.ended(program)
        self.assertIn("Messages received but not fully handled: 1", program.output())
        self.assertNotIn("Traceback", program.output())

    def test_second_signal(self) -> None:
        """It skips the drain, in all processes."""
        program = self.start("--drain_timeout", "1000")
        self.hang()
        self.signal_twice(program)
        self.ended(program)
        self.assertIn("Messages received but not fully handled: 1", program.output())

    def test_third_signal(self) -> None:
        """Everything ends at once, also a process whose reactor is blocked."""
        program = self.start("--drain_timeout", "1000")
        self.hang(b"block")
        self.signal_twice(program)
        program.process.send_signal(signal.SIGTERM)
        self.ended(program)  # and not after 1000 s


class ReloadTests(ProcessesTestCase):
    """SIGHUP replaces the processes."""

    def reload(self, program: Twistd, outcome: str) -> None:
        """Reload, and wait for a text in the log."""
        before = program.output().count(outcome)
        program.process.send_signal(signal.SIGHUP)
        self.until(lambda: program.output().count(outcome) > before, program)

    def test_new_routes(self) -> None:
        """All answers come from the new version afterwards. The folder of the sockets may be gone meanwhile."""
        program = self.start(TMPDIR=str(self.folder))
        [sockets] = [folder for folder in self.folder.glob("natsroute-*") if folder.stat().st_mode & 0o777 == 0o700]
        shutil.rmtree(sockets)
        before = self.answering()
        self.write_routes("two")
        self.reload(program, "all processes have been replaced")
        self.assertEqual({self.ask()[0] for _ in range(50)}, {"two"})
        self.assertEqual(self.answering() & before, set())
        self.assertEqual(self.ask(subject=b"plain")[0], "two")
        self.assertNotIn("#error", program.output())

    def test_new_routes_that_fail(self) -> None:
        """The old processes stay, and the log has the reason. The next reload works."""
        program = self.start("--drain_timeout", "0")
        before = self.answering()
        self.write_routes("two", "syntax error")
        self.reload(program, "The reload has failed: process 1 was not replaced")
        self.assertIn("invalid syntax", program.output())
        self.assertEqual(self.answering(), before)
        self.write_routes("three")
        self.reload(program, "all processes have been replaced")
        self.assertEqual({self.ask()[0] for _ in range(50)}, {"three"})

    def test_new_routes_that_hang(self) -> None:
        """The old processes stay, too."""
        program = self.start("--restart_timeout", "3", "--drain_timeout", "0")
        before = self.answering()
        self.write_routes("two", ROUTES + "\n@event_route.on_start\nasync def hang(service):\n    await Deferred()\n")
        self.reload(program, "its replacement was not ready within 3 s")
        self.assertEqual(self.answering(), before)
