"""natsroute.client.transport.resolver"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.transport.resolver import MAX_SECONDS, Resolver


class NameResolver:
    """A resolver of the reactor that answers when the test does."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, str]] = []
        self.problem: Exception | None = None

    def resolveHostName(self, receiver: Any, name: str) -> object:
        if self.problem is not None:
            raise self.problem
        self.asked.append((receiver, name))
        receiver.resolutionBegan(None)
        return None

    def answer(self, *addresses: str, number: int = -1) -> None:
        """Answer a look-up; the last one unless another number is given."""
        receiver = self.asked[number][0]
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 0))
        receiver.resolutionComplete()


class ResolverTests(SynchronousTestCase):
    """resolve()"""

    def setUp(self) -> None:
        self.reactor: Any = Clock()
        self.reactor.nameResolver = self.names = NameResolver()
        self.resolver = Resolver(self.reactor)

    def test_addresses(self) -> None:
        """Each once, in the order of the resolver."""
        answer = self.resolver.resolve("a.example")
        self.assertNoResult(answer)
        self.names.answer("::1", "127.0.0.1", "::1")
        self.assertEqual(self.successResultOf(answer), ["::1", "127.0.0.1"])

    def test_an_address(self) -> None:
        for address in ("127.0.0.1", "::1"):
            self.assertEqual(self.successResultOf(self.resolver.resolve(address)), [address])
        self.assertEqual(self.names.asked, [])

    def test_names(self) -> None:
        """A name of Docker Compose may have an underscore; a name with other letters is encoded."""
        for name, asked in (("foo_bar", "foo_bar"), ("b\xfccher.example", "xn--bcher-kva.example")):
            self.resolver.resolve(name)
            self.assertEqual(self.names.asked[-1][1], asked)
        self.failureResultOf(self.resolver.resolve("\xfc_." + "x" * 70), DNSLookupError)

    def test_no_address(self) -> None:
        answer = self.resolver.resolve("a")
        self.names.answer()
        self.failureResultOf(answer, DNSLookupError)

    def test_whatever_the_resolver_raises(self) -> None:
        self.names.problem = LookupError("unknown encoding: idna")
        self.failureResultOf(self.resolver.resolve("a"), LookupError)
        self.names.problem = None
        answer = self.resolver.resolve("a")
        self.names.answer("127.0.0.1")
        self.successResultOf(answer)

    def test_shared(self) -> None:
        """Attempts for the same name share a look-up. Otherwise a slow resolver would run out of threads."""
        first, second = self.resolver.resolve("a"), self.resolver.resolve("a")
        self.assertEqual(len(self.names.asked), 1)
        self.names.answer("127.0.0.1")
        self.assertEqual(self.successResultOf(first), self.successResultOf(second))

    def test_late(self) -> None:
        """An answer for which nobody waits any more is for the next attempt, and only for that one."""
        answer = self.resolver.resolve("a")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.names.answer("127.0.0.1")
        self.assertEqual(self.successResultOf(self.resolver.resolve("a")), ["127.0.0.1"])
        self.assertNoResult(self.resolver.resolve("a"))

    def test_never(self) -> None:
        """A look-up that failed in its thread has no answer: after a time there is another one."""
        answer = self.resolver.resolve("a")
        self.reactor.advance(MAX_SECONDS)
        self.assertEqual(len(self.names.asked), 1)
        self.resolver.resolve("a")
        self.assertEqual(len(self.names.asked), 2)
        self.names.answer("127.0.0.1")
        self.assertEqual(self.successResultOf(answer), ["127.0.0.1"])
        self.names.answer("127.0.0.1", number=0)
