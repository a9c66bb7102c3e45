"""
autobahn's side of a WebSocket.

What comes is handed on piece by piece as it is read. Neither a message nor a frame is kept until it is complete, so
their size needs no limit; and compression, with which little could become much, is neither offered nor accepted.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from natsroute.client.transport.websocket_transport import WebSocketTransport
from natsroute.errors import ConnectionLostError, HandshakeError, ProtocolError

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
_MAX_ANSWER = 64 * 1024  # bytes of the server's HTTP answer, which alone is kept until it is complete
_MAX_PROBLEM = 300  # characters


def options(url: str, reactor: Any) -> Any:
    """
    What the sockets of one endpoint have in common.

    :raises ValueError: the URL is not one.
    """
    factory = WebSocketClientFactory(url=url, useragent="natsroute", reactor=reactor)
    # The transport takes the time, since it has our clock; autobahn would ask for the global reactor.
    factory.setProtocolOptions(
        openHandshakeTimeout=0, closeHandshakeTimeout=0, serverConnectionDropTimeout=0, autoPingInterval=0
    )
    return factory


if HAS_AUTOBAHN:

    class Socket(WebSocketClientProtocol):  # type: ignore[misc,unused-ignore]
        """
        Speaks WebSocket, and tells the transport what happens.

        :param options: see :func:`options`.
        """

        log = txaio.make_logger(level="none")  # type: ignore[attr-defined,unused-ignore]  # whoever connects is told

        def __init__(self, above: WebSocketTransport, options: Any) -> None:
            super().__init__()
            self.factory = options
            self._above = above

        def connectionMade(self) -> None:
            self._above.connected(self)
            super().connectionMade()

        def onConnecting(self, transport_details: object) -> Any:
            options: Any = self.factory
            host = f"[{options.host}]" if ":" in options.host else options.host  # autobahn takes them off
            return ConnectingRequest(host, options.port, options.resource, useragent=options.useragent)

        def dataReceived(self, data: bytes) -> None:
            if self.state != self.STATE_CONNECTING:
                super().dataReceived(data)
                return
            beginning = self.data + data[:100]
            if not beginning.startswith(_HTTP[: len(beginning)]):
                self._refused(f"the answer is not HTTP: {beginning[:100]!r}")
                return
            try:
                super().dataReceived(data)
            except Exception:  # autobahn takes it for granted that an answer is UTF-8, for example
                self._refused("the answer cannot be read")
            if self.state == self.STATE_CONNECTING and len(self.data) > _MAX_ANSWER:
                self._refused(f"the answer has more than {_MAX_ANSWER} bytes")

        def failHandshake(self, reason: str) -> None:
            self._refused(_refusal(self.data) or reason)

        def _refused(self, problem: str) -> None:
            self._above.fail(HandshakeError(f"the server did not accept the WebSocket: {_printable(problem)}"))

        def onOpen(self) -> None:
            self._above.open()

        def onMessageBegin(self, is_binary: bool) -> None:
            if not is_binary:
                self._above.fail(ProtocolError("a WebSocket message of text"))

        def onMessageFrameBegin(self, length: int) -> None:
            """Nothing will be kept."""

        def onMessageFrameData(self, payload: bytes) -> None:
            if payload:
                self._above.received(payload)

        def onMessageFrameEnd(self) -> None:
            """Nothing was kept."""

        def onMessageEnd(self) -> None:
            """Nothing was kept."""

        def onCloseFrame(self, code: Any, reason: Any) -> bool | None:
            ours = self.state != self.STATE_OPEN
            violation: bool | None = super().onCloseFrame(code, reason)
            if violation:
                return violation
            if ours:
                self._above.server_has_all()
            else:
                said = _printable(f"{self.remoteCloseCode or ''} {self.remoteCloseReason or ''}".strip())
                self._above.closing(
                    ConnectionLostError(f"the server closed the WebSocket: {said or 'no reason given'}")
                )
            return None

        def unregisterProducer(self) -> None:
            """The producer is that of the protocol above, and none of autobahn's business."""

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            try:
                super().connectionLost(reason)
            finally:
                why = str(self.wasNotCleanReason).removeprefix("I dropped the WebSocket TCP connection: ")
                self._above.ended(
                    reason, ProtocolError(f"not the WebSocket protocol: {why}") if self.failedByMe else None
                )


def _refusal(answer: bytes) -> str:
    """The status of an HTTP answer, and the words that explain it; empty if it does not refuse."""
    head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
    status = head.partition("\r\n")[0].partition(" ")[2]
    if status.startswith("101"):
        return ""
    explained = "text/plain" in head.lower() or "content-type" not in head.lower()
    words = body.strip().partition("\n")[0] if explained else ""
    return f"HTTP {status}: {words}" if words else f"HTTP {status}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_PROBLEM])
