"""Attempts to connect that hang: names with several addresses, look-ups without an end, and stops"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from natsroute import NatsrouteService
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase


@implementer(IHostnameResolver)
class _Names:
    """Resolves names to the addresses of the test; a name that it does not know is never answered."""

    def __init__(self, **addresses: list[str]) -> None:
        self._addresses = addresses

    def resolveHostName(self, receiver: Any, name: str, portNumber: int = 0, *_: object, **__: object) -> Any:  # noqa: N803
        receiver.resolutionBegan(None)
        if name in self._addresses:
            for address in self._addresses[name]:
                receiver.addressResolved(IPv4Address("TCP", address, portNumber))
            receiver.resolutionComplete()


class AttemptTests(OneServerTestCase):
    """With a real nats-server on 127.0.0.1."""

    async def setUp(self) -> None:
        await super().setUp()
        self.log = LogRecorder(self)
        names = _Names(two_addresses=["127.0.0.2", "127.0.0.1"])
        self.addCleanup(self.reactor.installNameResolver, self.reactor.installNameResolver(names))

    def listen_silently(self, address: str, port: int = 0, said: bytes = b"") -> int:
        """Accept TCP, say something, and nothing more."""

        class Silent(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(said)

        factory = Factory.forProtocol(Silent)
        factory.noisy = False  # type: ignore[misc]
        listening = self.reactor.listenTCP(port, factory, interface=address)
        self.addCleanup(listening.stopListening)
        return int(listening.getHost().port)

    async def test_an_address_that_says_nothing(self) -> None:
        """The next address of the name follows in the same attempt. The name has an underscore."""
        self.listen_silently("127.0.0.2", self.server.port)
        service = self.start_service(nats_url=f"nats://two_addresses:{self.server.port}", reconnect_wait=30.0)
        await self.until(lambda: service.connected)
        self.assertEqual(self.log.matching("Cannot use"), [])

    async def test_an_address_that_says_info_only(self) -> None:
        """The next address follows in the next attempt."""
        said = b'INFO {"server_id":"x","version":"2","max_payload":1024}\r\n'
        self.listen_silently("127.0.0.2", self.server.port, said)

        async def check() -> None:
            service = self.start_service(
                nats_url=f"nats://two_addresses:{self.server.port}", connect_timeout=1.0, reconnect_wait=0.02
            )
            await self.until(lambda: service.connected)
            self.assertTrue(self.log.matching("no PONG within 1.0 s"))

        await self.at_best(check)  # on a busy machine, the time may be over before INFO is read

    async def test_a_look_up_without_an_end(self) -> None:
        """The next server follows, and a line says why."""
        service = self.start_service(
            nats_url=["nats://unknown", self.server.url], keep_url_order=True, connect_timeout=1.0
        )
        await self.until(lambda: service.connected)
        self.assertTrue(self.log.matching("no answer to the look-up of the name within 1.0 s"))

    async def test_stop(self) -> None:
        """It ends at once, in a look-up or in a TLS handshake that hangs."""
        asks_for_tls = b'INFO {"server_id":"x","version":"2","max_payload":1024,"tls_required":true}\r\n'
        port = self.listen_silently("127.0.0.3", 0, asks_for_tls)
        for url in ("nats://unknown", f"nats://127.0.0.3:{port}"):
            service = self.start_service(nats_url=url, connect_timeout=600.0)
            await self.hangs(service)
            before = self.reactor.seconds()
            await service.stopService()
            self.assertLess(self.reactor.seconds() - before, 300.0, url)  # and not after connect_timeout

    async def hangs(self, service: NatsrouteService) -> None:
        """Wait until every connection is in its attempt, and what is there has said what it says."""
        await self.until(lambda: {one.state.value for one in service.connections} == {"connecting"})
        before = self.reactor.seconds()
        await self.until(lambda: self.reactor.seconds() - before > 0.3)
