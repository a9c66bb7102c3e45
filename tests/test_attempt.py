"""natsroute.client.attempt"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.attempt import Attempt
from natsroute.client.auth import Credentials
from natsroute.client.options import Security
from natsroute.client.protocol import NatsProtocol
from natsroute.errors import AuthorizationError, ConnectionLostError, HandshakeError, MisuseError
from tests.support.memory_network import Link, info


def deaf() -> Deferred[Any]:
    """A Deferred that does not fire when it is cancelled, like a coroutine that catches CancelledError and waits on."""

    async def waits() -> None:
        while True:
            try:
                await Deferred()
            except CancelledError:
                pass

    return Deferred.fromCoroutine(waits())


class AttemptTestCase(SynchronousTestCase):
    """An attempt with a timeout of 2 seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.links: list[Link] = []
        self.factory: IProtocolFactory | None = None
        self.credentials: list[Credentials] = []

    def attempt(
        self,
        credentials: Callable[[], Any] = Credentials,
        connect: Callable[[Any], Deferred[Any]] | None = None,
    ) -> tuple[Attempt, Deferred[NatsProtocol]]:
        """An attempt that is started, and its result."""
        attempt = Attempt(
            self.clock,
            2.0,
            credentials=credentials,
            resolve=lambda: succeed([connect or self.connect]),
            build=self.build,
        )
        return attempt, attempt.start()

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        """TCP connects at once."""
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.links.append(Link(protocol))
        return succeed(protocol)

    def never(self, factory: IProtocolFactory) -> Deferred[Any]:
        """Nothing happens, and it cannot be cancelled."""
        self.factory = factory
        return deaf()

    def build(self, credentials: Credentials, on_login: Callable[[NatsProtocol], object]) -> NatsProtocol:
        self.credentials.append(credentials)
        security = Security(name="a.example")
        return NatsProtocol(
            self.clock, name="test", version="1.0", credentials=credentials, security=security, on_login=on_login
        )


