"""
The stand-in of the site: a thread that answers while the reactor is blocked.

Without it, a probe of a blocked process would only see that nobody answers, and nobody would know why. The thread asks
the reactor for signs of life. If there are none, it accepts connections from the same listening socket, and answers
each request with what blocks the reactor. Connections that the reactor has accepted before wait for the reactor.

Code that blocks in C without releasing the interpreter's lock blocks this thread, too.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

from natsroute.log import Logger
from natsroute.monitoring.http.health import live, ready
from natsroute.monitoring.http.plain import Head, response
from natsroute.monitoring.http.resources import Answer
from natsroute.monitoring.http.security import Access
from natsroute.monitoring.overview import Reason
from natsroute.monitoring.pulse import Pulse

#: Seconds without a sign of life from the reactor after which the stand-in answers.
TAKE_OVER_AFTER = 2.0
#: Seconds without a sign of life from the reactor after which /livez is 503.
DEAD_AFTER = 10.0
#: Seconds between two looks at the reactor.
LOOK_EVERY = 0.25
#: Seconds that a connection may take.
CONNECTION_TIMEOUT = 3.0
#: Connections at most at the same time. A new one takes the place of the oldest.
MAX_CONNECTIONS = 50

#: Returns the event route that runs in the reactor's thread, or an empty text, and the file and line that it is at.
CurrentCode = Callable[[], tuple[str, str]]


class StandIn:
    """
    Answers while the reactor is blocked.

    :param listening: the listening socket of the site. A copy of it is used.
    :param access: which requests are answered.
    :param current_code: what runs in the reactor's thread; called in the thread of the stand-in.
    :param tls: makes the TLS context of the site; None: it has no TLS. Called in the thread of the stand-in.
    :param seconds: the time, as ``time.monotonic()``.
    """

    log = Logger()

    def __init__(
        self,
        pulse: Pulse,
        listening: socket.socket,
        access: Access,
        current_code: CurrentCode,
        tls: Callable[[], ssl.SSLContext] | None = None,
        *,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pulse = pulse
        self._access = access
        self._current_code = current_code
        self._tls = tls
        self._seconds = seconds
        self._listening = listening.dup()
        self._listening.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._connections: list[_Connection] = []
        self._context: ssl.SSLContext | None = None
        self._silent = 0.0
        self._is_accepting = False
        self._has_failed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the reactor. Called in its thread, or in the one that will run it."""
        self._pulse.start()
        self._thread = threading.Thread(target=self._watch, name="natsroute HTTP stand-in", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and close the copy of the socket: until then, clients can still connect."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._listening.close()
        self._selector.close()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            if self._pulse.look() >= TAKE_OVER_AFTER:
                self._take_over()

    def _take_over(self) -> None:
        try:
            context = None if self._tls is None else self._tls()
            self.begin(context)
            while not self._stop.is_set() and self.turn(LOOK_EVERY):
                pass
        except Exception:
            if not self._has_failed:  # it may be so each time
                self._has_failed = True
                self.log.failure(
                    "The stand-in of the HTTP site failed. It tries again; further failures are not logged"
                )
        finally:
            self.leave()

    def begin(self, context: ssl.SSLContext | None = None) -> None:
        """
        Accept connections.

        :param context: for TLS.
        """
        self._context = context
        self._accept_connections(True)

    def turn(self, timeout: float) -> bool:
        """
        Accept, read and write once.

        :param timeout: seconds to wait for something to do, at most.
        :return: whether the reactor is still blocked, or a connection still waits for its answer.
        """
        self._silent = self._pulse.look()
        is_blocked = self._silent >= TAKE_OVER_AFTER
        self._accept_connections(is_blocked)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._listening:
                self._accept()
            elif key.data in self._connections:  # it has not just made room for another one
                self._advance(key.data)
        for connection in tuple(self._connections):
            if self._seconds() >= connection.ends:
                self._close(connection)
        return is_blocked or bool(self._connections)

    def leave(self) -> None:
        """End all connections, and accept no more."""
        for connection in tuple(self._connections):
            self._close(connection)
        self._accept_connections(False)

    def _accept_connections(self, accepts: bool) -> None:
        if accepts and not self._is_accepting:
            self._selector.register(self._listening, selectors.EVENT_READ)
        elif self._is_accepting and not accepts:
            self._selector.unregister(self._listening)
        self._is_accepting = accepts

    def _accept(self) -> None:
        try:
            accepted, _ = self._listening.accept()
        except BlockingIOError:  # the reactor was faster
            return
        except OSError:  # there are no descriptors: it would be so again at once
            self._stop.wait(LOOK_EVERY)
            return
        accepted.setblocking(False)
        if self._context is not None:
            try:
                accepted = self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            except OSError:  # the client has gone
                accepted.close()
                return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._close(self._connections[0])
        connection = _Connection(accepted, self._seconds() + CONNECTION_TIMEOUT, self._answer)
        self._connections.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _advance(self, connection: _Connection) -> None:
        try:
            wanted = connection.advance()
        except OSError:  # ssl.SSLError is one
            wanted = 0
        if wanted:
            self._selector.modify(connection.socket, wanted, connection)
        else:
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        self._connections.remove(connection)
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _answer(self, data: bytes) -> bytes | None:
        """The response to what a client has sent; None if it must send more."""
        try:
            head = Head.parse(data)
        except ValueError as error:
            return response(Answer.text(f"Bad request: {error}", 400))
        if head is None:
            return None
        authorization = next(iter(head.values(b"authorization")), None)
        refusal = self._access.refusal(
            head.method, head.path, head.values(b"host"), authorization, needs_host=not head.old
        )
        answer = refusal or self._health(head.path, detail=self._access.may_see(authorization))
        return response(answer, body=head.method != b"HEAD")

    def _health(self, path: bytes, *, detail: bool) -> Answer:
        if path == b"/livez":
            return live([self._reason()] if self._silent >= DEAD_AFTER else [], detail=detail)
        return ready([self._reason()], detail=detail)

    def _reason(self) -> Reason:
        if self._silent < TAKE_OVER_AFTER:
            return Reason("blocked_reactor", "", "the reactor was blocked until a moment ago")
        route, where = self._current_code()
        text = f"the reactor has been blocked for {self._silent:.1f} s"
        if where:
            by = f"event route {route}" if route else "something that is no event route"
            text = f"{text} by {by}, which is at {where}"
        return Reason("blocked_reactor", route, text)


class _Connection:
    """One request and its response, over a socket that does not block."""

    def __init__(self, accepted: socket.socket, ends: float, answer: Callable[[bytes], bytes | None]) -> None:
        self.socket = accepted
        self.ends = ends
        self._answer = answer
        self._received = b""
        self._response: bytes | None = None
        self._is_shaking_hands = isinstance(accepted, ssl.SSLSocket)

    def advance(self) -> int:
        """
        Read or write what is possible.

        :return: what to wait for, as ``EVENT_READ``; 0: it is done.
        :raises OSError: the connection ended.
        """
        try:
            return self._go_on()
        except (BlockingIOError, ssl.SSLWantReadError):
            return selectors.EVENT_WRITE if self._response else selectors.EVENT_READ
        except ssl.SSLWantWriteError:
            return selectors.EVENT_WRITE

    def _go_on(self) -> int:
        if self._is_shaking_hands:
            assert isinstance(self.socket, ssl.SSLSocket)
            self.socket.do_handshake()
            self._is_shaking_hands = False
        while self._response is None:
            data = self.socket.recv(4096)
            if not data:
                return 0
            self._received += data
            self._response = self._answer(self._received)
        while self._response:
            self._response = self._response[self.socket.send(self._response) :]
            if not self._response:
                self._end()
        # With bytes that were not read, closing would make the client lose the response. Its time is limited.
        while self.socket.recv(4096):
            pass
        return 0

    def _end(self) -> None:
        if isinstance(self.socket, ssl.SSLSocket):
            try:
                self.socket.unwrap()
            except OSError:  # its end is sent; that of the client is not awaited
                pass
        self.socket.shutdown(socket.SHUT_WR)
