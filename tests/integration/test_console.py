"""The console command ``natsroute``, and hostile clients of the admin socket; all in processes of their own"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.documents import snippet
from tests.support.environment import without_settings
from tests.support.processes import CANNOT_MEASURE, listen_to_ctrl_c, memory_of
from tests.support.twistd import Twistd, TwistdTestCase
from tests.support.waiting import TIMEOUT

ROUTES = """
from twisted.internet import reactor, task
from natsroute import EventRoutes

event_route = EventRoutes()

@event_route.on_start
async def publish(service):
    task.deferLater(reactor, 0.1, lambda: [service.publish("in", str(n)) for n in range(10)])

@event_route("nats:in", concurrency=20)
async def work(event):
    if event.text() == "3":
        raise ValueError("\\x1b[2Jno")
    if event.text() == "4":
        await task.deferLater(reactor, 3600)
"""

#: Exit codes of twistd after SIGTERM, in new and old versions.
ENDED = (-signal.SIGTERM, 0)
NATSROUTE = [sys.executable, "-m", "natsroute"]
#: Commands that ask no service.
WITHOUT_TIMEOUT = ("run", "check")
EMBEDDED = ("--embedded_server", "--subject_queue_group", "in:q", "--event_routes", "routes.py", "--drain_timeout", "0")


class Run(Twistd):
    """``natsroute run``."""

    program = ("-m", "natsroute", "run")


class ConsoleTestCase(TwistdTestCase):
    """Services that run, and commands for them."""

    files = {"routes.py": ROUTES}

    def environment(self, **variables: str) -> dict[str, str]:
        """The variables of a command, which finds the services of this test only."""
        return {
            **without_settings(),
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": str(self.folder),
            "TERM": "dumb",
            **variables,
        }

    def console(self, *words: str, **variables: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code, and what it has written to standard output and standard error."""
        patience = () if words[0] in WITHOUT_TIMEOUT or "--timeout" in words else ("--timeout", str(TIMEOUT))
        ended = subprocess.run(
            [*NATSROUTE, words[0], *patience, *words[1:]],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        self.assertNotIn("Traceback", ended.stderr)
        self.assertNotIn("\x1b", ended.stdout + ended.stderr)
        return ended.returncode, ended.stdout, ended.stderr

    def start(self, *arguments: str, **environment: str) -> Twistd:
        """Start a service, and wait for its admin socket."""
        program = self.run_program(*arguments, kind=Run, **environment)
        self.wait_for("Admin socket: ", program)
        return program

    def socket_of(self, program: Twistd) -> str:
        """The path of the admin socket of a service."""
        [path] = re.findall(r"Admin socket: (.*)$", program.output(), re.MULTILINE)
        return str(path)

    def overview(self, program: Twistd) -> Any:
        """The overview of a service."""
        _, out, err = self.console("status", "--json", "--socket", self.socket_of(program))
        return json.loads(out or self.fail(err))


class CommandTests(ConsoleTestCase):
    """A service, and each command for it."""

    def test_commands(self) -> None:
        """What they print is what the service has counted; they end as their help says."""
        # Root may have other services, which its own user's do not hide.
        name = f"test {os.getpid()}"
        program = self.start(*EMBEDDED, "--client_name", name)

        def is_settled() -> bool:
            found = self.overview(program)
            [consumer] = found["consumers"]
            counts = (consumer["received"], consumer["succeeded"], consumer["failed"], found["publisher"]["confirmed"])
            return bool(found["ready"]) and counts == (10, 8, 1, 10)

        self.until(is_settled, program)
        code, out, _ = self.console("status", "--name", name)
        self.assertEqual(code, 0)
        self.assertIn(f"process {program.process.pid}, ", out.splitlines()[0])
        self.assertEqual(out.splitlines()[1], "ready")
        self.assertRegex(out, r"\nin:q +10 +8 +1 +0 +1 +0 ")
        self.assertRegex(out, r"\nconsumer in:q +connected +nats://127\.0\.0\.1:\d+ ")
        self.assertIn("ValueError: \\x1b[2Jno", out)
        code, out, _ = self.console("ledger", "--name", name)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\nnats:in +10 +8 +1 ")
        code, out, _ = self.console("ledger", "--json", "--name", name)
        self.assertEqual(json.loads(out)["publisher"]["confirmed"], 10)
        code, out, _ = self.console("calls", "--name", name)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^Calls in flight: 1\n[^$]*\nnats:in +in +")
        self.assertEqual(self.console("status", "--pid", str(program.process.pid))[0], 0)
        self.assertEqual(self.console("status", NATSROUTE_ADMIN_SOCKET=self.socket_of(program))[0], 0)
        self.assertEqual(self.console("log-level", "--name", name), (0, "info\n", ""))
        code, out, _ = self.console("log-level", "--name", name, "natsroute.client=debug")
        self.assertEqual((code, out), (0, "info\nnatsroute.client=debug\n"))
        code, out, err = self.console("log-level", "--name", name, "loud")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("neither LEVEL nor NAMESPACE=LEVEL", err)
        program.process.send_signal(signal.SIGTERM)
        self.assertIn(program.wait(), ENDED)
        self.assertFalse(os.path.exists(self.socket_of(program)))
        self.assertEqual(os.listdir(self.folder / "natsroute"), [])
        code, out, err = self.console("status", "--socket", self.socket_of(program))
        self.assertEqual((code, out), (3, ""))
        self.assertIn("no natsroute service listens at", err)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_reload(self) -> None:
        """What was loaded; or why nothing has changed."""
        program = self.start(*EMBEDDED)
        which = ("--socket", self.socket_of(program))
        self.until(lambda: self.overview(program)["ready"], program)
        self.until(lambda: "cannot reload while" not in self.console("reload", *which)[2], program)
        (self.folder / "routes.py").write_text(ROUTES.replace("nats:in", "nats:other"), "utf-8")
        code, out, err = self.console("reload", *which)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(
            out, r"^reloaded\n  files: \S+/routes.py\n  added: nats:other\n  removed: nats:in\n  seconds: "
        )
        (self.folder / "routes.py").write_text("def work(:\n", "utf-8")
        code, out, err = self.console("reload", *which)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^natsroute: event_routes = .*: syntax error in line 1 ")

    def test_not_ready(self) -> None:
        """Exit code 1, and the reasons."""
        program = self.start("--nats_url", "nats://127.0.0.1:1", "--subject_queue_group", "in:q")
        code, out, _ = self.console("status", "--socket", self.socket_of(program))
        self.assertEqual(code, 1)
        self.assertIn("\nnot ready:\n", out)
        self.assertIn("consumer in:q", out)

    def test_blocked_service(self) -> None:
        """The command does not hang."""
        program = self.start("--nats_url", "nats://127.0.0.1:1")
        program.process.send_signal(signal.SIGSTOP)
        code, _, err = self.console("status", "--socket", self.socket_of(program), "--timeout", "0.5")
        self.assertEqual(code, 1)
        self.assertIn("no answer within 0.5 s", err)
        program.process.send_signal(signal.SIGCONT)

    def test_check(self) -> None:
        """As ``twistd natsroute --check``."""
        arguments = ("--subject_queue_group", "in:q", "--event_routes", "routes.py")
        twistd = self.run_program("natsroute", "--check", *arguments)
        self.assertEqual(twistd.wait(), 0)
        self.assertEqual(self.console("check", *arguments), (0, twistd.output(), ""))
        code, _, err = self.console("check", "--event_routes", "none.py")
        self.assertEqual(code, 1)
        self.assertIn("there is no such file", err)

    def test_help(self) -> None:
        """These have all settings. (The help of other commands: tests.test_main.)"""
        for command in ("run", "check"):
            code, out, err = self.console(command, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out, rf"(?i)^usage: natsroute {command} ")

    def test_mistakes_in_settings(self) -> None:
        """One message and exit code 1, as with twistd."""
        for arguments in (["--num_publish_workers", "0"], ["--nats_ulr", "x"]):
            twistd = self.run_program("natsroute", *arguments)
            self.assertEqual(twistd.wait(), 1)
            program = self.run_program(*arguments, kind=Run)
            self.assertEqual(program.wait(), 1)
            self.assertEqual(program.output(), twistd.output())

    def test_broken_pipe(self) -> None:
        """A reader that has seen enough ends the command, without a traceback."""
        program = self.start("--nats_url", "nats://127.0.0.1:1")
        ended = subprocess.run(
            f"{sys.executable} -m natsroute status --watch --json --interval 0.01 --timeout {TIMEOUT} | head -1",
            shell=True,
            cwd=self.folder,
            env=self.environment(NATSROUTE_ADMIN_SOCKET=self.socket_of(program)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        self.assertEqual((json.loads(ended.stdout)["name"], ended.stderr), ("natsroute", ""))

    def test_watch(self) -> None:
        """In a terminal, until Ctrl-C, which restores it."""
        program = self.start("--nats_url", "nats://127.0.0.1:1")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        watching = subprocess.Popen(
            [
                *(*NATSROUTE, "status", "--watch", "--interval", "0.1"),
                *("--timeout", str(TIMEOUT), "--socket", self.socket_of(program)),
            ],
            env=self.environment(TERM="xterm"),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=listen_to_ctrl_c,
        )
        os.close(theirs)
        self.addCleanup(watching.kill)
        written = b""
        while written.count(b"natsroute: natsroute") < 3:
            written += os.read(ours, 65_536)
        watching.send_signal(signal.SIGINT)
        try:
            while data := os.read(ours, 65_536):
                written += data
        except OSError:
            pass  # the other end is closed
        self.assertEqual(watching.wait(TIMEOUT), 0, written)
        self.assertTrue(written.startswith(b"\x1b[?1049h"), written[:100])
        self.assertTrue(written.rstrip().endswith(b"\x1b[?1049l"), written[-100:])
        self.assertNotIn(b"Traceback", written)
        self.assertIn(b"per second", written)

    def test_imports(self) -> None:
        """``natsroute run`` starts as fast as twistd: it imports a few modules more, and none from elsewhere."""

        def imported(*program: str) -> set[str]:
            ended = subprocess.run(
                [sys.executable, "-X", "importtime", *program, "--num_publish_workers", "0"],
                cwd=self.folder,
                env=self.environment(),
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
            return set(re.findall(r"^import time: .* \| +([\w.]+)$", ended.stderr, re.MULTILINE))

        twistd = imported(*Twistd.program, "natsroute")
        self.assertIn("natsroute.daemon.options", twistd)
        more = imported(*Run.program) - twistd
        self.assertIn("natsroute.console.main", more)
        self.assertEqual({name for name in more if not name.startswith("natsroute.console")} - {"runpy"}, set())
        self.assertLess(len(more), 8)


class SeveralServicesTests(ConsoleTestCase):
    """More than one service of this user, or remains of one."""

    def test_two_services(self) -> None:
        """They are listed; the command asks which."""
        first = self.start("--nats_url", "nats://127.0.0.1:1", "--client_name", "sbc 1")
        second = self.start("--nats_url", "nats://127.0.0.1:1", "--client_name", "sbc 2")
        code, out, err = self.console("status")
        self.assertEqual((code, out), (2, ""))
        for program in (first, second):
            self.assertIn(f", process {program.process.pid}, {self.socket_of(program)}\n", err)
        for words, name in [
            (["--name", "sbc 1"], "sbc 1"),
            (["--pid", str(second.process.pid)], "sbc 2"),
            (["--socket", self.socket_of(first)], "sbc 1"),
        ]:
            code, out, _ = self.console("status", *words)
            self.assertEqual((code, out.partition(":")[0]), (1, name))
        self.assertEqual(self.console("status", "--name", "sbc")[0], 3)

    def test_killed(self) -> None:
        """Its socket is left; nobody is found there, and the next service removes it."""
        program = self.start("--nats_url", "nats://127.0.0.1:1", "--client_name", "one")
        left_over = Path(self.socket_of(program))
        program.kill()
        self.assertTrue(left_over.is_socket())
        self.assertEqual(self.console("status", "--name", "one")[0], 3)
        self.start("--nats_url", "nats://127.0.0.1:1", "--client_name", "one")
        self.assertFalse(left_over.exists())

    def test_same_path(self) -> None:
        """The second service does not start, and leaves the first one alone. After a kill, the path is free."""
        path = str(self.folder / "a.sock")
        arguments = ("--nats_url", "nats://127.0.0.1:1", "--admin_socket", path)
        first = self.start(*arguments)
        second = self.run_program(*arguments, kind=Run)
        self.assertEqual(second.wait(), 1)
        self.assertIn(f"admin_socket = '{path}' (from --admin_socket): another process listens there", second.output())
        self.assertNotIn("Traceback", second.output())
        self.assertEqual(self.overview(first)["pids"], [first.process.pid])
        first.kill()
        self.assertEqual(self.overview(self.start(*arguments))["ready"], False)

    def test_off(self) -> None:
        program = self.run_program("--nats_url", "nats://127.0.0.1:1", "--admin_socket", "off", kind=Run)
        self.wait_for("Cannot use", program)
        self.assertNotIn("socket", program.output())
        self.assertFalse((self.folder / "natsroute").exists())

    def test_default_path_that_cannot_be_used(self) -> None:
        """A warning that says what to do; the service runs."""
        (self.folder / "natsroute").symlink_to("/tmp")
        program = self.run_program("--nats_url", "nats://127.0.0.1:1", kind=Run)
        self.wait_for("Cannot use", program)
        self.assertRegex(program.output(), r"There is no admin socket at .*: it is a link .* or admin_socket=off")
        program.process.send_signal(signal.SIGTERM)
        self.assertIn(program.wait(), ENDED)


class HostileClientTests(ConsoleTestCase):
    """Clients of the admin socket that do what they should not. The service goes on, and serves others."""

    def setUp(self) -> None:
        super().setUp()
        self.program = self.start("--nats_url", "nats://127.0.0.1:1")
        self.path = self.socket_of(self.program)

    def connect(self) -> socket.socket:
        """A connection to the socket."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.path)
        client.settimeout(TIMEOUT)  # not before: connecting would fail while others wait to be accepted
        return client

    def serves(self) -> None:
        """Check that a good client is served, and soon. It tries again when it is told to."""
        before = time.monotonic()
        answer = b"try again later"
        while b"try again later" in answer:
            self.assertLess(time.monotonic() - before, TIMEOUT / 2)
            client = self.connect()
            client.sendall(b'{"jsonrpc":"2.0","method":"ready","id":1}\n')
            answer = client.recv(65_536)
            client.close()
        self.assertIn(b'"ready":false', answer)
        self.assertLess(time.monotonic() - before, TIMEOUT / 2)

    def received(self, client: socket.socket) -> Iterator[bytes]:
        """What comes until the connection ends."""
        try:
            while data := client.recv(65_536):
                yield data
        except ConnectionError:
            pass

    def test_half_lines(self) -> None:
        """More clients than there may be connections."""
        for _ in range(100):
            self.connect().sendall(b'{"jsonrpc":"2.0",')
        self.serves()

    def test_long_line(self) -> None:
        """10 MB without a line end: an answer, and the end of the connection."""
        client = self.connect()
        try:
            client.sendall(b"x" * 10_000_000)
        except ConnectionError:
            pass
        self.assertIn(b"a request has at most 65536 bytes", b"".join(self.received(client)))
        self.serves()

    def test_many_requests_that_nobody_reads_the_answers_of(self) -> None:
        """What the service holds for such clients is bounded."""
        before = 0 if CANNOT_MEASURE else memory_of(self.program.process.pid)
        requests = b'{"jsonrpc":"2.0","method":"overview","id":1}\n' * 1000
        for _ in range(20):
            client = self.connect()
            client.settimeout(0.5)
            try:
                for _ in range(100):
                    client.sendall(requests)
            except (TimeoutError, ConnectionError):
                pass
        self.serves()
        if not CANNOT_MEASURE:
            self.assertLess(memory_of(self.program.process.pid) - before, 40 * 1024)

    def test_thousand_connections(self) -> None:
        """Most are closed again; the service does not run out of descriptors."""
        clients = [self.connect() for _ in range(1000)]
        self.serves()
        opened = len(os.listdir(f"/proc/{self.program.process.pid}/fd")) if os.path.exists("/proc/self/fd") else 0
        self.assertLess(opened, 80)
        for client in clients:
            client.close()
        self.serves()

    def test_garbage(self) -> None:
        client = self.connect()
        client.sendall(os.urandom(1000).replace(b"\n", b"") + b"\n" + b"[" * 60_000 + b"\n")
        client.shutdown(socket.SHUT_WR)
        answers = b"".join(self.received(client)).splitlines()
        self.assertEqual([json.loads(answer)["error"]["code"] for answer in answers], [-32700, -32700])
        self.serves()

    def test_gone_before_the_answer(self) -> None:
        for _ in range(100):
            client = self.connect()
            client.sendall(b'{"jsonrpc":"2.0","method":"overview","id":1}\n' * 100)
            client.close()
        self.serves()
        self.assertNotIn("Traceback", self.program.output())

    def test_other_user(self) -> None:
        """The folder keeps others out; and if it did not, so would the service."""
        program = (
            "import os, socket, sys\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "client = socket.socket(socket.AF_UNIX)\n"
            "try: client.connect('natsroute/' + sys.argv[1])\n"
            "except PermissionError: print('no permission'); sys.exit()\n"
            'try: client.sendall(b\'{"jsonrpc":"2.0","method":"stop","id":1}\\n\')\n'
            "except ConnectionError: pass\n"  # it has been refused already
            "print(client.recv(1000))\n"
        )

        def as_nobody() -> str:
            return subprocess.run(
                [sys.executable, "-c", program, Path(self.path).name],
                cwd=self.folder,  # that user may not search the folders above it
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=True,
            ).stdout

        self.assertEqual(as_nobody(), "no permission\n")
        os.chmod(self.folder, 0o755)
        os.chmod(self.folder / "natsroute", 0o755)
        self.assertEqual(as_nobody(), "no permission\n")
        os.chmod(self.path, 0o666)
        self.assertIn("only the user of the service and root may use this socket", as_nobody())
        self.assertIn("The admin socket refuses clients of user 65534", self.program.output())
        self.serves()

    if os.geteuid() != 0:
        test_other_user.skip = "only root can be another user"  # type: ignore[attr-defined]


class DocumentTests(ConsoleTestCase):
    """The snippets of docs/command.md."""

    SETTINGS = {"NATSROUTE_EMBEDDED_SERVER": "1", "NATSROUTE_TOKEN": "t0ken", "NATSROUTE_DRAIN_TIMEOUT": "0"}

    def commands(self, heading: str) -> list[list[str]]:
        """The words of each command below a heading, without the name of the program."""
        lines = snippet("docs/command.md", heading, "console").text.splitlines()
        words = [shlex.split(line) for line in lines]
        return [words[1:] if words[0] == "natsroute" else words for words in words]

    def test_commands(self) -> None:
        check, run, status, watch = self.commands("The command natsroute")
        code, out, _ = self.console(*check, **self.SETTINGS)
        self.assertEqual(code, 0)
        self.assertIn("Kamailio-World  2021 ", out)
        program = self.start(*run[1:], **self.SETTINGS)
        self.until(lambda: self.overview(program)["ready"], program)
        which = ("--pid", str(program.process.pid))
        self.assertEqual(self.console(*status, *which)[0], 0)
        watching = subprocess.Popen(
            [*NATSROUTE, *watch, *which, "--timeout", str(TIMEOUT)],
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=listen_to_ctrl_c,
        )
        self.addCleanup(watching.kill)
        assert watching.stdout is not None
        self.assertIn("natsroute: natsroute", watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=TIMEOUT)
        self.assertEqual(watching.returncode, 0)

    def test_socket(self) -> None:
        """The request; ``socat`` sends it and closes its side."""
        [words] = self.commands("The admin socket")
        self.assertEqual(words[2:5], ["|", "socat", "-"])
        program = self.start(**self.SETTINGS)
        self.assertRegex(words[5], r"^UNIX-CONNECT:/run/natsroute/natsroute-\d+\.sock$")
        self.assertRegex(self.socket_of(program), r"/natsroute/natsroute-\d+\.sock$")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket_of(program))
            client.sendall(f"{words[1]}\n".encode())
            client.shutdown(socket.SHUT_WR)
            self.assertIn("reasons", json.loads(client.makefile().read())["result"])

    def test_nats(self) -> None:
        """The request, as ``nats request`` sends it."""
        run, (program_name, command, subject, request) = self.commands("Over NATS")
        self.assertEqual([program_name, command], ["nats", "request"])
        program = self.start(*run[1:], **self.SETTINGS)
        self.wait_for("admin subject: connected to", program)
        [port] = re.findall(r"admin subject: connected to nats://127\.0\.0\.1:(\d+)", program.output())
        with socket.create_connection(("127.0.0.1", int(port)), TIMEOUT) as client:
            client.sendall(b'CONNECT {"auth_token":"t0ken","verbose":false,"headers":true,"no_responders":true}\r\n')
            client.sendall(b"SUB _INBOX.1 1\r\n")
            client.sendall(f"PUB {subject} _INBOX.1 {len(request)}\r\n{request}\r\n".encode())
            lines = iter(client.makefile().readline, "")
            self.assertTrue(any(line.startswith("MSG _INBOX.1 1 ") for line in lines))
            self.assertIn("reasons", json.loads(next(lines))["result"])
