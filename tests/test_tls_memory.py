"""natsroute.client.tls_memory"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.servers import Server, parse_url
from natsroute.client.tls_memory import MAX_ADDRESSES, TlsMemory

A, B = Server("a"), Server("b")


class TlsMemoryTests(SynchronousTestCase):
    """Which servers nothing is sent to in plain text."""

    def setUp(self) -> None:
        self.memory = TlsMemory()

    def test_used_tls(self) -> None:
        self.assertFalse(self.memory.requires_tls(A))
        self.memory.used_tls(A)
        self.assertTrue(self.memory.requires_tls(A))
        self.assertFalse(self.memory.requires_tls(B))
        self.assertFalse(self.memory.requires_tls(Server("a", 4223)))

    def test_the_same_address(self) -> None:
        """Credentials, scheme and capitals make no difference."""
        self.memory.used_tls(parse_url("tls://u:p@A.example"))
        self.memory.named(parse_url("nats://a.example"), ["B.example:4222", "[::1]:4222", "nonsense"])
        for url in ("nats://a.example", "nats://t@A.EXAMPLE", "nats://b.example", "nats://[::1]"):
            self.assertTrue(self.memory.requires_tls(parse_url(url)), url)

    def test_named(self) -> None:
        """By a server that has used TLS, or was named by one; not by any other."""
        self.memory.named(A, ["b:4222"])
        self.assertFalse(self.memory.requires_tls(B))
        self.memory.used_tls(A)
        self.memory.named(A, ["b:4222"])
        self.memory.named(B, ["c:4222"])
        self.assertTrue(self.memory.requires_tls(B))
        self.assertTrue(self.memory.requires_tls(Server("c")))

    def test_bound(self) -> None:
        """The address that was not seen for the longest time is forgotten."""
        self.memory.used_tls(A)
        self.memory.used_tls(B)
        self.memory.named(B, (f"n{number}:4222" for number in range(MAX_ADDRESSES - 2)))
        self.memory.used_tls(A)
        self.memory.named(A, ["last:4222"])
        self.assertTrue(self.memory.requires_tls(A))
        self.assertFalse(self.memory.requires_tls(B))
