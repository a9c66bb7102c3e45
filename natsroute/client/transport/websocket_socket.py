"""
The autobahn protocol of a WebSocket.

It passes data on in the pieces in which the data arrives. It keeps neither a message nor a frame until it is complete,
so their sizes need no limit. Compression is neither offered nor accepted, because a little data could become a lot.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from natsroute.client.transport.websocket_transport import WebSocketTransport
from natsroute.errors import ConnectionLostError, HandshakeError, ProtocolError
from natsroute.text import printable

try:
    import txaio  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from autobahn.twisted.websocket import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
        WebSocketClientFactory,
        WebSocketClientProtocol,
    )
    from autobahn.websocket.types import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
        ConnectingRequest,
    )
except ImportError:
    HAS_AUTOBAHN = False
else:
    HAS_AUTOBAHN = True

_HTTP = b"HTTP/1."
_MAX_RESPONSE = 64 * 1024  # bytes of the HTTP response, which is the only thing that is kept until it is complete
_MAX_PROBLEM = 300  # characters


def options(url: str, reactor: Any) -> Any:
    """
    The options that all sockets of one endpoint share.

    :raises ValueError: the URL is malformed.
    """
    factory = WebSocketClientFactory(url=url, useragent="natsroute", reactor=reactor)
    # The transport has the timeouts, because it has our clock. autobahn would use the global reactor.
    factory.setProtocolOptions(
        openHandshakeTimeout=0, closeHandshakeTimeout=0, serverConnectionDropTimeout=0, autoPingInterval=0
    )
    return factory


if HAS_AUTOBAHN:

    class Socket(WebSocketClientProtocol):  # type: ignore[misc,unused-ignore]
        """
        Speaks WebSocket, and calls the ``on_`` methods of the transport.

        :param options: see :func:`options`.
        """

        log = txaio.make_logger(level="none")  # type: ignore[attr-defined,unused-ignore]  # failures reach the caller

        def __init__(self, above: WebSocketTransport, options: Any) -> None:
            super().__init__()
            self.factory = options
            self._above = above

        def connectionMade(self) -> None:
            self._above.on_connected(self)
            super().connectionMade()

        def onConnecting(self, transport_details: object) -> Any:
            options: Any = self.factory
            host = f"[{options.host}]" if ":" in options.host else options.host  # autobahn removes the brackets
            return ConnectingRequest(host, options.port, options.resource, useragent=options.useragent)

        def dataReceived(self, data: bytes) -> None:
            if self.state != self.STATE_CONNECTING:
                super().dataReceived(data)
                return
            beginning = self.data + data[:100]
            if not beginning.startswith(_HTTP[: len(beginning)]):
                self._refused(f"the response is not HTTP: {beginning[:100]!r}")
                return
            try:
                super().dataReceived(data)
            except Exception:  # autobahn assumes UTF-8, for example
                self._refused("the response is malformed")
            if self.state == self.STATE_CONNECTING and len(self.data) > _MAX_RESPONSE:
                self._refused(f"the response has more than {_MAX_RESPONSE} bytes")

        def failHandshake(self, reason: str) -> None:
            self._refused(_refusal(self.data) or reason)

        def _refused(self, problem: str) -> None:
            self._above.on_error(
                HandshakeError(f"the server did not accept the WebSocket: {printable(problem, _MAX_PROBLEM)}")
            )

        def onOpen(self) -> None:
            self._above.on_open()

        def onMessageBegin(self, is_binary: bool) -> None:
            if not is_binary:
                self._above.on_error(ProtocolError("a WebSocket text message"))

        def onMessageFrameBegin(self, length: int) -> None:
            """Keep nothing."""

        def onMessageFrameData(self, payload: bytes) -> None:
            if payload:
                self._above.on_data(payload)

        def onMessageFrameEnd(self) -> None:
            """Keep nothing."""

        def onMessageEnd(self) -> None:
            """Keep nothing."""

        def onCloseFrame(self, code: Any, reason: Any) -> bool | None:
            ours = self.state != self.STATE_OPEN
            violation: bool | None = super().onCloseFrame(code, reason)
            if violation:
                return violation
            if ours:
                self._above.on_close_answered()
            else:
                said = f"{self.remoteCloseCode or ''} {self.remoteCloseReason or ''}".strip()
                self._above.on_closing(
                    ConnectionLostError(
                        f"the server closed the WebSocket: {printable(said, _MAX_PROBLEM) or 'no reason given'}"
                    )
                )
            return None

        def unregisterProducer(self) -> None:
            """Keep the producer: the protocol above has registered it, and autobahn must not remove it."""

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            try:
                super().connectionLost(reason)
            finally:
                why = str(self.wasNotCleanReason).removeprefix("I dropped the WebSocket TCP connection: ")
                self._above.on_lost(
                    reason, ProtocolError(f"a WebSocket protocol error: {why}") if self.failedByMe else None
                )


def _refusal(response: bytes) -> str:
    """The status of an HTTP response and its explanation; empty if the response does not refuse."""
    head, _, body = response.decode("utf-8", "replace").partition("\r\n\r\n")
    status = head.partition("\r\n")[0].partition(" ")[2]
    if status.startswith("101"):
        return ""
    is_text = "text/plain" in head.lower() or "content-type" not in head.lower()
    explanation = body.strip().partition("\n")[0] if is_text else ""
    return f"HTTP {status}: {explanation}" if explanation else f"HTTP {status}"
