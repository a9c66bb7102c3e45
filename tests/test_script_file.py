"""natsroute.kamailio.kemi.script_file"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.script_file import read_script_file


class ReadTests(SynchronousTestCase):
    """The bytes of a file, or an error that names the setting."""

    def test_read(self) -> None:
        """It is given as it is."""
        path = Path(self.mktemp())
        path.write_bytes(b"a\r\n\xff\x00")
        self.assertEqual(read_script_file(str(path)), b"a\r\n\xff\x00")

    def test_unreadable(self) -> None:
        for path, reason in [("/nosuch.py", "No such file or directory"), ("/", "Is a directory")]:
            error = self.assertRaises(ScriptError, read_script_file, path)
            self.assertEqual((error.file, error.problem), (path, f"it cannot be read: {reason}"))
            self.assertIn("Set kemi_script", error.remedy)
