"""natsroute.client.auth"""

from __future__ import annotations

import base64
from pathlib import Path

import nkeys
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client import auth
from natsroute.client.auth import Credentials, from_creds_file, from_nkey_file, warn_of_readers
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder
from tests.support.nats_accounts import Nkey, Operator
from tests.support.secret_watch import secret


class LoginTests(SynchronousTestCase):
    """Credentials.login()"""

    def test_nothing(self) -> None:
        self.assertEqual(Credentials().login("nonce"), {})

    def test_user_and_password(self) -> None:
        self.assertEqual(Credentials(user="u", password="").login(""), {"user": "u", "pass": ""})

    def test_token(self) -> None:
        self.assertEqual(Credentials(token="t").login(""), {"auth_token": "t"})

    def test_nkey(self) -> None:
        """The seed signs the nonce, and is not sent."""
        key = Nkey()
        login = Credentials(seed=key.seed).login("nonce")
        self.assertEqual(set(login), {"nkey", "sig"})
        self.assertEqual(login["nkey"], key.public)
        signature = base64.urlsafe_b64decode(login["sig"] + "==")
        self.assertTrue(nkeys.from_seed(key.seed.encode()).verify(b"nonce", signature))

    def test_jwt(self) -> None:
        login = Credentials(jwt="j.w.t", seed=Nkey().seed).login("nonce")
        self.assertEqual((set(login), login["jwt"]), ({"jwt", "sig"}, "j.w.t"))

    def test_nothing_is_shown(self) -> None:
        shown = repr(Credentials(user="hunter2", password="hunter2", token="hunter2", seed="hunter2", jwt="hunter2"))
        self.assertNotIn("hunter2", shown)

    def test_without_nkeys(self) -> None:
        """The extra is named."""
        self.patch(auth, "nkeys", None)
        error = self.assertRaises(SettingError, Credentials(seed=Nkey().seed).login, "nonce")
        self.assertIn("natsroute[nkeys]", str(error))


class FileTests(SynchronousTestCase):
    """Seeds and credentials in files."""

    def path(self, text: str | bytes) -> str:
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

    def test_credentials(self) -> None:
        """With the line ends of any system."""
        operator = Operator()
        jwt = operator.user_jwt("alice")
        text = operator.creds("alice").replace(operator.creds("alice").split("\n")[1], jwt)
        for end in ("\n", "\r\n"):
            found = from_creds_file(self.path(text.replace("\n", end)))
            self.assertEqual(found, Credentials(jwt=jwt, seed=operator.user("alice").seed))

    def test_cut_off_anywhere(self) -> None:
        """Each is one error, that shows nothing of what is in the file."""
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
        """An account's or an operator's seed does not belong here."""
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
