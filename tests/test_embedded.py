"""natsroute.daemon.embedded; tests.integration.test_embedded shows it with a real nats-server."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.embedded import MAX_FAILED_STARTS, STABLE, EmbeddedServer
from natsroute.errors import ConnectionLostError
from tests.support.log_recorder import LogRecorder
from tests.support.memory_process import MemoryProcess, MemoryProcessReactor
from tests.support.secret_watch import secret
from tests.test_nats_server import IN_USE, LOG


def config_of(process: MemoryProcess) -> str:
    """The configuration that a process was started with."""
    return Path(process.command[-1]).read_text("utf-8")


def token_of(server: EmbeddedServer) -> str:
    """The token that clients need."""
    assert server.server is not None
    assert server.server.credentials is not None
    return str(server.server.credentials.token)


class EmbeddedServerTests(SynchronousTestCase):
    """EmbeddedServer on a reactor in memory."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = MemoryProcessReactor()
        self.failed: list[Failure] = []

    def server(self, **options: Any) -> EmbeddedServer:
        return EmbeddedServer(self.reactor, on_failed=self.failed.append, **options)

    def started(self, **options: Any) -> EmbeddedServer:
        """A server that takes connections, on port 40000."""
        server = self.server(**options)
        server.start()
        self.process.write_error(LOG)
        return server

    @property
    def process(self) -> MemoryProcess:
        """The newest process."""
        return self.reactor.processes[-1]

    def refuse_port(self) -> None:
        """The newest process ends, since its port is taken."""
        self.process.write_error(IN_USE.encode() + b"\n")
        self.process.end(1)

    def test_start(self) -> None:
        """On the loopback interface, on a free port or the one that was asked for."""
        for port, written in [(0, -1), (4222, 4222)]:
            server = self.server(port=port)
            started = server.start()
            config = config_of(self.process).splitlines()
            self.assertEqual(config[:2], ['host: "127.0.0.1"', f"port: {written}"])
            self.assertNotIn("jetstream", "".join(config))
            self.assertNoResult(started)
            self.process.write_error(LOG)
            self.assertEqual(self.successResultOf(started), server.server)
            self.assertEqual((str(server.server), server.pid), ("nats://127.0.0.1:40000", 4711))
        self.assertEqual(len(self.log.matching("listens on nats://127.0.0.1:40000")), 2)

    def test_token(self) -> None:
        """
        A random one in a file that only this user can read, and that goes when the server has read it. It is in no
        command line.
        """
        tokens = set()
        for _ in range(2):
            server = self.server()
            server.start()
            path = Path(self.process.command[-1])
            self.assertEqual([stat.S_IMODE(each.stat().st_mode) & 0o077 for each in (path, path.parent)], [0, 0])
            [token] = re.findall('token: "([^"]{32,})"', path.read_text())
            tokens.add(secret(token))
            self.assertNotIn(token, " ".join(self.process.command))
            self.process.write_error(LOG)
            self.assertEqual(token_of(server), token)
            self.assertFalse(path.parent.exists())
        self.assertEqual(len(tokens), 2)

    def test_token_of_the_settings(self) -> None:
        token = secret('the "token" of a test')
        self.started(token=token)
        self.server(token=token).start()
        self.assertIn(f"token: {json.dumps(token)}", config_of(self.process))

    def test_jetstream(self) -> None:
        self.server(store_dir='/var/lib/"streams"').start()
        self.assertIn('jetstream: { store_dir: "/var/lib/\\"streams\\"" }', config_of(self.process))

    def test_it_does_not_start(self) -> None:
        """The failure has the server's error, and nothing else is logged."""
        started = self.server().start()
        path = Path(self.process.command[-1])
        self.refuse_port()
        self.assertIn("address already in use", str(self.failureResultOf(started, ConnectionLostError).value))
        self.assertEqual((self.log.lines(), self.failed), ([], []))
        self.assertFalse(path.parent.exists())

    def test_errors_in_its_log(self) -> None:
        """Those from before it takes connections too."""
        server = self.server()
        server.start()
        self.process.write_error(IN_USE.replace("FTL", "ERR").encode() + b"\n")
        self.assertEqual(self.log.lines(), [])
        self.process.write_error(LOG)
        self.process.write_error(IN_USE.replace("FTL", "ERR").encode() + b"\n")
        self.assertEqual(len(self.log.matching("address already in use")), 2)

    def test_it_ends_by_itself(self) -> None:
        """It is started again at once, on the same port and with the same token."""
        server = self.started()
        before = server.server
        self.process.end(137)
        [line] = self.log.lines("error")
        self.assertIn("ended by itself, and is started again: ", line)
        self.assertIn("137", line)
        self.reactor.advance(0.0)
        self.assertEqual(len(self.reactor.processes), 2)
        config = config_of(self.process)
        self.assertIn("port: 40000\n", config)
        self.assertIn(token_of(server), config)
        self.process.write_error(LOG.replace(b"4711", b"4712"))
        self.assertEqual((server.server, server.pid), (before, 4712))
        self.assertEqual(self.failed, [])

    def test_backoff(self) -> None:
        """A server that ends again and again is started less and less often; one that lasted, at once."""
        self.started()
        waits = []
        for ran in (*[1.0] * 8, STABLE):
            self.reactor.advance(ran)
            self.process.end(1)
            [restart] = self.reactor.getDelayedCalls()
            waits.append(restart.getTime() - self.reactor.seconds())
            self.reactor.advance(waits[-1])
            self.process.write_error(LOG)
        self.assertEqual(waits, [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 0.0])
        self.assertEqual(len(self.reactor.processes), 10)

    def test_it_cannot_be_started_again(self) -> None:
        """After a few attempts, that is a failure."""
        self.started()
        self.process.end(1)
        for _ in range(MAX_FAILED_STARTS + 1):
            self.assertEqual(self.failed, [])
            self.reactor.advance(30.0)
            self.refuse_port()
        [failure] = self.failed
        self.assertIn("address already in use", str(failure.value))
        self.assertIn("cannot be started again: ", self.log.lines("error")[-1])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """It is waited for, and its end is no error."""
        server = self.server()
        self.successResultOf(server.stopService())
        server.start()
        self.process.write_error(LOG)
        stopped = server.stopService()
        self.assertNoResult(stopped)
        self.assertTrue(self.process.stdin_closed)
        self.process.end()
        self.successResultOf(stopped)
        self.assertEqual((self.log.lines("error"), self.reactor.getDelayedCalls()), ([], []))

    def test_stop_before_it_is_started_again(self) -> None:
        """In a wait, and while it starts."""
        server = self.started()
        self.process.end(1)
        self.successResultOf(server.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

        server = self.started()
        self.process.end(1)
        self.reactor.advance(0.0)
        stopped: Deferred[None] = server.stopService()
        self.process.end(1)
        self.successResultOf(stopped)
        self.assertEqual((self.reactor.getDelayedCalls(), self.failed), ([], []))

    def test_start_after_a_stop(self) -> None:
        """A free port is chosen again."""
        server = self.started()
        server.stopService()
        self.process.end()
        server.start()
        self.assertIn("port: -1\n", config_of(self.process))
