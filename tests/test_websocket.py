"""natsroute.client.transport.websocket"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import CancelledError, fail
from twisted.internet.error import ConnectError, ConnectionAborted
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.attempt import NatsFactory
from natsroute.client.protocol import NatsProtocol
from natsroute.errors import SettingError
from tests.support.memory_network import info
from tests.support.memory_websocket import CLOSE, WebSocketTestCase, frame, frames

ROOT = Path(__file__).parents[1]


class EndpointTests(WebSocketTestCase):
    """WebSocketEndpoint"""

    def test_connection_refused(self) -> None:
        """The failure of the endpoint below is passed on."""
        self.patch(self.below, "connect", lambda factory: fail(ConnectError()))
        self.failureResultOf(self.connect(), ConnectError)

    def test_cancelled_before_tcp(self) -> None:
        connecting = self.connect()
        connecting.cancel()
        self.assertTrue(self.below.cancelled)
        self.failureResultOf(connecting, CancelledError)

    def test_cancelled_in_the_handshake(self) -> None:
        connecting, _ = self.begin()
        connecting.cancel()
        self.assertTrue(self.below.transport.aborted)
        self.failureResultOf(connecting, CancelledError)
        self.lose(ConnectionAborted())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_do_start_and_do_stop(self) -> None:
        self.open()
        self.assertEqual(self.factory.numPorts, 1)
        self.below.factory.doStop()
        self.assertEqual(self.factory.numPorts, 0)

    def test_malformed_url(self) -> None:
        """The error contains no credentials."""
        for url in ["ws://user:hunter2@host:99999/", "nats://hunter2@host", "ws://"]:
            self.url = url
            error = self.assertRaises(SettingError, self.connect)
            self.assertEqual(error.setting, "nats_url")
            self.assertNotIn("hunter2", str(error))

    def test_nats(self) -> None:
        """A NatsProtocol works over it."""
        self.factory = NatsFactory(lambda: NatsProtocol(self.clock, name="x", version="1"))  # type: ignore[assignment]
        connecting, request = self.begin()
        self.accept(request, frame(info()))
        protocol: NatsProtocol = self.successResultOf(connecting)
        self.assertTrue(self.below.transport.no_delay)
        said = b"".join(payload for _, payload in frames(self.below.transport.sent()))
        self.assertRegex(said, rb"^CONNECT \{.*\}\r\nPING\r\n$")
        self.receive(frame(b"PONG\r\n"))
        self.assertEqual(self.successResultOf(protocol.ready).server_id, "S")
        protocol.close()
        self.assertEqual(frames(self.below.transport.sent()), [(CLOSE, b"\x03\xe8")])
        self.lose()
        self.assertIn("this side closed the connection", str(self.successResultOf(protocol.closed)))


class OptionalTests(SynchronousTestCase):
    """autobahn is optional."""

    def test_without_autobahn(self) -> None:
        """The module can be imported, and the error names the extra."""
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['autobahn'] = None\n"
            "from natsroute.client.transport.websocket import WebSocketEndpoint\n"
            "try: WebSocketEndpoint(None, None, url='ws://u:hunter2@host:1', timeout=1.0)\n"
            "except ValueError as error: print(type(error).__name__, error)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual(ended.stderr, "")
        self.assertIn("SettingError nats_url = 'ws://***@host:1': WebSocket needs autobahn", ended.stdout)
        self.assertIn("pip install 'natsroute[websocket]'", ended.stdout)

    def test_a_service_without_autobahn(self) -> None:
        """The error comes at the start."""
        program = (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['autobahn'] = None\n"
            "from natsroute import NatsrouteService, Settings\n"
            "try: NatsrouteService(Settings(nats_url='ws://host:1'))\n"
            "except ValueError as error: print(error)"
        )
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertIn("WebSocket needs autobahn", ended.stdout)

    def test_autobahn_is_imported_when_it_is_needed(self) -> None:
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import natsroute.client.transport.websocket\n"
        program += "print(any('autobahn' in name or 'txaio' in name for name in sys.modules))"
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual((ended.stdout.strip(), ended.stderr), ("False", ""))
