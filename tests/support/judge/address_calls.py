"""Calls of the functions that look at IP addresses."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.judge.calls import IN, Assignment, Call


def address_calls() -> Iterator[Call]:
    """All of them, with addresses and networks of all kinds."""
    addresses = (
        *("1.2.3.4", "0.0.0.0", "255.255.255.255", "010.1.1.1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", ""),
        *("[1.2.3.4]", "::", "::1", "[::1]", "FE80::1", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1::2::3", "[::1"),
        *("::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "fe80::1%eth0", "12345::", "1.2.3.4/8", "é"),
        *("10.255.255.255", "9.1.1.1", "172.15.1.1", "172.16.0.0", "172.31.255.255", "192.168.1.1", "192.169.0.0"),
    )
    names = ("is_ip", "is_pure_ip", "is_ipv4", "is_ipv6", "is_ipv6_reference", "is_ip_rfc1918", "ip_type")
    for address in addresses:
        for name in names:
            yield Call(name, (address,))
        for other in ("1.2.3.4", "0:0:0:0:0:0:0:1", "[0::1]"):
            yield Call("compare_ips", (address, other))
            yield Call("compare_pure_ips", (IN, other), (Assignment(IN, address),))
    subnets = (
        *("10.0.0.0/8", "11.0.0.0/8", "10.1.1.1", "10.1.1.2", "10.1.1.1/32", "0.0.0.0/0", "10.1.1.0/33", "10.0.0.0/08"),
        *("10.0.0.0/-1", "/8", "", "x", "x/8", "::/0", "10.0.0.0/8/9", "10.0.0.0 /8", "1.0.0.0/8, 10.0.0.0/8"),
        *("1.0.0.0/8 ,10.0.0.0/8", "x,10.0.0.0/8", "1.0.0.0/8,", ",10.0.0.0/8", "1.0.0.0/8;10.0.0.0/8", "10.9.9.9/8"),
        *("fe80::/10", "[fe80::]/10", "fe80::1", "fe80::1/128", "fe80::2/127", "fe80::/129"),
    )
    for address in ("10.1.1.1", "fe80::1", "[fe80::1]", "", "x"):
        for subnet in subnets:
            yield Call("is_in_subnet", (address, subnet))
    for mask in ("", "x", "8x"):
        yield Call("is_in_subnet", ("10.1.1.1", f"10.0.0.0/{mask}"))
