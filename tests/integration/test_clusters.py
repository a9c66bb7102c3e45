"""A cluster of three: nodes that are killed, stopped, sent away and come back, under load."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute import EventRoutes, NatsrouteService
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.client.status import Change, State
from natsroute.wire.frames import Msg
from tests.support.certificates import Certificates
from tests.support.cluster import start_cluster
from tests.support.nats_servers import ConfiguredServer
from tests.support.secret_watch import secret
from tests.support.secured import SecuredTestCase


class ClusterTestCase(SecuredTestCase):
    """Three nodes; the service knows the first, and finds the others."""

    nodes: list[ConfiguredServer]

    async def cluster(self, config: str = "", **options: Any) -> None:
        self.nodes = await start_cluster(self.reactor, 3, config, **options)
        for node in self.nodes:
            self.addCleanup(node.stop)

    def node_of(self, connection: Connection) -> ConfiguredServer:
        """The node that a connection is on."""
        server = connection.status().server
        assert server is not None
        return next(node for node in self.nodes if str(node.port) == server.place.rpartition(":")[2])


class DiscoveryTests(ClusterTestCase):
    """Servers that the cluster tells of."""

    async def test_found_and_used(self) -> None:
        """When the only one that was configured is gone."""
        await self.cluster()
        service = await self.gets_in(nats_url=self.nodes[0].url)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected and self.node_of(service.connections[0]) is not self.nodes[0])
        await service.publish("a", b"still there")

    async def test_with_the_same_credentials_and_tls(self) -> None:
        """A discovered node is known by its address only: its certificate must have the name of the first."""
        made, password = Certificates(self.folder), secret()
        config = made.tls_block(made.server("localhost"))
        await self.cluster(f'{config}authorization {{ user: u, password: "{password}" }}')
        url = f"tls://u:{password}@localhost:{self.nodes[0].port}"
        service = await self.gets_in(nats_url=url, tls_ca_file=str(made.ca))
        await self.nodes[0].kill()
        await self.until(lambda: service.connected and self.node_of(service.connections[0]) is not self.nodes[0])
        self.assertTrue(str(service.connections[0].status().server).startswith("tls://127.0.0.1:"))

    async def test_over_websocket(self) -> None:
        await self.cluster(websocket="no_tls: true")
        service = await self.gets_in(nats_url=self.nodes[0].websocket_url)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected)
        self.assertTrue(str(service.connections[0].status().server).startswith("ws://"))

    async def test_opted_out(self) -> None:
        await self.cluster()
        service = await self.gets_in(nats_url=self.nodes[0].url, ignore_discovered_servers=True)
        await self.nodes[0].kill()
        await self.until(lambda: self.log.matching("Cannot use"))
        await deferLater(self.reactor, 0.3)
        self.assertFalse(service.connected)
        await self.nodes[0].start()
        await self.until(lambda: service.connected)


class OutageTests(ClusterTestCase):
    """Under 10,000 messages a second, which an observer on a node that stays compares with what was confirmed."""

    RATE = 10_000

    async def observer(self, node: ConfiguredServer, subject: str) -> list[int]:
        """What arrives at another node."""
        seen: list[int] = []

        def see(msg: Msg) -> None:
            seen.append(int(msg.data))

        connection = Connection(self.reactor, ServerPool([parse_url(node.url)], Backoff(), discover=False))
        connection.subscribe(subject, see)
        connection.startService()
        self.addCleanup(connection.stopService)
        await self.until(lambda: connection.state is State.CONNECTED)
        return seen

    async def relay(self, **settings: Any) -> tuple[NatsrouteService, list[int]]:
        """A service on the first node that passes on what it gets, and the times at which a message passed."""
        event_route, passed = EventRoutes(), []

        @event_route("nats:in")
        def pass_on(event: Any) -> None:
            passed.append(self.reactor.seconds())
            event.publish("out", event.data)

        urls = [node.url for node in self.nodes]
        service = self.service(
            event_route, nats_url=urls, keep_url_order=True, subject_queue_group=["in:q"], **settings
        )
        await self.until(lambda: service.connected)
        return service, passed

    async def feed(self, feeder: NatsrouteService, seconds: float, outcomes: dict[int, object]) -> None:
        """Numbered messages at the rate, for so long."""
        start = self.reactor.seconds()
        number = 0
        while (now := self.reactor.seconds()) < start + seconds:
            while number < (now - start) * self.RATE:
                feeder.publish("in", b"%d" % number).addBoth(
                    lambda outcome, number=number: outcomes.__setitem__(number, outcome)
                )
                number += 1
            await deferLater(self.reactor, 0.002)
        await self.until(lambda: len(outcomes) == number)

    async def when(self, seconds: float, what: Any) -> float:
        """Do something after so many seconds; gives the time when it was done."""
        await deferLater(self.reactor, seconds)
        done = self.reactor.seconds()
        what()
        return done

    def gap(self, passed: list[float], at: float) -> float:
        """The longest time without a message from a moment on."""
        times = [at, *(time for time in passed if time >= at)]
        return max(later - earlier for earlier, later in pairwise(times))

    async def test_a_killed_node(self) -> None:
        """Consuming and publishing go on at another within a second, and every confirmed publish is there."""
        await self.cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, passed = await self.relay()
        feeder = self.service(nats_url=self.nodes[1].url, ignore_discovered_servers=True)
        await self.until(lambda: feeder.connected)
        self.assertTrue(all(self.node_of(connection) is self.nodes[0] for connection in service.connections))
        outcomes: dict[int, object] = {}
        killed = Deferred.fromCoroutine(self.when(1.5, self.nodes[0].kill))
        await self.feed(feeder, 4.0, outcomes)
        self.assertEqual(set(outcomes.values()), {None})
        at = await killed
        await self.until(lambda: service.publisher.account().confirmed == service.publisher.account().published)
        self.assertLess(self.gap(passed, at), 1.0)
        self.assertEqual(service.publisher.account().failed, 0)
        # What was on its way to the killed node's consumer is lost, as NATS has it; what the route published is not,
        # though the node may have confirmed it and not passed it on: that is sent again.
        await self.until(lambda: len(set(seen)) == len(passed))

    async def test_a_stopped_node(self) -> None:
        """SIGSTOP: noticed within ping_interval x (max_pings_outstanding + 1), and left for another."""
        await self.cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, _ = await self.relay(ping_interval=0.4, max_pings_outstanding=2)
        left: list[float] = []
        for connection in service.connections:
            connection.observe(
                lambda change: left.append(self.reactor.seconds()) if change.state is State.DISCONNECTED else None
            )
        stopped = self.reactor.seconds()
        self.nodes[0].pause()
        await self.until(lambda: len(left) == len(service.connections))
        # Half a second for a machine that is busy.
        self.assertLess(max(left) - stopped, 0.4 * 3 + 0.5)
        await self.until(lambda: service.connected)
        self.assertTrue(all(self.node_of(connection) is not self.nodes[0] for connection in service.connections))
        # The other nodes still count on the stopped one's queue member, and give it every other message.
        while not seen:
            await service.publish("in", b"1")
            await deferLater(self.reactor, 0.05)

    async def test_lame_duck(self) -> None:
        """Moved before being cut, and nothing is lost."""
        await self.cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, passed = await self.relay()
        feeder = self.service(nats_url=self.nodes[1].url, ignore_discovered_servers=True)
        await self.until(lambda: feeder.connected)
        changes: list[Change] = []
        for connection in service.connections:
            connection.observe(changes.append)
        outcomes: dict[int, object] = {}
        sent = Deferred.fromCoroutine(self.when(1.0, self.nodes[0].lame_duck))
        await self.feed(feeder, 3.0, outcomes)
        at = await sent
        await self.until(lambda: len(changes) == 3 * len(service.connections))
        self.assertEqual({change.state for change in changes}, {State.LAME_DUCK, State.DISCONNECTED, State.CONNECTED})
        self.assertIn("lame duck", str(changes[0].reason))
        self.assertLess(self.gap(passed, at), 1.0)
        await self.until(lambda: service.publisher.account().confirmed == service.publisher.account().published)
        self.assertEqual((service.publisher.account().failed, service.publisher.account().resent), (0, 0))
        await self.until(lambda: len(set(seen)) == len(passed))
        self.assertEqual(len(seen), len(set(seen)))
        await self.nodes[0].ended()

    async def test_nodes_that_go_and_come_one_by_one(self) -> None:
        """As in an upgrade: each publish is confirmed."""
        await self.cluster()
        service, _ = await self.relay()
        outcomes: dict[int, object] = {}
        feeding = Deferred.fromCoroutine(self.feed(service, 4.0, outcomes))
        for node in self.nodes:
            await deferLater(self.reactor, 0.3)
            await node.kill()
            await self.until(lambda: service.connected)
            await node.start()
        await feeding
        self.assertEqual(set(outcomes.values()), {None})
        self.assertGreater(service.connections[0].status().reconnects, 0)


class StatusTests(ClusterTestCase):
    """connection.status()"""

    async def test_totals_survive_reconnects(self) -> None:
        await self.cluster()
        service = await self.gets_in(nats_url=self.nodes[0].url, publish_resend_window=0)
        consumer = service.consumers[0].connection
        publisher = service.connections[0]
        before = consumer.status()
        self.assertEqual((before.state, before.messages_in, before.reconnects), (State.CONNECTED, 1, 0))
        self.assertGreater(before.rtt or 0.0, 0.0)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected)
        await service.publish("a", b"again")
        await self.until(lambda: consumer.status().messages_in == 2)
        after = consumer.status()
        self.assertEqual((after.reconnects, after.messages_out), (1, 0))
        self.assertGreater(after.bytes_in, before.bytes_in)
        self.assertEqual((publisher.status().messages_out, publisher.status().messages_in), (2, 0))
        await service.stopService()
        self.assertEqual((consumer.status().state, consumer.status().server), (State.CLOSED, None))
        self.assertEqual(consumer.status().messages_in, 2)
