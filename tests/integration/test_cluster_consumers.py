"""What consumers get from a cluster whose nodes differ or leave"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall

from natsroute import EventRoutes
from natsroute.client.state import ConnectionEvent
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

    async def move(self, entry: str) -> tuple[list[ConnectionEvent], list[int], int]:
        """
        Let the consumer's node enter lame duck mode while messages are published at the node that it moves to.

        :return: the changes of the consumer's connection, the numbers that it got, and how many were published.
        """
        await self.start_nodes(2)
        event_route, arrived = EventRoutes(), list[int]()

        @event_route("nats:in")
        def keep(event: Any) -> None:
            arrived.append(int(event.data))

        urls = [node.url for node in self.nodes]
        service = self.start_service(event_route, nats_url=urls, keep_url_order=True, subject_queue_group=[entry])
        feeder = self.start_service(nats_url=self.nodes[1].url)
        await self.until(lambda: service.connected and feeder.connected)
        while not arrived:  # until the second node knows the subscription
            await feeder.publish("in", b"-1")
        changes: list[ConnectionEvent] = []
        service.consumers[0].connection.observe(lambda change: changes.append(change.event))
        published = 0

        def publish() -> None:
            nonlocal published
            for _ in range(10):
                feeder.publish("in", b"%d" % published)
                published += 1

        publishing = LoopingCall(publish)
        publishing.start(0.001)
        await self.until(lambda: published > 1000)
        self.nodes[0].lame_duck()
        await self.until(lambda: ConnectionEvent.CONNECTED in changes)
        at_the_new_node = published
        await self.until(lambda: published > at_the_new_node + 1000)
        publishing.stop()
        await feeder.flush()
        await self.until(lambda: published - 1 in arrived)
        return changes, [number for number in arrived if number >= 0], published

    async def test_the_only_member_of_a_queue_group(self) -> None:
        """It misses nothing in lame duck mode: it is at the new node before it leaves the old one."""

        async def check() -> None:
            changes, arrived, published = await self.move("in:q")
            self.assertEqual(changes, [ConnectionEvent.LAME_DUCK, ConnectionEvent.CONNECTED])
            self.assertEqual(sorted(arrived), list(range(published)))

        await self.at_best(check)

    async def test_a_plain_subscription(self) -> None:
        """It gets nothing twice in lame duck mode: it leaves the old node first."""
        changes, arrived, _ = await self.move("in")
        self.assertEqual(arrived, sorted(set(arrived)))
        self.assertEqual(changes, [ConnectionEvent.LAME_DUCK, ConnectionEvent.DISCONNECTED, ConnectionEvent.CONNECTED])
