"""natsroute.daemon.settings.bucket_entry"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.bucket_entry import KeyValueEntry


class KeyValueEntryTests(SynchronousTestCase):
    """What event routes for the changes of a bucket need."""

    def test_patterns(self) -> None:
        """No two overlap: the server would refuse them."""
        entry = KeyValueEntry.of("b", ["a.*", "c", "c"])
        self.assertEqual((entry.patterns, entry.subject, str(entry)), (("a.*", "c"), "$KV.b.>", "kv:b"))
        self.assertEqual((entry.event_name, entry.queue_group), ("kv:b", None))
        self.assertEqual([entry.reaches(pattern) for pattern in ("a.*", "a.x", ">")], [True, False, False])
        self.assertEqual(KeyValueEntry.of("b", ["a.*", "a.x"]).patterns, (">",))
        self.assertTrue(KeyValueEntry.of("b", [">"]).reaches("x"))
