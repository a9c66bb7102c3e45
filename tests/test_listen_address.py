"""natsroute.daemon.settings.listen_address"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.listen_address import ListenAddress
from natsroute.errors import SettingError


class ListenAddressTests(SynchronousTestCase):
    """HOST:PORT."""

    def test_addresses(self) -> None:
        for text, host, port, is_local in [
            ("8080", "127.0.0.1", 8080, True),
            (":0", "127.0.0.1", 0, True),
            ("localhost:1", "127.0.0.1", 1, True),
            ("127.0.0.2:65535", "127.0.0.2", 65535, True),
            ("[::1]:80", "::1", 80, True),
            ("0.0.0.0:80", "0.0.0.0", 80, False),
            ("[::]:80", "::", 80, False),
            ("10.0.0.1:80", "10.0.0.1", 80, False),
        ]:
            address = ListenAddress.parse("http_listen", text)
            self.assertEqual((address.host, address.port, address.is_local), (host, port, is_local))
            self.assertEqual(ListenAddress.parse("http_listen", str(address)), address)

    def test_mistakes(self) -> None:
        for text, problem in [
            ("a", "it has no port"),
            ("127.0.0.1", "it has no port"),
            ("127.0.0.1:", "it has no port"),
            ("127.0.0.1:65536", "it has no port"),
            ("127.0.0.1:-1", "it has no port"),
            ("127.0.0.1:\u0661", "it has no port"),
            ("::1:80", "an IPv6 address needs brackets"),
            ("[127.0.0.1]:80", "its host is not an IP address"),
            ("example.org:80", "its host is not an IP address"),
            ("*:80", "its host is not an IP address"),
            ("[::1:80", "an IPv6 address needs brackets"),
            ("http://127.0.0.1:80", "an IPv6 address needs brackets"),
        ]:
            error = self.assertRaises(SettingError, ListenAddress.parse, "http_listen", text)
            self.assertEqual((error.setting, error.value), ("http_listen", text))
            self.assertTrue(error.problem.startswith(problem), (text, error.problem))
            self.assertIn("127.0.0.1:8080", error.remedy)

    @given(st.text(max_size=20) | st.from_regex(r"\[?[0-9a-f:.]{0,9}\]?:\d{1,6}", fullmatch=True))
    def test_any_text(self, text: str) -> None:
        """It is an address, or a mistake."""
        try:
            address = ListenAddress.parse("http_listen", text)
        except SettingError:
            return
        self.assertEqual(ListenAddress.parse("http_listen", str(address)), address)
