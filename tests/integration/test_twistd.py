"""``twistd natsroute`` and ``natsroute.tac`` in processes of their own, as an operator runs them"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from natsroute import hot
from tests.support import ROOT
from tests.support.processes import alive
from tests.support.twistd import Twistd, TwistdTestCase

ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:in")
async def relay(event):
    await event.publish("out", event.data)

@event_route("nats:out")
def show(event):
    print("ARRIVED", event.text(), flush=True)

connected = []

@event_route("nats:connected")
async def begin(event):
    connected.append(event.server)
    if len(connected) == 4:  # two consumers and two publish workers: both subscriptions are there
        await event.publish("in", "hello")
"""


EMBEDDED = ("natsroute", "--embedded_server", "--subject_queue_group", "in:q", "--subject_queue_group", "out")


class RunTests(TwistdTestCase):
    """From start to stop."""

    files = {"routes.py": ROUTES}

    def server_pid(self, program: Twistd) -> int:
        """The process of the embedded nats-server: a child of the child guard."""
        pids = subprocess.run(["pgrep", "-P", str(program.process.pid)], capture_output=True, text=True, check=True)
        [guard] = pids.stdout.split()
        pids = subprocess.run(["pgrep", "-P", guard], capture_output=True, text=True, check=True)
        [server] = pids.stdout.split()
        return int(server)

    def test_twistd_natsroute(self) -> None:
        """It starts, routes messages, and ends at SIGTERM together with its server."""
        program = self.run_program(*EMBEDDED, "--event_routes", "routes.py")
        self.wait_for("ARRIVED hello", program)
        output = program.output()
        self.assertRegex(output, r"natsroute \d+\.\d+\.\d+: NATS servers: the embedded server; publish workers: 2; ")
        self.assertIn(f"; {hot.describe()}\n", output)
        self.assertIn("Consumer in:q -> nats:in", output)
        self.assertIn("Consumer out -> nats:out", output)
        server = self.server_pid(program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertFalse(alive(server))
        self.assertNotIn("Traceback", program.output())
        self.assertNotIn("#error", program.output())

    def test_the_server_ends_with_a_killed_natsroute(self) -> None:
        """SIGKILL of the process alone, and of its process group."""
        for kill in (os.kill, os.killpg):
            program = self.run_program(*EMBEDDED, "--event_routes", "routes.py")
            self.wait_for("ARRIVED hello", program)
            server = self.server_pid(program)
            kill(program.process.pid, signal.SIGKILL)
            self.until(lambda server=server: not alive(server), program)

    def test_relative_paths(self) -> None:
        """They count from where the program was started, also if twistd changes the directory."""
        (self.folder / "elsewhere").mkdir()
        program = self.run_program("--rundir", "elsewhere", *EMBEDDED, "--event_routes", "routes.py")
        self.wait_for("ARRIVED hello", program)
        seed = self.folder / "seed"
        seed.write_text("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n", encoding="utf-8")
        seed.chmod(0o600)
        program = self.run_program(
            "--rundir", "elsewhere", "natsroute", "--nkey_file", "seed", "--nats_url", "nats://127.0.0.1:1"
        )
        self.wait_for("Cannot use", program)
        self.assertIn("refused", program.output())

    def test_kubernetes(self) -> None:
        """Variables of a Service named natsroute are no settings."""
        program = self.run_program(
            *EMBEDDED,
            "--event_routes",
            "routes.py",
            NATSROUTE_SERVICE_HOST="10.0.0.1",
            NATSROUTE_SERVICE_PORT_HTTP="80",
            NATSROUTE_PORT="tcp://10.0.0.1:80",
            NATSROUTE_PORT_80_TCP_ADDR="10.0.0.1",
        )
        self.wait_for("ARRIVED hello", program)

    def test_tac(self) -> None:
        """All settings come from the environment."""
        program = self.run_program(
            "--python",
            str(ROOT / "natsroute.tac"),
            NATSROUTE_EMBEDDED_SERVER="1",
            NATSROUTE_SUBJECT_QUEUE_GROUP="in:q,out",
            NATSROUTE_EVENT_ROUTES="routes.py",
        )
        self.wait_for("ARRIVED hello", program)

    def test_stopped_without_a_server(self) -> None:
        """It starts, logs once that there is no server, and ends at once at SIGTERM."""
        program = self.run_program(
            "natsroute", "--nats_url", "nats://user:hunter2@127.0.0.1:1", "--subject_queue_group", "in"
        )
        self.wait_for("natsroute keeps trying", program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertEqual(program.output().count("Cannot use"), 1)
        self.assertNotIn("hunter2", program.output())

    def test_stopped_during_a_call(self) -> None:
        """The call ends first. After a second signal it is cancelled."""
        show = (
            "async def show(event):\n"
            "    from twisted.internet import reactor, task\n"
            "    reactor.addSystemEventTrigger('before', 'shutdown', print, 'ENDING', flush=True)\n"
            "    print('BEGUN', flush=True)\n"
            "    await task.deferLater(reactor, SECONDS)\n"
        )
        slow = ROUTES.replace("def show(event):\n", show)
        for seconds, signals in ((1, 1), (3600, 2)):
            (self.folder / "slow.py").write_text(slow.replace("SECONDS", str(seconds)), encoding="utf-8")
            program = self.run_program(*EMBEDDED, "--event_routes", "slow.py")
            self.wait_for("BEGUN", program)
            for _ in range(signals):
                program.process.send_signal(signal.SIGTERM)
                self.wait_for("Received SIGTERM", program)
                self.wait_for("ENDING", program)
            program.wait()
            output = program.output()
            self.assertEqual("ARRIVED hello" in output, signals == 1)
            self.assertEqual("Messages received but not fully handled: 1; subjects: out" in output, signals == 2)
            self.assertNotIn("Traceback", output)

    def test_stopped_while_a_thread_blocks(self) -> None:
        """A route that never ends does not keep the process running."""
        (self.folder / "blocks.py").write_text(
            ROUTES.replace('@event_route("nats:out")', '@event_route("nats:out", thread=True)').replace(
                "flush=True)", "flush=True); import time; time.sleep(3600)"
            ),
            encoding="utf-8",
        )
        program = self.run_program(*EMBEDDED, "--event_routes", "blocks.py", "--drain_timeout", "0.5")
        self.wait_for("ARRIVED hello", program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertIn("Threads of the pool natsroute routes that are still blocked: 1.", program.output())


class MistakeTests(TwistdTestCase):
    """Exit code 1 at once, with one message and no traceback."""

    files = {"routes.py": ROUTES}

    def fails(self, *arguments: str, **environment: str) -> str:
        """Run it; returns its one message."""
        program = self.run_program(*arguments, **environment)
        self.assertEqual(program.wait(), 1, program.output())
        [message] = program.output().splitlines()
        self.assertTrue(message.startswith("natsroute: "), message)
        self.assertNotIn("hunter2", message)
        return message

    def test_settings(self) -> None:
        (self.folder / "bad.py").write_text("def f(:\n", encoding="utf-8")
        (self.folder / "none.py").write_text("x = 1\n", encoding="utf-8")
        for arguments, message in [
            ("--nats_url amqp://u:hunter2@h", r"nats_url = 'amqp://\*\*\*@h': .*Write nats://HOST:PORT"),
            ("--nats_url nats://u:hunter2@", r"nats_url = .*the host is missing"),
            ("--nats_url nats://h:70000", r"nats_url = .*1 to 65535"),
            ("--subject_queue_group :g", r"subject_queue_group = ':g': .*empty.*Write SUBJECT:GROUP"),
            ("--subject_queue_group s:", r"subject_queue_group = 's:': .*empty.*Write SUBJECT:GROUP"),
            ("--num_publish_workers 0", r"num_publish_workers = '0': .*Give 1 or more"),
            ("--event_routes missing.py", r"event_routes = '/.*/missing.py': there is no such file"),
            ("--event_routes bad.py", r"event_routes = '/.*/bad.py': syntax error in line 1 of .*bad.py"),
            ("--event_routes none.py", r"event_routes = '/.*/none.py': there is no EventRoutes in it"),
            ("--event_routes routes.py --event_routes ./routes.py", r"two event routes 'nats:in'"),
            ("--event_callback os:sep", r"event_callback = 'os:sep': it cannot be called"),
            ("--event_callback nowhere:f", r"event_callback = 'nowhere:f': .*No module named 'nowhere'"),
        ]:
            option, *_ = arguments.split()
            error = self.fails("natsroute", *arguments.split())
            self.assertIn(f" (from {option}): ", error)
            self.assertRegex(error.replace(f" (from {option})", ""), message)
        self.assertRegex(self.fails("natsroute", "--subject_queue_group", "a b:g"), "white space")
        error = self.fails("natsroute", "--nats_ulr", "1")
        self.assertRegex(error, r"option --nats_ulr not recognized. Did you mean --nats_url\?")

    def test_environment(self) -> None:
        tac = ("--python", str(ROOT / "natsroute.tac"))
        error = self.fails(*tac, NATSROUTE_NATS_URL="u:hunter2@h")
        self.assertRegex(error, r"nats_url = .* \(from NATSROUTE_NATS_URL\): .* no scheme")
        self.assertRegex(self.fails(*tac, NATSROUTE_NATS_ULR="nats://u:hunter2@h"), "there is no such setting")

    def test_within_two_seconds(self) -> None:
        """
        With the start of Python and Twisted, on a machine that needs 0.4 s to import what each server with HTTP does.

        It is measured in time of the processor, since other tests run at the same time, and as a multiple of that
        import, since machines differ.
        """
        imports = [sys.executable, "-c", "import twisted.application.app, twisted.internet.reactor, twisted.web.server"]
        programs = (
            lambda: subprocess.run(imports, check=True),
            lambda: self.fails("natsroute", "--num_publish_workers", "0"),
        )
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(3):
            for program, found in zip(programs, times):
                before = os.times()
                program()
                after = os.times()
                found.append(
                    after.children_user + after.children_system - before.children_user - before.children_system
                )
        of_imports, of_natsroute = map(min, times)
        self.assertTrue(0.0 < of_natsroute < 5 * of_imports, times)
