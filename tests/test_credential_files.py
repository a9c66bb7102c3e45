"""natsroute.client.credential_files"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.credential_files import read_file
from natsroute.errors import SettingError


class ReadFileTests(SynchronousTestCase):
    """All of it, or a SettingError that names the setting."""

    def test_all_of_it(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"\0\r\n\xff")
        self.assertEqual(read_file("creds_file", str(path)), b"\0\r\n\xff")

    def test_what_cannot_be_read(self) -> None:
        for path, problem in (
            (self.mktemp(), "No such file"),
            (".", "Is a directory"),
            ("a" * 5000, "name too long"),
            ("a\0b", "it cannot be read"),
            ("a\ud800b", "it cannot be read"),
        ):
            error = self.assertRaises(SettingError, read_file, "creds_file", path)
            self.assertEqual((error.setting, error.value), ("creds_file", path))
            self.assertIn(problem, str(error))

    @given(st.text(st.characters(exclude_categories=()), min_size=1))
    def test_any_path(self, name: str) -> None:
        """Nothing else is raised."""
        self.assertRaises(SettingError, read_file, "creds_file", f"nowhere/{name}")
