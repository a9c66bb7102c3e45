"""natsroute.client.server_pool"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.server_pool import MAX_DISCOVERED, Backoff, ServerPool
from natsroute.client.servers import Server, parse_url


class BackoffTests(SynchronousTestCase):
    """Backoff"""

    def test_doubles_up_to_its_maximum(self) -> None:
        backoff = Backoff(wait=2.0, max_wait=10.0, jitter=0.0)
        self.assertEqual([backoff.delay(rounds) for rounds in range(6)], [0.0, 2.0, 4.0, 8.0, 10.0, 10.0])

    def test_jitter_is_added(self) -> None:
        self.assertEqual(Backoff(2.0, 10.0, 0.5).delay(1, chance=lambda: 0.5), 2.25)

    def test_login_delay(self) -> None:
        """It doubles with each refusal, and has a limit of its own."""
        backoff = Backoff(jitter=0.5, login_wait=10.0, login_max_wait=30.0)
        self.assertEqual([backoff.login_delay(refusals, lambda: 1.0) for refusals in (1, 2, 3)], [10.5, 20.5, 30.5])

    def test_an_outage_of_weeks(self) -> None:
        """No overflow after any number of rounds."""
        self.assertEqual(Backoff(2.0, 10.0, 0.0).delay(10**9), 10.0)


A, B, C = Server("a"), Server("b"), Server("c")


def pool(*servers: Server) -> ServerPool:
    return ServerPool(servers, Backoff(2.0, 10.0, 0.0), keep_order=True)


class ServerPoolTests(SynchronousTestCase):
    """ServerPool"""

    def test_the_first_round_has_no_delays(self) -> None:
        servers = pool(A, B)
        tries = [servers.next(0.0) for _ in range(6)]
        self.assertEqual(tries, [(A, 0.0), (B, 0.0), (A, 2.0), (B, 0.0), (A, 4.0), (B, 0.0)])

    def test_a_lost_server_comes_last(self) -> None:
        servers = pool(A, B, C)
        servers.next(0.0)
        servers.lost(A, lasted=60.0)
        self.assertEqual([servers.next(0.0) for _ in range(3)], [(B, 0.0), (C, 0.0), (A, 0.0)])

    def test_one_server_is_tried_again_at_once(self) -> None:
        servers = pool(A)
        servers.next(0.0)
        servers.lost(A, lasted=60.0)
        self.assertEqual([servers.next(0.0) for _ in range(2)], [(A, 0.0), (A, 2.0)])

    def test_a_server_that_disconnects_us_is_not_tried_again_at_once(self) -> None:
        """The backoff goes on if the connection did not last."""
        servers = pool(A)
        delays = []
        for _ in range(4):
            server, delay = servers.next(0.0)
            delays.append(delay)
            servers.lost(server, lasted=0.1)
        self.assertEqual(delays, [0.0, 2.0, 4.0, 8.0])

    def test_a_server_that_is_being_left_is_not_tried(self) -> None:
        """A new first round begins without it, and the backoff follows. It is tried again when it is lost."""
        servers = pool(A, B, C)
        servers.next(0.0)
        servers.leaving(A, lasted=60.0)
        tries = [servers.next(0.0) for _ in range(4)]
        self.assertEqual(tries, [(B, 0.0), (C, 0.0), (B, 2.0), (C, 0.0)])
        servers.lost(A, lasted=60.0)
        self.assertEqual([servers.next(0.0) for _ in range(3)], [(B, 0.0), (C, 0.0), (A, 0.0)])

    def test_a_server_that_was_left(self) -> None:
        """It is one of the others when another one is connected."""
        servers = pool(A, B)
        servers.next(0.0)
        servers.leaving(A, lasted=60.0)
        servers.next(0.0)
        servers.succeeded(B)
        servers.lost(B, lasted=60.0)
        self.assertEqual(servers.next(0.0), (A, 0.0))

    def test_a_server_that_is_left_soon_after_the_login(self) -> None:
        """The backoff goes on: servers in lame duck mode may send us from one to the other."""
        servers = pool(A, B)
        tries = []
        for _ in range(4):
            server, delay = servers.next(0.0)
            tries.append((server, delay))
            servers.succeeded(server)
            servers.leaving(server, lasted=0.1)
        self.assertEqual(tries, [(A, 0.0), (B, 0.0), (A, 2.0), (B, 0.0)])

    def test_a_server_that_is_being_left_and_the_only_one(self) -> None:
        """It is tried like any other one: the others have been removed."""
        servers = ServerPool((A, B), Backoff(2.0, 10.0, 0.0), keep_order=True, max_failures=1)
        servers.next(0.0)
        servers.leaving(A, lasted=60.0)
        servers.next(0.0)
        servers.failed(B, 0.0)
        self.assertEqual([servers.next(0.0) for _ in range(2)], [(A, 0.0), (A, 2.0)])

    def test_a_server_that_is_being_left_and_one_that_refused_the_login(self) -> None:
        """The latter is waited for."""
        servers = pool(A, B)
        servers.next(0.0)
        servers.leaving(A, lasted=60.0)
        servers.next(0.0)
        servers.failed(B, 0.0, refused=True)
        self.assertEqual(servers.next(1.0)[0], B)

    def test_shuffled_by_default(self) -> None:
        shuffled = ServerPool((A, B, C), Backoff(), shuffle=lambda servers: servers.reverse())
        self.assertEqual([shuffled.next(0.0)[0] for _ in range(3)], [C, B, A])

    def test_a_server_that_refuses_the_login_is_skipped_for_longer(self) -> None:
        servers = pool(A, B)
        self.assertEqual(servers.next(0.0), (A, 0.0))
        servers.failed(A, 0.0, refused=True)
        self.assertEqual(servers.next(0.0), (B, 0.0))
        servers.failed(B, 0.0)
        self.assertEqual(servers.next(0.0), (B, 2.0))
        servers.failed(B, 2.0)
        self.assertEqual(servers.next(2.0), (B, 4.0))
        servers.failed(B, 6.0)
        self.assertEqual(servers.next(6.0), (A, 8.0))

    def test_the_wait_for_a_refused_login_doubles_up_to_its_maximum(self) -> None:
        servers, now, waits = pool(A), 0.0, []
        for _ in range(8):
            _, delay = servers.next(now)
            waits.append(delay)
            now += delay
            servers.failed(A, now, refused=True)
        self.assertEqual(waits, [0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0])

    def test_a_login_that_is_accepted_again(self) -> None:
        servers = pool(A)
        servers.failed(A, 0.0, refused=True)
        servers.succeeded(A)
        self.assertEqual(servers.next(0.0), (A, 0.0))

    def test_no_server_is_removed_by_default(self) -> None:
        servers = pool(A, B)
        for _ in range(100):
            servers.failed(A, 0.0)
        self.assertEqual(list(servers.servers), [A, B])

    def test_removed_after_max_failures(self) -> None:
        """The last one stays."""
        servers = ServerPool((A, B), Backoff(2.0, 10.0, 0.0), keep_order=True, max_failures=2)
        for server in (A, A, B, B, B):
            servers.failed(server, 0.0)
        self.assertEqual(list(servers.servers), [B])
        self.assertEqual(servers.next(0.0), (B, 0.0))

    def test_a_success_between_failures(self) -> None:
        servers = ServerPool((A, B), Backoff(), keep_order=True, max_failures=2)
        servers.failed(A, 0.0)
        servers.succeeded(A)
        servers.failed(A, 0.0)
        self.assertEqual(list(servers.servers), [A, B])


class DiscoveryTests(SynchronousTestCase):
    """Servers that a cluster announces."""

    def setUp(self) -> None:
        self.first = parse_url("tls://u:p@a")
        self.servers = ServerPool((self.first,), Backoff(2.0, 10.0, 0.0), keep_order=True)

    def addresses(self) -> list[str]:
        return [server.address for server in self.servers.servers]

    def test_scheme_and_credentials_are_those_of_the_announcing_server(self) -> None:
        self.servers.announced(["10.0.0.1:4222", "[::1]:4223"], self.first)
        _, one, other = self.servers.servers
        self.assertEqual([str(one), str(other)], ["tls://10.0.0.1:4222", "tls://[::1]:4223"])
        self.assertEqual((one.name, one.secure, one.credentials), ("a", True, Credentials(user="u", password="p")))

    def test_announced_again(self) -> None:
        for _ in range(3):
            self.servers.announced(["a:4222", "b:4222", "b:4222"], self.first)
        self.assertEqual(self.addresses(), ["a:4222", "b:4222"])

    def test_gone_from_the_cluster(self) -> None:
        """Servers of the settings stay, and so does the one that announces the others."""
        self.servers.announced(["b:1", "c:1", "d:1"], self.first)
        self.servers.announced(["d:1"], self.servers.servers[1])
        self.assertEqual(self.addresses(), ["a:4222", "b:1", "d:1"])

    def test_nothing_is_announced(self) -> None:
        """A server without a cluster changes nothing."""
        self.servers.announced(["b:1"], self.first)
        self.servers.announced([], self.first)
        self.assertEqual(self.addresses(), ["a:4222", "b:1"])

    def test_tried_like_the_others(self) -> None:
        self.servers.next(0.0)
        self.servers.announced(["b:1"], self.first)
        self.servers.lost(self.first, lasted=60.0)
        self.assertEqual([(self.servers.next(0.0)[0].address) for _ in range(2)], ["b:1", "a:4222"])

    def test_malformed_addresses(self) -> None:
        odd = ["", ":", "b", "b:", ":1", "b:0", "b:65536", "b:x", "b:1/x", "u@b:1", "b c:1", "a\r\n:1", "[[b]]:1"]
        self.servers.announced(odd, self.first)
        self.assertEqual(self.addresses(), ["a:4222"])

    def test_max_discovered(self) -> None:
        self.servers.announced([f"b{number}:1" for number in range(1000)], self.first)
        self.servers.announced([f"c{number}:1" for number in range(1000)], self.first)
        self.assertEqual(len(self.addresses()), 1 + MAX_DISCOVERED)
        self.assertTrue(self.addresses()[-1].startswith("c"))

    def test_opted_out(self) -> None:
        servers = ServerPool((A,), Backoff(), discover=False)
        servers.announced(["b:1"], A)
        self.assertEqual(list(servers.servers), [A])

    def test_use(self) -> None:
        """One server replaces all others, and nothing is added to it."""
        only = Server("only")
        self.servers.announced(["b:1"], self.first)
        self.servers.use(only)
        self.servers.announced(["c:1"], only)
        self.assertEqual(list(self.servers.servers), [only])
        self.assertFalse(self.servers.has_other_than(only))
        self.assertEqual(self.servers.next(0.0), (only, 0.0))

    def test_a_round_ends_although_servers_are_added(self) -> None:
        """Each server announces another one; the backoff comes all the same."""
        servers = pool(A)
        for number, expected in enumerate([0.0, 2.0, 0.0]):
            server, delay = servers.next(0.0)
            self.assertEqual(delay, expected)
            servers.announced([f"b{number}:1", server.address], server)
