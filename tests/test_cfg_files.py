"""natsroute.kamailio.cfg.files"""

from __future__ import annotations

import os

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg import files
from natsroute.kamailio.cfg.files import File, find_included, is_missing, read_file
from natsroute.kamailio.cfg.source import Position
from tests.support.cfg_files import CfgTestCase


class FileTests(CfgTestCase):
    """A file, and where its characters stand."""

    def test_positions(self) -> None:
        """Lines and columns are counted from 1, in characters."""
        file = File("k.cfg", "aé\n\nb")
        found = [file.position_at(index) for index in range(6)]
        self.assertEqual(found, [Position("k.cfg", *at) for at in [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2)]])

    def test_byte_order_mark(self) -> None:
        """It is a blank, as for Kamailio."""
        self.assertEqual(read_file(str(self.write("\ufeffdebug=3"))).text, " debug=3")

    def test_bytes_that_are_not_utf_8(self) -> None:
        """They are kept as surrogate escapes."""
        self.assertEqual(read_file(str(self.write(b"a\xffb"))).text, "a\udcffb")

    def test_nul(self) -> None:
        """A NUL byte is refused, where it stands."""
        for data, line, column in ((b"a\nb\0", 2, 2), (b"\0", 1, 1)):
            error = self.assertRaises(ScriptError, read_file, str(self.write(data)))
            self.assertEqual((error.line, error.column, error.problem), (line, column, "a NUL byte"))

    def test_cannot_be_read(self) -> None:
        """A file that is missing, a folder, and a path with a NUL: the error is where the file is named."""
        for path, reason in ((self.folder / "none", "No such file"), (self.folder, "Is a directory")):
            error = self.assertRaises(ScriptError, read_file, str(path))
            self.assertEqual((error.file, error.line, error.column), (str(path), 1, 1))
            self.assertIn(f"it cannot be read: {reason}", error.problem)
        error = self.assertRaises(ScriptError, read_file, "a\0b", Position("k.cfg", 4, 5))
        self.assertEqual((error.file, error.line, error.column), ("k.cfg", 4, 5))
        self.assertIn("null byte", error.problem)

    def test_too_large(self) -> None:
        """A file that is too large is not read to its end."""
        self.patch(files, "MAX_FILE_SIZE", 10)
        self.assertEqual(len(read_file(str(self.write("x" * 10))).text), 10)
        error = self.assertRaises(ScriptError, read_file, str(self.write("x" * 11)))
        self.assertEqual(error.problem, "it has more than 10 bytes")


class IncludedTests(CfgTestCase):
    """Where an included file is looked for."""

    def test_beside_the_including_file(self) -> None:
        """That is where it is, unless it is absolute or in the working directory."""
        inside = str(self.write("", "natsroute-test-inside.cfg"))
        including = str(self.folder / "kamailio.cfg")
        self.assertEqual(find_included("natsroute-test-inside.cfg", including), inside)
        self.assertEqual(find_included("natsroute-none.cfg", including), str(self.folder / "natsroute-none.cfg"))
        self.assertEqual(find_included(inside, "/elsewhere/kamailio.cfg"), inside)

    def test_working_directory_first(self) -> None:
        """As in Kamailio."""
        self.write("", "both.cfg")
        sub = self.folder / "sub"
        sub.mkdir()
        (sub / "both.cfg").touch()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        self.assertEqual(find_included("both.cfg", str(sub / "kamailio.cfg")), "both.cfg")

    def test_missing(self) -> None:
        """A file that is not there; a folder is."""
        self.assertTrue(is_missing(str(self.folder / "none")))
        self.assertFalse(is_missing(str(self.folder)))
