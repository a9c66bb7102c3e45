"""Functions of the module ``ipops`` that look at IP addresses. Those that ask the DNS are not there."""

from __future__ import annotations

import socket
from collections.abc import Callable

from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.calls import function, table, text

#: What ``ip_type`` gives: an IPv4 address, an IPv6 address, and one in brackets, as in a URI.
_IPV4, _IPV6, _REFERENCE = 1, 2, 3

#: RFC 1918, as first address and bits.
_PRIVATE = ((b"\x0a\x00\x00\x00", 8), (b"\xac\x10\x00\x00", 12), (b"\xc0\xa8\x00\x00", 16))


def _parsed(address: bytes) -> tuple[int, bytes] | None:
    """The type of an address and its bytes; None if it is none."""
    is_reference = address[:1] == b"[" and address[-1:] == b"]"
    written = (address[1:-1] if is_reference else address).decode("latin-1")
    try:
        if ":" in written:
            return _REFERENCE if is_reference else _IPV6, socket.inet_pton(socket.AF_INET6, written)
        return None if is_reference else (_IPV4, socket.inet_pton(socket.AF_INET, written))
    except (OSError, ValueError):  # ValueError: a NUL byte
        return None


def _type(address: bytes) -> int:
    found = _parsed(address)
    return -1 if found is None else found[0]


def _is(*types: int) -> Callable[[Evaluation, bytes], int]:
    """A function that tells whether a text is an address of one of these types."""
    return lambda evaluation, address: 1 if _type(address) in types else -1


def _compare(*types: int) -> Callable[[Evaluation, bytes, bytes], int]:
    """A function that compares addresses of these types."""

    def run(evaluation: Evaluation, first: bytes, second: bytes) -> int:
        found, other = _parsed(first), _parsed(second)
        if found is None or other is None or found[0] not in types or other[0] not in types:
            return -1
        return 1 if found[1] == other[1] else -1

    return run


def _is_inside(address: bytes, network: bytes, bits: int) -> bool:
    """Whether an address begins with the same bits as another one."""
    if len(address) != len(network):
        return False
    shift = 8 * len(address) - bits
    return int.from_bytes(address, "big") >> shift == int.from_bytes(network, "big") >> shift


def _is_private(evaluation: Evaluation, address: bytes) -> int:
    found = _parsed(address)
    return 1 if found is not None and any(_is_inside(found[1], *private) for private in _PRIVATE) else -1


def _is_in_subnet(evaluation: Evaluation, address: bytes, subnets: bytes) -> int:
    """``is_in_subnet("10.1.2.3", "10.0.0.0/8, 192.0.2.1")``."""
    found = _parsed(address)
    if found is None or found[0] == _REFERENCE:
        return -1
    return 1 if any(_matches(found[1], subnet.strip()) for subnet in subnets.split(b",")) else -1


def _matches(address: bytes, subnet: bytes) -> bool:
    written, slash, bits = subnet.rpartition(b"/")
    network = _parsed(written if slash else subnet)
    if network is None or network[0] == _REFERENCE:
        return False
    most = 8 * len(network[1])
    if not slash:
        return address == network[1]
    return bits.isdigit() and len(bits) <= 3 and int(bits) <= most and _is_inside(address, network[1], int(bits))


FUNCTIONS = table(
    function("is_ip", _is(_IPV4, _IPV6, _REFERENCE), text),
    function("is_pure_ip", _is(_IPV4, _IPV6), text),
    function("is_ipv4", _is(_IPV4), text),
    function("is_ipv6", _is(_IPV6), text),
    function("is_ipv6_reference", _is(_REFERENCE), text),
    function("is_ip_rfc1918", _is_private, text),
    function("ip_type", lambda evaluation, address: _type(address), text),
    function("compare_ips", _compare(_IPV4, _IPV6, _REFERENCE), text, text),
    function("compare_pure_ips", _compare(_IPV4, _IPV6), text, text),
    function("is_in_subnet", _is_in_subnet, text, text),
)