class ResultTests(AttemptTestCase):
    """It ends with a protocol that is ready, or with the cause."""

    def test_success(self) -> None:
        login = Credentials(user="u", password="p")
        _, result = self.attempt(lambda: login)
        self.assertNoResult(result)
        self.assertIn(b'"user": "u"', self.links[0].shake_hands())
        self.assertIs(self.successResultOf(result), self.links[0].protocol)
        self.clock.advance(10.0)
        self.assertFalse(self.links[0].transport.aborted)

    def test_refused(self) -> None:
        """It fails when the transport has ended."""
        _, result = self.attempt()
        self.links[0].receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.assertNoResult(result)
        self.links[0].lose()
        self.failureResultOf(result, AuthorizationError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whatever_a_step_raises(self) -> None:
        """Before or in its Deferred. idna cannot be imported after chroot(), for example."""
        for connect in (
            lambda factory: fail(LookupError("unknown encoding: idna")),
            lambda factory: "".encode("no-such-encoding"),
        ):
            _, result = self.attempt(connect=connect)  # type: ignore[arg-type]
            self.failureResultOf(result, LookupError)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_base_exception(self) -> None:
        """It would end the life of the connection: nobody expects it."""
        for kind in (SystemExit, KeyboardInterrupt, GeneratorExit):

            def source(kind: type[BaseException] = kind) -> Credentials:
                raise kind

            _, result = self.attempt(source)
            raised = self.failureResultOf(result, MisuseError).value
            self.assertEqual(str(raised), f"no credentials from the credentials function: it raised {kind.__name__}")


class TimeoutTests(AttemptTestCase):
    """One timeout for all steps together, also for a step that cannot be cancelled."""

    def test_credentials(self) -> None:
        for source in (Deferred, deaf):
            _, result = self.attempt(source)
            self.clock.advance(1.9)
            self.assertNoResult(result)
            self.clock.advance(0.1)
            error = self.failureResultOf(result, defer.TimeoutError).value
            self.assertEqual(str(error), "no credentials from the credentials function within 2.0 s")
            self.assertEqual(self.links, [])

    def test_credentials_are_cancelled(self) -> None:
        cancelled: list[object] = []
        _, result = self.attempt(lambda: Deferred(cancelled.append))
        self.clock.advance(2.0)
        self.failureResultOf(result, defer.TimeoutError)
        self.assertEqual(len(cancelled), 1)

    def test_late_credentials(self) -> None:
        """Nothing is sent with them."""
        late: Deferred[Credentials] = Deferred(lambda _: None)
        _, result = self.attempt(lambda: late)
        self.clock.advance(2.0)
        self.failureResultOf(result, defer.TimeoutError)
        self.assertEqual(self.links, [])

    def test_connect(self) -> None:
        """A connection that is made too late is closed."""
        for connect in (lambda factory: Deferred(), self.never):
            _, result = self.attempt(connect=connect)
            self.clock.advance(1.9)
            self.assertNoResult(result)
            self.clock.advance(0.1)
            error = self.failureResultOf(result, defer.TimeoutError).value
            self.assertEqual(str(error), "no TCP connection within 2.0 s")
        assert self.factory is not None
        self.assertIsNone(self.factory.buildProtocol(None))  # type: ignore[arg-type]

    def test_a_step_that_says_where_it_was(self) -> None:
        """As the WebSocket handshake does."""
        _, result = self.attempt(
            connect=lambda factory: Deferred(lambda d: d.errback(CancelledError("no response to the handshake")))
        )
        self.clock.advance(2.0)
        error = self.failureResultOf(result, HandshakeError).value
        self.assertEqual(str(error), "no response to the handshake within 2.0 s")

    def test_handshake(self) -> None:
        """What the steps before have used is not given again."""
        reached: list[Any] = []
        connecting: Deferred[Any] = Deferred()
        _, result = self.attempt(connect=lambda factory: reached.append(factory) or connecting)
        self.clock.advance(1.5)
        self.connect(reached[0]).chainDeferred(connecting)
        self.clock.advance(0.4)
        self.assertFalse(self.links[0].transport.aborted)
        self.clock.advance(0.1)
        self.assertTrue(self.links[0].transport.aborted)
        self.links[0].lose()
        self.failureResultOf(result, HandshakeError)

    def test_handshake_says_what_is_missing(self) -> None:
        for said, missing in ((b"", "no INFO within 2.0 s"), (info(), "no PONG within 2.0 s")):
            _, result = self.attempt()
            self.links[-1].receive(said)
            self.clock.advance(2.0)
            self.assertNoResult(result)
            self.links[-1].lose()
            self.assertIn(missing, str(self.failureResultOf(result, HandshakeError).value))
            self.assertEqual(self.clock.getDelayedCalls(), [])


class GiveUpTests(AttemptTestCase):
    """give_up() ends an attempt at once, wherever it is."""

    def test_before_the_server_is_reached(self) -> None:
        for source, connect in ((Deferred, None), (deaf, None), (Credentials, self.never)):
            attempt, result = self.attempt(source, connect)  # type: ignore[arg-type]
            attempt.give_up()
            self.failureResultOf(result, CancelledError)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_by_the_credentials_function(self) -> None:
        attempts: list[Attempt] = []

        def source() -> Credentials:
            attempts[0].give_up()
            return Credentials()

        attempts.append(
            Attempt(self.clock, 2.0, credentials=source, resolve=lambda: succeed([self.connect]), build=self.build)
        )
        self.failureResultOf(attempts[0].start(), CancelledError)
        self.assertEqual((self.links, self.clock.getDelayedCalls()), ([], []))

    def test_in_the_handshake(self) -> None:
        """It is aborted, not closed: a server in the middle of a TLS handshake would not answer the close."""
        for said in (b"", info(tls_required=True), info()):
            attempt, result = self.attempt()
            self.links[-1].receive(said)
            attempt.give_up()
            self.assertTrue(self.links[-1].transport.aborted)
            self.assertNoResult(result)
            self.links[-1].lose()
            self.failureResultOf(result, CancelledError)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_afterwards(self) -> None:
        """Nothing happens to a protocol that is ready."""
        attempt, result = self.attempt()
        self.links[0].shake_hands()
        attempt.give_up()
        self.assertFalse(self.links[0].transport.aborted)
        self.successResultOf(result)

    def test_while_a_failure_closes(self) -> None:
        attempt, result = self.attempt()
        self.links[0].receive(b"HTTP/1.1 400 Bad Request\r\n")
        attempt.give_up()
        self.links[0].lose()
        self.assertNotIsInstance(self.failureResultOf(result).value, ConnectionLostError)


class AddressesTests(AttemptTestCase):
    """A name with several addresses: one that does not answer is followed by the next one."""

    def several(self, *connects: Callable[[Any], Deferred[Any]]) -> tuple[Attempt, Deferred[NatsProtocol]]:
        attempt = Attempt(self.clock, 2.0, credentials=Credentials, resolve=lambda: succeed(connects), build=self.build)
        return attempt, attempt.start()

    def refuse(self, factory: IProtocolFactory) -> Deferred[Any]:
        return fail(error.ConnectionRefusedError())

    def test_silence(self) -> None:
        """It accepts TCP, and says nothing. It is given up when the other one says INFO."""
        _, result = self.several(self.connect, self.connect)
        self.clock.advance(0.29)
        self.assertEqual(len(self.links), 1)
        self.clock.advance(0.01)
        silent, other = self.links
        other.receive(info())
        self.assertTrue(silent.transport.aborted)
        self.assertEqual(silent.transport.sent(), b"")
        other.receive(b"PONG\r\n")
        self.assertIs(self.successResultOf(result), other.protocol)
        silent.lose()
        self.assertEqual([call.func.__name__ for call in self.clock.getDelayedCalls()], ["_keep_alive"])

    def test_no_tcp(self) -> None:
        _, result = self.several(self.never, self.connect)
        self.clock.advance(0.3)
        self.links[0].shake_hands()
        self.successResultOf(result)
        assert self.factory is not None
        self.assertIsNone(self.factory.buildProtocol(None))  # type: ignore[arg-type]

    def test_refused(self) -> None:
        """The next one follows at once."""
        _, result = self.several(self.refuse, self.connect)
        self.links[0].shake_hands()
        self.successResultOf(result)

    def test_one_login(self) -> None:
        """The first one that says INFO is the only one that logs in, even if it is slow afterwards."""
        self.several(self.connect, self.connect)
        self.clock.advance(0.3)
        self.links[0].receive(info())
        self.links[1].receive(info())
        self.assertIn(b"CONNECT", self.links[0].transport.sent())
        self.assertEqual(self.links[1].transport.sent(), b"")

    def test_the_winner_fails(self) -> None:
        """The others are tried again."""
        _, result = self.several(self.connect, self.connect)
        self.clock.advance(0.3)
        self.links[0].receive(info())
        self.links[1].lose()
        self.links[0].lose()
        self.links[2].shake_hands()
        self.assertIs(self.successResultOf(result), self.links[2].protocol)

    def test_a_refused_login(self) -> None:
        """It would be the same at the other addresses."""
        _, result = self.several(self.connect, self.connect)
        self.links[0].receive(info() + b"-ERR 'Authorization Violation'\r\n")
        self.links[0].lose()
        self.failureResultOf(result, AuthorizationError)
        self.assertEqual((len(self.links), self.clock.getDelayedCalls()), (1, []))

    def test_none_answers(self) -> None:
        _, result = self.several(self.refuse, self.connect, self.never)
        self.clock.pump([0.3, 1.7])
        self.links[0].lose()
        self.assertIn("no INFO within 2.0 s", str(self.failureResultOf(result, HandshakeError).value))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_refuse(self) -> None:
        _, result = self.several(self.refuse, self.refuse)
        self.failureResultOf(result, error.ConnectionRefusedError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_none(self) -> None:
        _, result = self.several()
        self.failureResultOf(result, HandshakeError)

    def test_give_up(self) -> None:
        """All of them."""
        attempt, result = self.several(self.connect, self.never, self.connect)
        self.clock.pump([0.3, 0.3])
        attempt.give_up()
        self.assertEqual([link.transport.aborted for link in self.links], [True, True])
        self.links[0].lose()
        self.assertNoResult(result)
        self.links[1].lose()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
