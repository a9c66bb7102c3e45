"""A ``kamailio.cfg`` in a folder of the test, with the files that it includes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.cfg.reader import read_cfg


class CfgTestCase(SynchronousTestCase):
    """
    Reads texts as a ``kamailio.cfg``.

    :ivar folder: where it is.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)

    def write(self, text: str | bytes, name: str = "kamailio.cfg") -> Path:
        """Write a file into the folder; surrogate escapes are bytes."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
        return path

    def read(
        self, text: str | bytes, files: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
    ) -> KamailioCfg:
        """Read a text that may include other files of the folder."""
        for name, included in (files or {}).items():
            self.write(included, name)
        return read_cfg(str(self.write(text)), environment or {})

    def error(
        self, text: str | bytes, files: Mapping[str, str] | None = None, environment: Mapping[str, str] | None = None
    ) -> ScriptError:
        """The error that a text has."""
        return self.assertRaises(ScriptError, self.read, text, files, environment)

    def assert_error(
        self, text: str | bytes, line: int, column: int, problem: str, files: Mapping[str, str] | None = None
    ) -> None:
        """The text has an error at this position of the first file, and its problem has this in it."""
        error = self.error(text, files)
        self.assertEqual((Path(error.file).name, error.line, error.column), ("kamailio.cfg", line, column), str(error))
        self.assertIn(problem, error.problem)
        self.assertTrue(error.remedy)
