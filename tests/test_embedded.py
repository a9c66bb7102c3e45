"""natsroute.daemon.embedded; tests.integration.test_embedded shows it with a real nats-server."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.embedded import EmbeddedServer
from natsroute.errors import ConnectionLostError
from tests.support.log_recorder import LogRecorder
from tests.support.memory_process import MemoryProcessReactor
from tests.test_nats_server import IN_USE, LOG


class EmbeddedServerTests(SynchronousTestCase):
    """EmbeddedServer on a reactor in memory."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = MemoryProcessReactor()

    def server(self, port: int = -1) -> EmbeddedServer:
        return EmbeddedServer(self.reactor, port=port, arguments=["--jetstream"])  # type: ignore[arg-type]

    def test_start(self) -> None:
        """On the loopback interface, on a free port or the one that was asked for."""
        for port in (-1, 4222):
            server = self.server(port)
            started = server.start()
            process = self.reactor.processes[-1]
            self.assertEqual(process.command[-5:], ["--addr", "127.0.0.1", "--port", str(port), "--jetstream"])
            self.assertNoResult(started)
            process.write_error(LOG)
            self.assertEqual(self.successResultOf(started), "nats://127.0.0.1:40000")
            self.assertEqual((server.url, server.pid), ("nats://127.0.0.1:40000", 4711))

    def test_it_does_not_start(self) -> None:
        started = self.server().start()
        self.reactor.processes[0].write_error(IN_USE.encode() + b"\n")
        self.reactor.processes[0].end(1)
        self.assertIn("address already in use", str(self.failureResultOf(started, ConnectionLostError).value))
        self.assertEqual(len(self.log.matching("address already in use")), 1)
        self.assertEqual(self.log.lines("error"), [])

    def test_it_ends_by_itself(self) -> None:
        server = self.server()
        server.start()
        self.reactor.processes[0].write_error(LOG)
        self.reactor.processes[0].end(137)
        [line] = self.log.lines("error")
        self.assertIn("ended by itself: ", line)
        self.assertIn("137", line)
        self.successResultOf(server.stopService())

    def test_stop(self) -> None:
        """It is waited for, and its end is no error."""
        server = self.server()
        self.successResultOf(server.stopService())
        server.start()
        self.reactor.processes[0].write_error(LOG)
        stopped = server.stopService()
        self.assertNoResult(stopped)
        self.assertTrue(self.reactor.processes[0].stdin_closed)
        self.reactor.processes[0].end()
        self.successResultOf(stopped)
        self.assertEqual(self.log.lines("error"), [])
