"""natsroute.client.servers"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.servers import Server, parse_url, without_credentials
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
            "nats://user:hunt://er2@host",
            "user:hunter2@nats://host",
            "hunter2://host",
        ]:
            error = self.assertRaises(SettingError, parse_url, url)
            self.assertNotIn("hunter2", str(error) + repr(error), url)
        for url in ["nats://user:hunter2@host", "nats://hunter2@host"]:
            server = parse_url(url)
            self.assertNotIn("hunter2", repr(server) + str(server))

    def test_without_credentials_keeps_the_rest(self) -> None:
        self.assertEqual(without_credentials("nats://host:4222"), "nats://host:4222")
        self.assertEqual(without_credentials("nats://u:p@host:4222"), "nats://***@host:4222")
