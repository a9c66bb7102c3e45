"""A cluster of nats-servers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from tests.support.nats_servers import PATIENCE, ConfiguredServer


async def start_cluster(
    reactor: Any, count: int = 3, extra_config: str = "", *, websocket: str | None = None
) -> list[ConfiguredServer]:
    """
    Start nats-servers that are one cluster.

    :param extra_config: what the configuration of each has besides. It must not have TLS before INFO
        (``handshake_first``): INFO tells when the cluster is complete.
    :param websocket: see :class:`~tests.support.nats_servers.ConfiguredServer`.
    :return: the servers, when each tells its clients of all.
    """
    servers = [
        ConfiguredServer(reactor, extra_config, websocket=websocket, cluster="cluster", name=f"server-{number}")
        for number in range(count)
    ]
    first, *others = servers
    try:
        # The others learn of each other from the first; so no port has to be known before a server has it.
        await first.start()
        for server in others:
            server.routes = [_route(first)]
        await gatherResults([Deferred.fromCoroutine(server.start()) for server in others], consumeErrors=True)
        await cluster_is_complete(reactor, servers)
    except Exception:
        await gatherResults([server.stop() for server in servers])
        raise
    # A server that starts again has to find the others itself, whichever of them are there.
    for server in servers:
        server.routes = [_route(other) for other in servers if other is not server]
    return servers


async def cluster_is_complete(reactor: Any, servers: Sequence[ConfiguredServer]) -> None:
    """Wait until each of the servers, which all run, tells its clients of all of them and of no other."""
    give_up = reactor.seconds() + PATIENCE
    expected = {server.url.removeprefix("nats://") for server in servers}
    for server in servers:
        while (told := set((await read_info(reactor, server)).get("connect_urls", ()))) != expected:
            if reactor.seconds() > give_up:
                raise AssertionError(f"{server.url} tells of {sorted(told)}, not of {sorted(expected)}")
            await deferLater(reactor, 0.05)


def read_info(reactor: Any, server: ConfiguredServer) -> Deferred[dict[str, Any]]:
    """What the server says in its INFO to a new client, which goes away then."""
    factory = _InfoFactory()
    connector = reactor.connectTCP(server.host, server.port, factory)
    return factory.info.addTimeout(PATIENCE, reactor).addErrback(_hang_up, connector)


def _hang_up(failure: Failure, connector: Any) -> Failure:
    connector.disconnect()
    return failure


def _route(server: ConfiguredServer) -> str:
    return f"nats://{server.host}:{server.cluster_port}"


class _InfoFactory(ClientFactory):
    """One connection, which ends with its first line."""

    noisy = False

    def __init__(self) -> None:
        self.info: Deferred[dict[str, Any]] = Deferred()
        self.line = b""

    def buildProtocol(self, addr: object) -> LineReceiver:
        protocol = _InfoReader()
        protocol.factory = self
        return protocol

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self.info.errback(reason)

    def clientConnectionLost(self, connector: object, reason: Failure) -> None:
        if self.info.called:  # its patience was over
            return
        verb, _, rest = self.line.partition(b" ")
        if verb == b"INFO":
            self.info.callback(json.loads(rest))
        else:
            self.info.errback(reason)


class _InfoReader(LineReceiver):
    """Gives its first line to its factory, and hangs up."""

    MAX_LENGTH = 1 << 20
    factory: _InfoFactory

    def lineReceived(self, line: bytes) -> None:
        if not self.factory.line:
            self.factory.line = line
        assert self.transport is not None
        self.transport.loseConnection()
