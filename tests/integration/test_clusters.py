"""A cluster of three nodes that are killed, paused and restarted, under load"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from natsroute import EventRoutes, NatsrouteService
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.client.state import ConnectionEvent, State
from natsroute.client.status import Change
from natsroute.wire.frames import Msg
from tests.support.certificates import Certificates
from tests.support.login_case import LoginTestCase
from tests.support.nats_cluster import start_cluster
from tests.support.nats_server import NatsServer
from tests.support.secret_watch import secret

#: Seconds that a service waits after all nodes have failed. It does not before the first attempt at another node.
RECONNECT_WAIT = 60.0


class ClusterTestCase(LoginTestCase):
    """Three nodes. The service knows the first one, and discovers the others."""

    nodes: list[NatsServer]

    async def start_cluster(self, config: str = "", **options: Any) -> None:
        """Start the nodes; see :func:`tests.support.nats_cluster.start_cluster`."""
        self.nodes = await start_cluster(self.reactor, 3, config, **options)
        for node in self.nodes:
            self.addCleanup(node.stop)

    def node_of(self, connection: Connection) -> NatsServer:
        """The node that a connection is connected to."""
        server = connection.status().server
        assert server is not None
        return next(node for node in self.nodes if str(node.port) == server.address.rpartition(":")[2])


class DiscoveryTests(ClusterTestCase):
    """Servers that the cluster announces."""

    async def test_found_and_used(self) -> None:
        """They are used when the only configured node is gone."""
        await self.start_cluster()
        service = await self.assert_connects(nats_url=self.nodes[0].url)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected and self.node_of(service.connections[0]) is not self.nodes[0])
        await service.publish("a", b"still there")

    async def test_with_the_same_credentials_and_tls(self) -> None:
        """Only the address of a discovered node is known. Its certificate must have the name of the configured node."""
        made, password = Certificates(self.folder), secret()
        config = made.tls_block(made.server("localhost"))
        await self.start_cluster(f'{config}authorization {{ user: u, password: "{password}" }}')
        url = f"tls://u:{password}@localhost:{self.nodes[0].port}"
        service = await self.assert_connects(nats_url=url, tls_ca_file=str(made.ca))
        await self.nodes[0].kill()
        await self.until(lambda: service.connected and self.node_of(service.connections[0]) is not self.nodes[0])
        self.assertTrue(str(service.connections[0].status().server).startswith("tls://127.0.0.1:"))

    async def test_over_websocket(self) -> None:
        await self.start_cluster(websocket="no_tls: true")
        service = await self.assert_connects(nats_url=self.nodes[0].websocket_url)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected)
        self.assertTrue(str(service.connections[0].status().server).startswith("ws://"))

    async def test_opted_out(self) -> None:
        await self.start_cluster()
        service = await self.assert_connects(nats_url=self.nodes[0].url, ignore_discovered_servers=True)
        await self.nodes[0].kill()
        await self.until(lambda: self.log.matching("Cannot use"))
        await deferLater(self.reactor, 0.3)
        self.assertFalse(service.connected)
        await self.nodes[0].start()
        await self.until(lambda: service.connected)


class OutageTests(ClusterTestCase):
    """At 10,000 messages a second. An observer on a node that stays sees which of the confirmed messages arrive."""

    RATE = 10_000

    async def observer(self, node: NatsServer, subject: str) -> list[int]:
        """Record the numbers that arrive at a node."""
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
        """A service on the first node that publishes each message again, and the times at which it does so."""
        event_route, passed = EventRoutes(), []

        @event_route("nats:in")
        def pass_on(event: Any) -> None:
            passed.append(self.reactor.seconds())
            event.publish("out", event.data)

        urls = [node.url for node in self.nodes]
        service = self.start_service(
            event_route, nats_url=urls, keep_url_order=True, subject_queue_group=["in:q"], **settings
        )
        await self.until(lambda: service.connected)
        return service, passed

    async def feed(self, feeder: NatsrouteService, seconds: float, outcomes: dict[int, object]) -> None:
        """Publish numbered messages at the rate for that time, and wait for their outcomes."""
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

    async def call_later(self, seconds: float, function: Any) -> float:
        """Call a function after that time; returns the time of the call."""
        await deferLater(self.reactor, seconds)
        called = self.reactor.seconds()
        function()
        return called

    def gap(self, passed: list[float], at: float) -> float:
        """The longest time without a message after that moment."""
        times = [at, *(time for time in passed if time >= at)]
        return max(later - earlier for earlier, later in pairwise(times))

    async def test_killed_node(self) -> None:
        """Consuming and publishing go on at another node, without a wait. Every confirmed message arrives."""
        await self.start_cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, passed = await self.relay(reconnect_wait=RECONNECT_WAIT, reconnect_max_wait=RECONNECT_WAIT)
        feeder = self.start_service(nats_url=self.nodes[1].url, ignore_discovered_servers=True)
        await self.until(lambda: feeder.connected)
        self.assertTrue(all(self.node_of(connection) is self.nodes[0] for connection in service.connections))
        outcomes: dict[int, object] = {}
        killed = Deferred.fromCoroutine(self.call_later(1.5, self.nodes[0].kill))
        await self.feed(feeder, 4.0, outcomes)
        self.assertEqual(set(outcomes.values()), {None})
        at = await killed
        await self.until(lambda: service.publisher.account().confirmed == service.publisher.account().published)
        self.assertLess(self.gap(passed, at), RECONNECT_WAIT)
        self.assertEqual(service.publisher.account().failed, 0)
        # Messages on their way to the consumer at the killed node are lost, since NATS delivers at most once. What the
        # route published is not lost, even if the node had confirmed it and not passed it on: it is sent again.
        await self.until(lambda: len(set(seen)) == len(passed))

    async def test_paused_node(self) -> None:
        """After SIGSTOP, the service connects to another node within ping_interval x (max_pings_outstanding + 1)."""
        await self.start_cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, _ = await self.relay(ping_interval=0.5, max_pings_outstanding=2, connect_timeout=2.0)
        left: list[float] = []
        for connection in service.connections:
            connection.observe(
                lambda change: (
                    left.append(self.reactor.seconds()) if change.event is ConnectionEvent.DISCONNECTED else None
                )
            )
        paused = self.reactor.seconds()
        self.nodes[0].pause()
        await self.until(lambda: len(left) >= len(service.connections))
        self.assertLess(max(left) - paused, 60.0)  # the machine may be busy; by default it takes minutes
        # Other nodes may be left, too, if they are slow to answer.
        await self.until(
            lambda: service.connected and all(self.node_of(one) is not self.nodes[0] for one in service.connections)
        )
        # The other nodes still know the queue member at the paused node, and send it every other message.
        while not seen:
            await service.publish("in", b"1")
            await deferLater(self.reactor, 0.05)

    async def test_lame_duck(self) -> None:
        """The service moves before the node closes the connections, and nothing is lost."""
        await self.at_best(self.move)

    async def move(self) -> None:
        """One node enters lame duck mode."""
        await self.start_cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, passed = await self.relay(reconnect_wait=RECONNECT_WAIT, reconnect_max_wait=RECONNECT_WAIT)
        feeder = self.start_service(nats_url=self.nodes[1].url, ignore_discovered_servers=True)
        await self.until(lambda: feeder.connected)
        changes: list[Change] = []
        for connection in service.connections:
            connection.observe(changes.append)
        outcomes: dict[int, object] = {}
        sent = Deferred.fromCoroutine(self.call_later(1.0, self.nodes[0].lame_duck))
        await self.feed(feeder, 3.0, outcomes)
        at = await sent
        consumers = len(service.consumers)
        await self.until(lambda: len(changes) == 3 * len(service.connections) - consumers)
        self.assertEqual(
            Counter(change.event for change in changes),
            {
                ConnectionEvent.LAME_DUCK: len(service.connections),
                ConnectionEvent.CONNECTED: len(service.connections),
                ConnectionEvent.DISCONNECTED: len(service.connections) - consumers,  # these have another server first
            },
        )
        self.assertIn("lame duck", str(changes[0].reason))
        self.assertLess(self.gap(passed, at), RECONNECT_WAIT)
        await self.until(lambda: service.publisher.account().confirmed == service.publisher.account().published)
        self.assertEqual((service.publisher.account().failed, service.publisher.account().resent), (0, 0))
        self.assertEqual(len(passed), len(outcomes))
        await self.until(lambda: len(set(seen)) == len(passed))
        self.assertEqual(len(seen), len(set(seen)))

    async def test_lame_duck_in_sparse_traffic(self) -> None:
        """PINGs are late then. The node confirms all that it has before it is left, so nothing is sent twice."""
        await self.start_cluster()
        seen = await self.observer(self.nodes[2], "out")
        service, _ = await self.relay()
        sent = Deferred.fromCoroutine(self.call_later(0.5, self.nodes[0].lame_duck))
        until, number = self.reactor.seconds() + 2.0, 0
        while self.reactor.seconds() < until:
            service.publish("out", b"%d" % number)
            number += 1
            await deferLater(self.reactor, 0.0005)
        await sent
        await self.until(lambda: len(set(seen)) == number)
        await service.flush()
        account = service.publisher.account()
        self.assertEqual((account.failed, account.resent, account.confirmed), (0, 0, number))
        self.assertEqual(len(seen), number)

    async def test_restart_of_one_node_after_the_other(self) -> None:
        """As in an upgrade. Each message is confirmed."""
        await self.start_cluster()
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
        await self.start_cluster()
        service = await self.assert_connects(nats_url=self.nodes[0].url, publish_resend_window=0)
        consumer = service.consumers[0].connection
        publisher = service.connections[0]
        before = consumer.status()
        self.assertEqual((before.state, before.messages_in, before.reconnects), (State.CONNECTED, 1, 0))
        self.assertGreater(before.rtt or 0.0, 0.0)
        await self.nodes[0].kill()
        await self.until(lambda: service.connected)
        published = 1
        while consumer.status().messages_in < 2:  # until the publisher's node knows the subscription at the other one
            await service.publish("a", b"again")
            published += 1
        after = consumer.status()
        self.assertEqual((after.reconnects, after.messages_out), (1, 0))
        self.assertGreater(after.bytes_in, before.bytes_in)
        self.assertEqual((publisher.status().messages_out, publisher.status().messages_in), (published, 0))
        await service.stopService()
        self.assertEqual((consumer.status().state, consumer.status().server), (State.CLOSED, None))
        self.assertEqual(consumer.status().messages_in, service.ledger().consumers[0].received)
