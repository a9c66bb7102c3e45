"""natsroute.client.auth"""

from __future__ import annotations

import base64
from typing import Any

import nkeys
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client import auth
from natsroute.client.auth import Credentials, ask_for_credentials, key_pair
from natsroute.errors import MisuseError, SettingError
from tests.support.nats_accounts import Nkey
from tests.support.secret_watch import secret


class LoginTests(SynchronousTestCase):
    """Credentials.login()"""

    def test_no_credentials(self) -> None:
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

    def test_repr(self) -> None:
        shown = repr(Credentials(user="hunter2", password="hunter2", token="hunter2", seed="hunter2", jwt="hunter2"))
        self.assertNotIn("hunter2", shown)

    def test_without_nkeys(self) -> None:
        """The error names the extra."""
        self.patch(auth, "nkeys", None)
        error = self.assertRaises(SettingError, Credentials(seed=Nkey().seed).login, "nonce")
        self.assertIn("natsroute[nkeys]", str(error))


class KeyPairTests(SynchronousTestCase):
    """key_pair()"""

    def test_public_key(self) -> None:
        key = Nkey()
        self.assertEqual(key_pair(key.seed).public_key.decode(), key.public)

    def test_malformed(self) -> None:
        """The error names the setting and the file that it is given. It does not contain the seed."""
        for seed in ("", "SU", "SU" + "x" * 56, "s\u00fc" * 29, secret(Nkey().seed[:-1])):
            error = self.assertRaises(SettingError, key_pair, seed, "creds_file", "/a/file")
            self.assertEqual((error.setting, error.value), ("creds_file", "/a/file"))
            if len(seed) > 2:
                self.assertNotIn(seed, str(error))

    def test_seeds_of_others(self) -> None:
        """An account or an operator does not log in."""
        for prefix in (nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_OPERATOR):
            self.assertRaises(SettingError, key_pair, Nkey(prefix).seed)


class SourceTests(SynchronousTestCase):
    """ask_for_credentials()"""

    def setUp(self) -> None:
        self.credentials = Credentials(user="u", password="p")

    def ask(self, source: Any) -> Deferred[Credentials]:
        return Deferred.fromCoroutine(ask_for_credentials(source))

    def test_what_a_source_may_return(self) -> None:
        """Credentials, a Deferred or a coroutine."""

        async def coroutine() -> Credentials:
            return self.credentials

        for source in (lambda: self.credentials, lambda: succeed(self.credentials), coroutine):
            self.assertIs(self.successResultOf(self.ask(source)), self.credentials)

    def test_something_else(self) -> None:
        """The error names its type only, since it may hold a password."""
        error = self.failureResultOf(self.ask(lambda: {"password": "hunter2"}), MisuseError).value
        self.assertEqual(str(error), "the credentials function returned a dict instead of Credentials")

    def test_an_exception(self) -> None:
        """It is the caller's."""
        self.failureResultOf(self.ask(lambda: 1 // 0), ZeroDivisionError)
