"""Credentials and certificates that the settings name: what can be known of them at the start is found out there."""

from __future__ import annotations

from functools import partial

from natsroute.client.auth import Credentials, CredentialsSource, from_creds_file, from_nkey_file, warn_of_readers
from natsroute.client.transport.tls import Tls
from natsroute.daemon.settings import Settings


def credentials_source(settings: Settings) -> CredentialsSource:
    """
    Who we are, for servers whose URL does not say. Files are read anew for each connection.

    :raises SettingError: a file cannot be read, or is not what it should be.
    """
    if not settings.creds_file and not settings.nkey_file:
        known = Credentials(settings.user or None, settings.password if settings.user else None, settings.token or None)
        return lambda: known
    name, read = ("creds_file", from_creds_file) if settings.creds_file else ("nkey_file", from_nkey_file)
    path = getattr(settings, name)
    read(path)
    warn_of_readers(name, path)
    return partial(read, path)


def checked_tls(settings: Settings) -> Tls:
    """
    How TLS is done.

    :raises SettingError: TLS is asked for and not installed, or a file is not what it should be.
    """
    if settings.require_tls:
        settings.client_tls.check()
        if settings.tls_key_file:
            warn_of_readers("tls_key_file", settings.tls_key_file)
    return settings.client_tls
