"""Credentials and certificates that the settings name. Mistakes in them are found at the start, where possible."""

from __future__ import annotations

from natsroute.client.auth import Credentials, CredentialsSource
from natsroute.client.credential_files import from_creds_file, from_nkey_file, warn_of_readers
from natsroute.client.transport.tls import Tls
from natsroute.daemon.settings.settings import Settings


def credentials_source(settings: Settings) -> CredentialsSource:
    """
    The login for servers whose URL has none.

    :return: called before each attempt to connect. It reads a file again each time, so that a renewed one is used.
    :raises SettingError: a file cannot be read, or does not hold what it should.
    """
    if not settings.creds_file and not settings.nkey_file:
        known = Credentials(settings.user or None, settings.password if settings.user else None, settings.token or None)
        return lambda: known
    name, read = ("creds_file", from_creds_file) if settings.creds_file else ("nkey_file", from_nkey_file)
    path: str = getattr(settings, name)

    def read_again() -> Credentials:
        with settings.origins.in_errors():
            return read(path)

    read_again()
    warn_of_readers(name, path)
    return read_again


def checked_tls(settings: Settings) -> Tls:
    """
    The files and names for TLS.

    :raises SettingError: TLS is required and not installed, or a file does not hold what it should.
    """
    if settings.require_tls:
        settings.client_tls.check()
        if settings.tls_key_file:
            warn_of_readers("tls_key_file", settings.tls_key_file)
    return settings.client_tls
