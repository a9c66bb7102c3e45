"""A cluster of real nats-servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.support.nats_server import START_TIMEOUT, NatsServer
from tests.support.plain_client import PlainClient


async def start_cluster(
    reactor: Any, count: int = 3, extra_config: str | Sequence[str] = "", *, websocket: str | None = None
) -> list[NatsServer]:
    """
    Start nats-servers that form one cluster.

    :param extra_config: more configuration for all of them, or for each its own. It must not ask for TLS before INFO
        (``handshake_first``), since INFO shows when the cluster is complete.
    :param websocket: see :class:`~tests.support.nats_server.NatsServer`.
    :return: the servers, when each of them announces all of them to its clients.
    """
    configs = [extra_config] * count if isinstance(extra_config, str) else extra_config
    servers = [
        NatsServer(reactor, config, websocket=websocket, cluster="cluster", name=f"server-{number}")
        for number, config in enumerate(configs)
    ]
    first, *others = servers
    try:
        # The others learn of each other from the first. So no port has to be known before nats-server has chosen it.
        if "jetstream" in first.config:
            # A cluster with JetStream does not start without a route. Nothing listens there.
            first.routes = [f"nats://{first.host}:9"]
        await first.start()
        for server in others:
            server.routes = [_route(first)]
        await gatherResults([Deferred.fromCoroutine(server.start()) for server in others], consumeErrors=True)
        await cluster_is_complete(reactor, servers)
    except Exception:
        await gatherResults([server.stop() for server in servers])
        raise
    # A server that is started again has to find the others by itself, whichever of them are running.
    for server in servers:
        server.routes = [_route(other) for other in servers if other is not server]
    return servers


async def cluster_is_complete(reactor: Any, servers: Sequence[NatsServer]) -> None:
    """Wait until each of the servers, which are all running, announces all of them and no other to its clients."""
    give_up = reactor.seconds() + START_TIMEOUT
    expected = {server.url.removeprefix("nats://") for server in servers}
    for server in servers:
        while (announced := set((await read_info(server)).get("connect_urls", ()))) != expected:
            if reactor.seconds() > give_up:
                raise AssertionError(f"{server.url} announces {sorted(announced)}, not {sorted(expected)}")
            await deferLater(reactor, 0.05)


def read_info(server: NatsServer) -> Deferred[dict[str, Any]]:
    """What the server says in its INFO to a new client."""

    def read() -> dict[str, Any]:
        with PlainClient(server.url, START_TIMEOUT, login=None) as client:
            return client.infos[0]

    return deferToThread(read)


def _route(server: NatsServer) -> str:
    return f"nats://{server.host}:{server.cluster_port}"
