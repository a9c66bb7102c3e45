"""natsroute.client.credential_files"""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

import nkeys
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.credential_files import from_creds_file, from_nkey_file, read_file, version_of, warn_of_readers
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder
from tests.support.nats_accounts import Nkey, Operator
from tests.support.secret_watch import secret


class VersionOfTests(SynchronousTestCase):
    """version_of(): the same until the file changes."""

    def test_version(self) -> None:
        path = Path(self.mktemp())
        versions = [version_of(str(path))]
        for content in ("a", "bc"):
            path.write_text(content)
            versions += [version_of(str(path))] * 2
        path.unlink()
        self.assertEqual(len(set(versions)), 3)
        self.assertEqual(version_of(str(path)), versions[0])
        self.assertEqual(version_of("a\0b"), ())

    def test_times_that_are_kept(self) -> None:
        """A file of the same length and time of change is another one nevertheless, and so is one with other rights."""
        path = Path(self.mktemp())

        def rewrite(content: str) -> None:
            path.write_text(content)
            os.utime(path, (1, 1))

        rewrite("a")
        for change in (lambda: rewrite("b"), lambda: path.chmod(0o400)):
            before, until = version_of(str(path)), monotonic() + 60
            while version_of(str(path)) == before:  # a file system has ticks of some milliseconds
                self.assertLess(monotonic(), until)
                change()


class ReadFileTests(SynchronousTestCase):
    """read_file(): the content, or a SettingError that names the setting."""

    def test_content(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"\0\r\n\xff")
        self.assertEqual(read_file("creds_file", str(path)), b"\0\r\n\xff")

    def test_unreadable(self) -> None:
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
        """No other exception is raised."""
        self.assertRaises(SettingError, read_file, "creds_file", f"nowhere/{name}")


class SeedAndCredentialsTests(SynchronousTestCase):
    """from_nkey_file(), from_creds_file() and warn_of_readers()"""

    def path(self, text: str | bytes) -> str:
        """A new file that only its owner can read."""
        path = Path(self.mktemp())
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(0o600)
        return str(path)

    def test_a_seed_with_comments_around_it(self) -> None:
        seed = Nkey().seed
        for text in (
            seed,
            f"{seed}\n",
            f"\n\n  {seed}  \n",
            f"# alice\n{seed}\n",
            f"-----BEGIN-----\n{seed}\n-----END-----",
        ):
            self.assertEqual(from_nkey_file(self.path(text)), Credentials(seed=seed))

    def test_creds_file(self) -> None:
        """The line ends may be those of any system."""
        operator = Operator()
        jwt = operator.user_jwt("alice")
        text = operator.creds("alice").replace(operator.creds("alice").split("\n")[1], jwt)
        for end in ("\n", "\r\n"):
            found = from_creds_file(self.path(text.replace("\n", end)))
            self.assertEqual(found, Credentials(jwt=jwt, seed=operator.user("alice").seed))

    def test_truncated(self) -> None:
        """The error contains nothing of what is in the file."""
        text = Operator().creds("alice").rstrip()
        whole = text.index("------END USER NKEY SEED")
        for end in range(0, whole, 7):
            error = self.assertRaises(SettingError, from_creds_file, self.path(text[:end]))
            self.assertEqual(error.setting, "creds_file")
            if end > 60:
                self.assertNotIn(text[end - 12 : end], str(error))

    def test_not_text(self) -> None:
        for read, setting in ((from_nkey_file, "nkey_file"), (from_creds_file, "creds_file")):
            error = self.assertRaises(SettingError, read, self.path(b"\xff\x00\x80"))
            self.assertEqual((error.setting, "not a text file" in str(error)), (setting, True))

    def test_a_folder(self) -> None:
        error = self.assertRaises(SettingError, from_creds_file, str(Path(self.path("")).parent.absolute()))
        self.assertIn("Is a directory", str(error))

    def test_seeds_of_others(self) -> None:
        """The seed of an account or an operator is refused."""
        for prefix in (nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_OPERATOR):
            self.assertRaises(SettingError, from_nkey_file, self.path(Nkey(prefix).seed))

    def test_any_wrong_character(self) -> None:
        seed = Nkey().seed
        for at in range(2, len(seed)):
            # Of the last character only the upper bits count.
            wrong = secret(seed[:at] + ("A" if seed[at] not in "ABCD" else "Q") + seed[at + 1 :])
            error = self.assertRaises(SettingError, from_nkey_file, self.path(wrong))
            self.assertNotIn(wrong, str(error))

    def test_readers(self) -> None:
        log = LogRecorder(self)  # type: ignore[arg-type]
        path = self.path("")
        for mode, warnings in ((0o600, 0), (0o400, 0), (0o640, 1), (0o644, 2)):
            Path(path).chmod(mode)
            warn_of_readers("creds_file", path)
            self.assertEqual(len(log.lines("warn")), warnings)
