"""Looks up the addresses of a server's name."""

from __future__ import annotations

# Python loads the codec when the first name is looked up. After chroot() that would fail.
import encodings.idna  # noqa: F401
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from zope.interface import implementer

try:
    from idna import encode as _idna_encode
except ImportError:

    def _idna_encode(name: str) -> bytes:  # type: ignore[misc]
        return name.encode("idna")


#: A look-up without an answer after so many seconds has probably failed in its thread: another one begins.
MAX_SECONDS = 30.0


class Resolver:
    """
    Looks up names with the reactor's resolver.

    A look-up cannot be cancelled, and may take longer than an attempt to connect. So the attempts for one name share
    one look-up, and an answer that comes too late is used by the next attempt.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: dict[str, list[Deferred[list[str]]]] = {}  # by name, for each look-up that is not done
        self._began: dict[str, float] = {}
        self._late: dict[str, list[str]] = {}

    def resolve(self, name: str) -> Deferred[list[str]]:
        """
        Look up a name.

        :param name: a host name, or an IP address, which is its own answer. Only a name with letters outside of ASCII
            must follow the rules of IDNA: others may have underscores, as with Docker Compose.
        :return: fires with IP addresses, at least one, in the order of the resolver. Fails with
            ``twisted.internet.error.DNSLookupError`` if there are none. Cancelling it ends the wait only.
        """
        if _is_address(name):
            return succeed([name])
        late = self._late.pop(name, None)
        if late is not None:
            return succeed(late)
        answer: Deferred[list[str]] = Deferred(lambda _: self._forget(name, answer))
        now = self._reactor.seconds()
        if name in self._waiting and now - self._began[name] < MAX_SECONDS:
            self._waiting[name].append(answer)
            return answer
        try:
            text = name if name.isascii() else _idna_encode(name).decode("ascii")
        except UnicodeError as error:
            return fail(DNSLookupError(f"{name!r} is not a host name: {error}"))
        self._waiting.setdefault(name, []).append(answer)
        self._began[name] = now
        try:
            self._reactor.nameResolver.resolveHostName(_Receiver(self, name), text)
        except Exception as error:
            self._waiting.pop(name, None)
            return fail(error)
        return answer

    def _forget(self, name: str, answer: Deferred[list[str]]) -> None:
        if answer in self._waiting.get(name, ()):
            self._waiting[name].remove(answer)

    def _answered(self, name: str, addresses: list[str]) -> None:
        waiting = self._waiting.pop(name, [])
        if addresses and not waiting:
            self._late[name] = addresses
        for answer in waiting:
            if addresses:
                answer.callback(list(addresses))
            else:
                answer.errback(DNSLookupError(f"no address for {name!r}"))


@implementer(IResolutionReceiver)
class _Receiver:
    def __init__(self, resolver: Resolver, name: str) -> None:
        self._resolver = resolver
        self._name = name
        self._addresses: dict[str, None] = {}

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N803 (Twisted's name)
        pass

    def addressResolved(self, address: Any) -> None:
        self._addresses[address.host] = None

    def resolutionComplete(self) -> None:
        self._resolver._answered(self._name, list(self._addresses))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
