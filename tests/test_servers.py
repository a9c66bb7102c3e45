"""natsroute.client.servers"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.servers import Backoff, Server, ServerPool, parse_url, without_credentials
from natsroute.errors import SettingError


class UrlTests(SynchronousTestCase):
    """parse_url"""

    def test_host_and_port(self) -> None:
        self.assertEqual(parse_url("nats://sip.example.com:4333"), Server("sip.example.com", 4333))

    def test_default_port(self) -> None:
        self.assertEqual(parse_url("nats://10.0.0.1"), Server("10.0.0.1", 4222))

    def test_ipv6(self) -> None:
        server = parse_url("nats://[::1]:4222/")
        self.assertEqual(server.host, "::1")
        self.assertEqual(str(server), "nats://[::1]:4222")

    def test_user_and_password(self) -> None:
        """As in the module's manual; percent-encoded characters are decoded."""
        server = parse_url("nats://user1:p%40ss%3A1@127.0.1.2:4222")
        self.assertEqual(server.credentials, Credentials(user="user1", password="p@ss:1"))

    def test_token(self) -> None:
        self.assertEqual(parse_url("nats://t0ken@host").credentials, Credentials(token="t0ken"))

    def test_what_cannot_be(self) -> None:
        """Each is one error with setting, value and remedy."""
        for url, problem in [
            ("127.0.0.1:4222", "no scheme"),
            ("http://host", "'http' is not one of NATS"),
            ("tls://host", "TLS is not supported"),
            ("nats://", "host is missing"),
            ("nats://:4222", "host is missing"),
            ("nats://host:0", "no server has port 0"),
            ("nats://host:65536", "cannot be read"),
            ("nats://host:port", "cannot be read"),
            ("nats://host:-1", "cannot be read"),
            ("nats://[::1", "cannot be read"),
            ("nats://a b", "cannot be a name"),
            ("nats://a,b", "cannot be a name"),
            ("nats://host:4222/path", "ends with its port"),
            ("nats://host?x=1", "ends with its port"),
        ]:
            error = self.assertRaises(SettingError, parse_url, url)
            self.assertEqual(error.setting, "nats_url")
            self.assertIn(problem, str(error), url)
            self.assertTrue(error.remedy)

    def test_credentials_never_show(self) -> None:
        """Not in an error, nor in repr or str, however the URL is broken."""
        for url in [
            "http://user:hunter2@host",
            "nats://user:hunter2@",
            "nats://user:hunter2@host:99999",
            "nats://user:hunter2",
            "user:hunter2@host",
            "nats://user:hunter2@host/path",
            "nats://hunter2@host:x",
            "nats://us/er:hunter2@host",
        ]:
            error = self.assertRaises(SettingError, parse_url, url)
            self.assertNotIn("hunter2", str(error) + repr(error), url)
        for url in ["nats://user:hunter2@host", "nats://hunter2@host"]:
            server = parse_url(url)
            self.assertNotIn("hunter2", repr(server) + str(server))

    def test_without_credentials_keeps_the_rest(self) -> None:
        self.assertEqual(without_credentials("nats://host:4222"), "nats://host:4222")
        self.assertEqual(without_credentials("nats://u:p@host:4222"), "nats://***@host:4222")


class BackoffTests(SynchronousTestCase):
    """Backoff"""

    def test_doubles_up_to_its_maximum(self) -> None:
        backoff = Backoff(wait=2.0, max_wait=10.0, jitter=0.0)
        self.assertEqual([backoff.delay(rounds) for rounds in range(6)], [0.0, 2.0, 4.0, 8.0, 10.0, 10.0])

    def test_jitter_is_added(self) -> None:
        self.assertEqual(Backoff(2.0, 10.0, 0.5).delay(1, chance=lambda: 0.5), 2.25)

    def test_an_outage_of_weeks(self) -> None:
        """No overflow after any number of rounds."""
        self.assertEqual(Backoff(2.0, 10.0, 0.0).delay(10**9), 10.0)


A, B, C = Server("a"), Server("b"), Server("c")


def pool(*servers: Server) -> ServerPool:
    return ServerPool(servers, Backoff(2.0, 10.0, 0.0), keep_order=True)


class ServerPoolTests(SynchronousTestCase):
    """ServerPool"""

    def test_the_first_round_takes_no_time(self) -> None:
        servers = pool(A, B)
        tries = [servers.next() for _ in range(6)]
        self.assertEqual(tries, [(A, 0.0), (B, 0.0), (A, 2.0), (B, 0.0), (A, 4.0), (B, 0.0)])

    def test_a_lost_server_comes_last_and_the_next_at_once(self) -> None:
        servers = pool(A, B, C)
        servers.next()
        servers.lost(A, lived=60.0)
        self.assertEqual([servers.next() for _ in range(3)], [(B, 0.0), (C, 0.0), (A, 0.0)])

    def test_one_server_is_tried_again_at_once(self) -> None:
        servers = pool(A)
        servers.next()
        servers.lost(A, lived=60.0)
        self.assertEqual([servers.next() for _ in range(2)], [(A, 0.0), (A, 2.0)])

    def test_a_server_that_throws_us_out_is_not_asked_at_once(self) -> None:
        """The backoff goes on when the connection did not live."""
        servers = pool(A)
        delays = []
        for _ in range(4):
            server, delay = servers.next()
            delays.append(delay)
            servers.lost(server, lived=0.1)
        self.assertEqual(delays, [0.0, 2.0, 4.0, 8.0])

    def test_shuffled_unless_told_otherwise(self) -> None:
        shuffled = ServerPool((A, B, C), Backoff(), shuffle=lambda servers: servers.reverse())
        self.assertEqual([shuffled.next()[0] for _ in range(3)], [C, B, A])
