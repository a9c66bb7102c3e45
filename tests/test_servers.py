"""natsroute.client.servers"""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.servers import Server, parse_url, without_credentials
from natsroute.errors import SettingError
from tests.fuzz.properties import urls_are_read_as_they_are_shown

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

SCHEMES = st.sampled_from(["nats", "tls", "ws", "wss"])
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?", fullmatch=True) | st.ip_addresses().map(str)
#: Lone surrogates too, and all that a URL is cut at.
ANY_TEXT = st.text(st.characters(exclude_categories=()) | st.sampled_from(":/@?#[],%. \t\n\0\x1b"), max_size=12)
#: Pieces of URLs, in an order that may be wrong.
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
            ("nats://::1", "cannot be read"),
            ("nats://a[::1]:4222", "cannot be read"),
            ("nats://[::1]b:4222", "cannot be read"),
            ("nats://[::1]@[:", "cannot be read"),
            ("nats://a b", "cannot be a name"),
            ("nats://a,b", "cannot be a name"),
            ("nats://a\x1bb", "cannot be a name"),
            ("nats://a\nb", "a tab or a line break"),
            ("nats://user:pass\tword@host", "a tab or a line break"),
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

    @quick
    @given(SCHEMES, HOSTS, st.none() | st.integers(1, 65535), st.none() | st.text(), st.none() | st.text())
    def test_round_trip(self, scheme: str, host: str, port: int | None, user: str | None, password: str | None) -> None:
        """What was percent-encoded is read as it was."""
        credentials, login = None, ""
        if user is not None:
            credentials = Credentials(token=user) if password is None else Credentials(user=user, password=password)
            login = quote(user, "") + ("" if password is None else f":{quote(password, '')}") + "@"
        place = (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
        server = parse_url(f"{scheme}://{login}{place}")
        self.assertEqual(server, Server(host, port or parse_url(f"{scheme}://a").port, credentials, scheme))
        self.assertEqual(parse_url(str(server)), Server(host, server.port, None, scheme))

    @quick
    @given(ANY_TEXT | BROKEN_URLS | st.builds("nats://{}".format, ANY_TEXT))
    def test_any_text(self, url: str) -> None:
        urls_are_read_as_they_are_shown(url)

    @quick
    @given(BROKEN_URLS, BROKEN_URLS, BROKEN_URLS)
    def test_what_stands_before_the_last_at_never_shows(self, before: str, after: str, place: str) -> None:
        """Wherever the secret is there."""
        assume("://" in before or "://" not in after)  # else it stands where the scheme should
        url = f"{before}hunter2{after}@{place}"
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
