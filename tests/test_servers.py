"""natsroute.client.servers"""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.servers import Server, parse_url, without_credentials
from natsroute.client.transport.tls import Tls, TlsSession
from natsroute.errors import SettingError
from tests.fuzz.properties import urls_are_read_as_they_are_shown

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

SCHEMES = st.sampled_from(["nats", "tls", "ws", "wss"])
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True) | st.ip_addresses().map(str)
#: Any characters, lone surrogates included, and many that separate the parts of a URL.
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from(":/@?#[],%. \t\n\0\x1b"), max_size=12)
#: Parts of URLs in any order.
BROKEN_URLS = st.lists(
    st.sampled_from(["nats", "://", "http", ":", "@", "/", "[", "]", "::1", "host", "4222", "99999", ",", " "])
    | ANY_TEXT,
    max_size=8,
).map("".join)


class UrlTests(SynchronousTestCase):
    """parse_url"""

    def test_host_and_port(self) -> None:
        self.assertEqual(parse_url("nats://sip.example.com:4333"), Server("sip.example.com", 4333))

    def test_default_port(self) -> None:
        self.assertEqual(parse_url("nats://10.0.0.1"), Server("10.0.0.1", 4222))

    def test_scheme_in_capitals(self) -> None:
        for url in ("NATS://u:p@a:1", "Tls://a", "WSS://a"):
            self.assertEqual(parse_url(url), parse_url(url.lower()))
        self.assertEqual(without_credentials("NATS://u:p@a:1"), "NATS://***@a:1")

    def test_underscore(self) -> None:
        """As Docker Compose names services."""
        server = parse_url("nats://foo_bar:4222")
        self.assertEqual((server.host, str(server)), ("foo_bar", "nats://foo_bar:4222"))
        self.assertIsInstance(Tls().session(server.name), TlsSession)

    def test_ipv6(self) -> None:
        server = parse_url("nats://[::1]:4222/")
        self.assertEqual(server.host, "::1")
        self.assertEqual(str(server), "nats://[::1]:4222")

    def test_user_and_password(self) -> None:
        """As in the manual of Kamailio's module. Percent-encoded characters are decoded."""
        server = parse_url("nats://user1:p%40ss%3A1@127.0.1.2:4222")
        self.assertEqual(server.credentials, Credentials(user="user1", password="p@ss:1"))

    def test_token(self) -> None:
        self.assertEqual(parse_url("nats://t0ken@host").credentials, Credentials(token="t0ken"))

    def test_malformed(self) -> None:
        """Each error has the setting, the value and a remedy."""
        for url, problem in [
            ("127.0.0.1:4222", "no scheme"),
            ("http://host", "scheme 'http' is unknown"),
            ("nats://", "host is missing"),
            ("nats://:4222", "host is missing"),
            ("nats://host:0", "port 0 cannot be used"),
            ("nats://host:65536", "host or port is malformed"),
            ("nats://host:port", "host or port is malformed"),
            ("nats://host:-1", "host or port is malformed"),
            ("nats://[::1", "host or port is malformed"),
            ("nats://::1", "host or port is malformed"),
            ("nats://a[::1]:4222", "host or port is malformed"),
            ("nats://[::1]b:4222", "host or port is malformed"),
            ("nats://[::1]@[:", "host or port is malformed"),
            ("nats://a b", "its host is malformed"),
            ("nats://a,b", "its host is malformed"),
            ("nats://a\x1bb", "its host is malformed"),
            ("nats://a\nb", "a tab or a line break"),
            ("nats://user:pass\tword@host", "a tab or a line break"),
            ("nats://host:4222/path", "ends with its port"),
            ("nats://host?x=1", "ends with its port"),
        ]:
            error = self.assertRaises(SettingError, parse_url, url)
            self.assertEqual(error.setting, "nats_url")
            self.assertIn(problem, str(error), url)
            self.assertTrue(error.remedy)

    def test_credentials_are_never_shown(self) -> None:
        """Neither an error nor repr or str contains them, no matter how the URL is malformed."""
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

    @quick
    @given(SCHEMES, HOSTS, st.none() | st.integers(1, 65535), st.none() | st.text(), st.none() | st.text())
    def test_round_trip(self, scheme: str, host: str, port: int | None, user: str | None, password: str | None) -> None:
        """Percent-encoded credentials are decoded."""
        credentials, login = None, ""
        if user is not None:
            credentials = Credentials(token=user) if password is None else Credentials(user=user, password=password)
            login = quote(user, "") + ("" if password is None else f":{quote(password, '')}") + "@"
        address = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
        server = parse_url(f"{scheme}://{login}{address}")
        self.assertEqual(server, Server(host, port or parse_url(f"{scheme}://a").port, credentials, scheme))
        self.assertEqual(parse_url(str(server)), Server(host, server.port, None, scheme))

    @quick
    @given(ANY_TEXT | BROKEN_URLS | st.builds("nats://{}".format, ANY_TEXT))
    def test_any_text(self, url: str) -> None:
        urls_are_read_as_they_are_shown(url)

    @quick
    @given(BROKEN_URLS, BROKEN_URLS, BROKEN_URLS)
    def test_nothing_before_the_last_at_is_shown(self, before: str, after: str, address: str) -> None:
        """The secret may be anywhere before it."""
        assume("://" in before or "://" not in after)  # otherwise the secret would be in the address of the scheme
        url = f"{before}hunter2{after}@{address}"
        self.assertNotIn("hunter2", without_credentials(url))
        try:
            server = parse_url(url)
        except SettingError as error:
            self.assertNotIn("hunter2", str(error) + repr(error))
        else:
            self.assertNotIn("hunter2", str(server) + repr(server))

    def test_without_credentials_keeps_the_rest(self) -> None:
        self.assertEqual(without_credentials("nats://host:4222"), "nats://host:4222")
        self.assertEqual(without_credentials("nats://u:p@host:4222"), "nats://***@host:4222")


class ServerTests(SynchronousTestCase):
    """Server"""

    def test_address(self) -> None:
        self.assertEqual([parse_url(url).address for url in ("nats://a", "ws://[::1]")], ["a:4222", "[::1]:80"])

    def test_security(self) -> None:
        """secure and web, by scheme."""
        servers = [parse_url(f"{scheme}://a") for scheme in ("nats", "tls", "ws", "wss")]
        self.assertEqual([server.secure for server in servers], [False, True, False, True])
        self.assertEqual([server.web for server in servers], [False, False, True, True])

    def test_another_of_its_cluster(self) -> None:
        """Its certificate has the name that the first one has."""
        other = parse_url("wss://u:p@a").at("[::1]:443")
        assert other is not None
        self.assertEqual((str(other), other.name), ("wss://[::1]:443", "a"))
        self.assertEqual(other.credentials, Credentials(user="u", password="p"))

    def test_not_an_address(self) -> None:
        for address in ("", "b", "b:", ":1", "b:0", "b:65536", "b:1/x", "u@b:1", "b c:1", "[[b]]:1", "b:" + "1" * 5000):
            self.assertIsNone(Server("a").at(address), address)
