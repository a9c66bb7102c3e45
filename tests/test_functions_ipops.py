"""natsroute.kamailio.script.functions.ipops"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.script.functions.ipops import FUNCTIONS
from tests.support.expressions import make_evaluation
from tests.support.functions import call


class IpopsTests(SynchronousTestCase):
    """Addresses, as Kamailio takes them."""

    def check(self, name: str, *cases: tuple[Any, ...]) -> None:
        """Each case has the arguments and, last, the result."""
        for *written, expected in cases:
            self.assertEqual(call(make_evaluation(), name, *written), expected, (name, written))

    def test_types(self) -> None:
        for kind, addresses in {
            1: ("1.2.3.4", "0.0.0.0", "255.255.255.255"),
            2: ("::", "::1", "FE80::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8"),
            3: ("[::1]", "[2001:DB8::1]"),
            -1: (
                *("", "1.2.3", "1.2.3.4.5", "256.1.1.1", "010.1.1.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "0x1.2.3.4"),
                *("[1.2.3.4]", "[::1", "::1]", "[]", "[", ":", "1::2::3", "12345::", "fe80::1%eth0", "::1/64", "é"),
                *("1.2.3.4\0", "sip:1.2.3.4", "1.2.3.4/8"),
            ),
        }.items():
            for address in addresses:
                found = [call(make_evaluation(), name, address) for name in ("ip_type", "is_ip", "is_pure_ip")]
                self.assertEqual(found, [kind, 1 if kind > 0 else -1, 1 if kind in (1, 2) else -1], address)
                for expected, name in ((1, "is_ipv4"), (2, "is_ipv6"), (3, "is_ipv6_reference")):
                    self.check(name, (address, 1 if kind == expected else -1))

    def test_comparisons(self) -> None:
        self.check("compare_ips", ("::1", "[0:0::1]", 1), ("1.2.3.4", "1.2.3.4", 1), ("1.2.3.4", "::ffff:1.2.3.4", -1))
        self.check("compare_ips", ("FE80::A", "fe80::a", 1), ("x", "x", -1), ("", "", -1), ("::1", "::2", -1))
        self.check("compare_pure_ips", ("::1", "[::1]", -1), ("[::1]", "[::1]", -1), ("::1", "0::1", 1))

    def test_private(self) -> None:
        self.check("is_ip_rfc1918", ("10.0.0.1", 1), ("10.255.255.255", 1), ("9.255.255.255", -1), ("11.0.0.0", -1))
        self.check(
            "is_ip_rfc1918", ("172.15.255.255", -1), ("172.16.0.0", 1), ("172.31.255.255", 1), ("172.32.0.0", -1)
        )
        self.check("is_ip_rfc1918", ("192.168.0.0", 1), ("192.169.0.0", -1), ("fc00::1", -1), ("x", -1))

    def test_subnets(self) -> None:
        self.check("is_in_subnet", ("10.1.1.1", "10.0.0.0/8", 1), ("10.1.1.1", "11.0.0.0/8", -1))
        self.check("is_in_subnet", ("10.1.1.1", "10.1.1.1", 1), ("10.1.1.1", "10.1.1.2", -1))
        self.check("is_in_subnet", ("10.1.1.1", "0.0.0.0/0", 1), ("10.1.1.1", "10.1.1.1/32", 1))
        self.check("is_in_subnet", ("10.1.1.1", "10.1.1.1/33", -1), ("10.1.1.1", "10.9.9.9/08", 1))
        self.check("is_in_subnet", ("10.1.1.129", "10.1.1.128/25", 1), ("10.1.1.127", "10.1.1.128/25", -1))
        self.check("is_in_subnet", ("2001:db8:1::1", "2001:db8:1:2::/47", 1), ("2001:db8::1", "2001:db8::/128", -1))
        self.check("is_in_subnet", ("10.1.1.1", "::/0", -1), ("[fe80::1]", "fe80::/10", -1), ("::1", "[::1]", -1))
        self.check("is_in_subnet", ("10.1.1.1", "x, ::/0 ,10.0.0.0/8", 1), ("10.1.1.1", ",,", -1), ("", "", -1))

    def test_malformed_masks(self) -> None:
        """They match nothing: in Kamailio, the first ones match everything."""
        for mask in ("", "x", "8x", "-1", "+8", " 8", "255.0.0.0", "8/9", "²"):
            self.check("is_in_subnet", ("10.1.1.1", f"10.0.0.0/{mask}", -1))

    def test_all(self) -> None:
        """Variables are expanded in each of them."""
        self.assertEqual(len(FUNCTIONS), 10)
        self.check("is_ip", ("$natsData", -1), ("$rm", -1))
