"""natsroute.daemon.credentials"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.auth import Credentials
from natsroute.client.transport.tls import Tls
from natsroute.daemon.credentials import checked_tls, credentials_source
from natsroute.errors import SettingError
from tests.support.certificates import Certificates
from tests.support.log_recorder import LogRecorder
from tests.support.nats_accounts import Nkey, Operator


class CredentialsSourceTests(SynchronousTestCase):
    """credentials_source()"""

    def path(self, text: str) -> str:
        """A file that only its owner can read."""
        path = Path(self.mktemp())
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return str(path)

    def test_settings(self) -> None:
        """The login that the settings hold, or none."""
        for settings, credentials in [
            (Settings(), Credentials()),
            (Settings(user="u", password="p"), Credentials(user="u", password="p")),
            (Settings(user="u"), Credentials(user="u", password="")),
            (Settings(token="t"), Credentials(token="t")),
        ]:
            self.assertEqual(credentials_source(settings)(), credentials)

    def test_files(self) -> None:
        """They are read again each time."""
        for name, text, new in [
            ("nkey_file", Nkey().seed, Nkey().seed),
            ("creds_file", Operator().creds("alice"), Operator().creds("bob")),
        ]:
            path = self.path(text)
            source = credentials_source(Settings(**{name: path}))
            first = source()
            self.assertEqual(source(), first)
            Path(path).write_text(new, encoding="utf-8")
            self.assertNotEqual(source(), first)

    def test_a_file_that_cannot_be_used(self) -> None:
        """The error comes at once, and says where the name came from."""
        for name in ("nkey_file", "creds_file"):
            variable = f"NATSROUTE_{name.upper()}"
            for path in ("no such file", self.path("nothing")):
                settings = Settings.from_environment({variable: path})
                with settings.origins.in_errors():
                    error = self.assertRaises(SettingError, credentials_source, settings)
                self.assertEqual((error.setting, error.value, error.origin), (name, os.path.abspath(path), variable))

    def test_a_file_that_becomes_unusable(self) -> None:
        """The error of the next attempt to connect says the same."""
        path = self.path(Nkey().seed)
        source = credentials_source(Settings.from_environment({"NATSROUTE_NKEY_FILE": path}))
        os.remove(path)
        error = self.assertRaises(SettingError, source)
        self.assertEqual((error.setting, error.origin), ("nkey_file", "NATSROUTE_NKEY_FILE"))

    def test_a_file_that_others_can_read(self) -> None:
        log = LogRecorder(self)
        path = self.path(Nkey().seed)
        credentials_source(Settings(nkey_file=path))
        self.assertEqual(log.lines("warn"), [])
        Path(path).chmod(0o644)
        credentials_source(Settings(nkey_file=path))
        self.assertEqual(len(log.lines("warn")), 1)


class CheckedTlsTests(SynchronousTestCase):
    """checked_tls(); tests.integration.test_tls has every mistake in a file."""

    def test_not_required(self) -> None:
        """Nothing is read."""
        self.assertEqual(checked_tls(Settings()), Tls())

    def test_a_file_that_is_not_there(self) -> None:
        error = self.assertRaises(SettingError, checked_tls, Settings(tls=True, tls_ca_file="no such file"))
        self.assertEqual(error.setting, "tls_ca_file")

    def test_a_file_that_becomes_unusable(self) -> None:
        """The error of the next attempt to connect says where the name came from, as at the start."""
        folder = Path(self.mktemp())
        folder.mkdir()
        ca = Certificates(folder).ca
        files = checked_tls(Settings.from_environment({"NATSROUTE_TLS": "1", "NATSROUTE_TLS_CA_FILE": str(ca)}))
        files.session("localhost")
        ca.unlink()
        for use in (files.check, lambda: files.session("localhost")):
            error = self.assertRaises(SettingError, use)
            self.assertEqual((error.setting, error.origin), ("tls_ca_file", "NATSROUTE_TLS_CA_FILE"))
