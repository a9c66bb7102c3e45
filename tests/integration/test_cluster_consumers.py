"""What consumers get from a cluster whose nodes differ or leave"""

from __future__ import annotations

from typing import Any

from natsroute import EventRoutes
from tests.support.nats_cluster import start_cluster
from tests.support.nats_server import NatsServer
from tests.support.server_case import ServerTestCase


class ClusterConsumerTests(ServerTestCase):
    """The consumer is at the first node, and what it consumes is published at another one."""

    settings = {
        "num_publish_workers": 1,
        "ignore_discovered_servers": True,
        "reconnect_wait": 0.05,
        "reconnect_jitter": 0.0,
    }
    nodes: list[NatsServer]

    async def start_nodes(self, count: int) -> None:
        self.nodes = await start_cluster(self.reactor, count)
        for node in self.nodes:
            self.addCleanup(node.stop)

    async def test_a_node_with_a_higher_max_payload(self) -> None:
        """Messages above the ``max_payload`` of the consumer's own node arrive, and so do those behind them."""
        await self.start_nodes(2)
        self.nodes[1].config = "max_payload: 4MB"
        await self.nodes[1].restart()
        event_route, arrived = EventRoutes(), []

        @event_route("nats:in")
        def keep(event: Any) -> None:
            arrived.append(len(event.data))

        service = self.start_service(event_route, nats_url=self.nodes[0].url, subject_queue_group=["in:q"])
        feeder = self.start_service(nats_url=self.nodes[1].url)
        await self.until(lambda: service.connected and feeder.connected)
        while not arrived:  # until the second node knows the subscription
            await feeder.publish("in", b"")
        arrived.clear()
        sizes = [3 * 1024 * 1024, 1, 2 * 1024 * 1024, 2]
        for size in sizes:
            await feeder.publish("in", bytes(size))
        await self.until(lambda: [size for size in arrived if size] == sizes)
        self.assertEqual(service.consumers[0].connection.reconnects, 0)
