"""natsroute.kamailio.table_keys"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.table_keys import key_of_name, name_of_key
from natsroute.wire.key_value import check_key


class KeyTests(SynchronousTestCase):
    """Names of entries as keys of a bucket, and back."""

    def test_readable(self) -> None:
        for name, key in (
            (b"alice", "alice"),
            (b"sip:alice@example.com", "sip=3Aalice=40example.com"),
            (b"a=b", "a=3Db"),
            (b"", "="),
            (b".", "=2E"),
            (b"..a..b.", "=2E=2Ea.=2Eb=2E"),
            (b"a b\r\n*>", "a=20b=0D=0A=2A=3E"),
        ):
            self.assertEqual(key_of_name(name), key)

    def test_all_bytes(self) -> None:
        """Each name has a valid key of its own."""
        names = [bytes([one, two]) for one in range(256) for two in (0x2E, 0x3D, one)]
        names += [bytes(range(256)), b"...", b"=", b"==", b"=2E"]
        keys = {}
        for name in names:
            key = check_key(key_of_name(name))
            self.assertEqual(name_of_key(key), name)
            self.assertIn(keys.setdefault(key, name), (name,))

    def test_keys_of_others(self) -> None:
        """Other programs write keys that natsroute would not."""
        self.assertEqual((name_of_key("a=zz"), name_of_key("a=4a"), name_of_key("a=4A=")), (b"a=zz", b"a=4a", b"aJ="))
