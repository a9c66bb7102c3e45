"""natsroute.daemon.settings.queue_entry"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import SettingError


class QueueEntryTests(SynchronousTestCase):
    """SUBJECT:GROUP"""

    def test_parse(self) -> None:
        """The first colon separates; ``str()`` gives the text back."""
        for text, entry in [
            ("Kamailio-World:2021", QueueEntry("Kamailio-World", "2021")),
            ("a.*:q:x", QueueEntry("a.*", "q:x")),
            ("a.>", QueueEntry("a.>")),
        ]:
            self.assertEqual(QueueEntry.parse(text), entry)
            self.assertEqual(str(entry), text)

    def test_malformed(self) -> None:
        for text in ("", ":", ":q", "a:", "a b:q", "a:q q", "a..b:q", ">.a:q"):
            error = self.assertRaises(SettingError, QueueEntry.parse, text)
            self.assertEqual((error.setting, error.value), ("subject_queue_group", text))
            self.assertIn("SUBJECT:GROUP", error.remedy)
