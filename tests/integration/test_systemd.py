"""natsroute.daemon.operations.systemd with real sockets: what a service manager receives from ``twistd natsroute``"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

from tests.support import ROOT
from tests.support.twistd import Twistd, TwistdTestCase

ROUTES = """
import os
import time
from natsroute import EventRoutes
event_route = EventRoutes()

@event_route("nats:connected")
async def begin(event):
    print("VARIABLES", sorted(name for name in os.environ if "NOTIFY" in name or "WATCHDOG" in name), flush=True)
    if os.path.exists("block"):
        print("BLOCKED", flush=True)
        while os.path.exists("block"):
            time.sleep(0.01)
"""


class ServiceManager:
    """The socket of a service manager."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.received: list[dict[str, str]] = []

    def receive(self) -> list[dict[str, str]]:
        """All that has come so far, each as variables."""
        while True:
            try:
                lines = self.socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.received
            self.received.append(dict(line.split("=", 1) for line in lines))

    def kinds(self) -> list[str]:
        """What has come so far, without values, without the status and the watchdog."""
        return [kind for each in self.receive() for kind in (next(iter(each)),) if kind not in ("STATUS", "WATCHDOG")]

    def resets(self) -> int:
        """How often the watchdog was reset so far."""
        return sum("WATCHDOG" in variables for variables in self.receive())


class SystemdTests(TwistdTestCase):
    """``twistd natsroute`` and ``natsroute.tac`` with a NOTIFY_SOCKET."""

    files = {"routes.py": ROUTES}

    def manager(self, address: str) -> ServiceManager:
        manager = ServiceManager(address.replace("@", "\0", 1))
        self.addCleanup(manager.socket.close)
        return manager

    def start(self, address: str, *arguments: str, **environment: str) -> Twistd:
        """natsroute with a server of its own."""
        return self.run_program(
            "natsroute",
            "--embedded_server",
            "--subject_queue_group=in:q",
            "--event_routes=routes.py",
            *arguments,
            NOTIFY_SOCKET=address,
            **environment,
        )

    def test_path(self) -> None:
        """READY when it is connected, STOPPING when it begins to stop, and a status line that changes with it."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        program = self.start(address)
        self.until(lambda: "READY" in manager.kinds(), program)
        self.assertIn("connected to", program.output())
        self.until(lambda: "3 connected" in manager.receive()[-1].get("STATUS", ""), program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertEqual(manager.kinds(), ["READY", "STOPPING"])
        statuses = [variables["STATUS"] for variables in manager.receive() if "STATUS" in variables]
        self.assertTrue(statuses[0].startswith("not ready: "), statuses)
        self.assertTrue(statuses[-1].startswith("not ready: the service stops"), statuses)

    def test_reload(self) -> None:
        """RELOADING with the time of the monotonic clock, and READY after it, also if the code cannot be loaded."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        program = self.start(address)
        self.until(lambda: "READY" in manager.kinds(), program)
        before = time.monotonic_ns() // 1000
        program.process.send_signal(signal.SIGHUP)
        self.until(lambda: manager.kinds() == ["READY", "RELOADING", "READY"], program)
        [reloading] = [variables for variables in manager.receive() if "RELOADING" in variables]
        self.assertTrue(before < int(reloading["MONOTONIC_USEC"]) < time.monotonic_ns() // 1000)
        (self.folder / "routes.py").write_text("this is no Python", encoding="utf-8")
        program.process.send_signal(signal.SIGHUP)
        self.until(lambda: manager.kinds()[3:] == ["RELOADING", "READY"], program)

    def test_abstract_socket(self) -> None:
        """And from natsroute.tac."""
        address = f"@natsroute-{uuid.uuid4()}"
        manager = self.manager(address)
        program = self.run_program(
            "--python",
            str(ROOT / "natsroute.tac"),
            NOTIFY_SOCKET=address,
            NATSROUTE_EMBEDDED_SERVER="1",
        )
        self.until(lambda: "READY" in manager.kinds(), program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertEqual(manager.kinds(), ["READY", "STOPPING"])

    def test_children_inherit_nothing(self) -> None:
        """Neither the embedded server nor its guard nor the code of routes could notify in our name."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        program = self.start(address, WATCHDOG_USEC="1000000")
        self.until(lambda: "READY" in manager.kinds(), program)
        self.wait_for("VARIABLES []", program)
        pids = [program.process.pid]
        for _ in range(2):  # the guard, and then the server
            children = subprocess.run(["pgrep", "-P", str(pids[-1])], capture_output=True, text=True, check=True)
            pids.append(int(children.stdout))
        for pid in pids[1:]:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            self.assertIn(b"PATH=", environment)
            self.assertNotIn(b"NOTIFY_SOCKET", environment)
            self.assertNotIn(b"WATCHDOG", environment)

    def test_processes(self) -> None:
        """Their parent notifies, when all of them are ready; they inherit nothing."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        program = self.start(address, "--processes=2", WATCHDOG_USEC="400000")
        self.until(lambda: "READY" in manager.kinds(), program)
        self.until(lambda: program.output().count("VARIABLES []") >= 6, program)
        self.assertNotIn("VARIABLES ['", program.output())
        self.until(lambda: "6 connected" in str(manager.receive()), program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertEqual(manager.kinds(), ["READY", "STOPPING"])
        self.assertGreater(manager.resets(), 2)

    def test_watchdog(self) -> None:
        """It is reset again and again, and not while a route blocks the reactor."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        (self.folder / "block").touch()
        program = self.start(address, WATCHDOG_USEC="400000")
        self.wait_for("BLOCKED", program)
        before = manager.resets()
        time.sleep(1.0)
        self.assertEqual(manager.resets(), before)
        (self.folder / "block").unlink()
        self.until(lambda: "READY" in manager.kinds() and manager.resets() > before + 5, program)

    def test_watchdog_of_another_process(self) -> None:
        """A shell that started natsroute is watched, not natsroute."""
        address = str(self.folder / "notify")
        manager = self.manager(address)
        program = self.start(address, WATCHDOG_USEC="100000", WATCHDOG_PID=str(os.getpid()))
        self.until(lambda: "READY" in manager.kinds(), program)
        self.assertEqual(manager.resets(), 0)

    def test_no_such_socket(self) -> None:
        """One warning, and it runs."""
        program = self.start(str(self.folder / "nowhere"), WATCHDOG_USEC="100000")
        self.wait_for("consumer in:q: connected", program)
        time.sleep(0.5)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertEqual(program.output().count("NOTIFY_SOCKET: systemd cannot be notified"), 1)
