"""TLS of the HTTP server: its certificate, which is read again when its files change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory

from natsroute.client.credential_files import version_of
from natsroute.client.transport.tls import HAS_TLS, read_certificates, read_key
from natsroute.errors import SettingError
from natsroute.log import Logger

if HAS_TLS:
    from OpenSSL import SSL
    from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
    from twisted.internet.ssl import CertificateOptions, TLSVersion
    from twisted.protocols.tls import TLSMemoryBIOFactory
    from zope.interface import directlyProvides


class HttpTls:
    """
    TLS 1.2 or later, with the certificate and key of two PEM files.

    A new connection gets what is in the files by then. If they cannot be used any more, the error is logged, and the
    last certificate is used.

    :param in_errors: returns a context manager that the files are read in first. It may say in a SettingError where the
        names of the files come from.
    :raises SettingError: TLS is not installed, or a file cannot be used.
    """

    log = Logger()

    def __init__(self, cert_file: str, key_file: str, in_errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._cert_file = cert_file
        self._key_file = key_file
        if not HAS_TLS:
            raise SettingError(
                "http_tls_cert_file",
                cert_file,
                "TLS is not installed",
                "Install it with pip install 'natsroute[tls]', or leave the setting out",
            )
        directlyProvides(self, IOpenSSLServerConnectionCreator)
        self._version = self._files()
        with in_errors():
            self._contexts = self._load()

    def factory(self, site: IProtocolFactory) -> IProtocolFactory:
        """A factory whose protocols are those of the site, over TLS."""
        creator: Any = self  # it provides the interface if TLS is installed
        factory: IProtocolFactory = TLSMemoryBIOFactory(creator, False, _Http1(site))
        return factory

    def serverConnectionForTLS(self, protocol: object) -> Any:
        """What Twisted asks for each connection."""
        return SSL.Connection(self._current()[0], None)

    def ssl_context(self) -> ssl.SSLContext:
        """The same for the standard library. Called in any thread."""
        return self._current()[1]

    def _current(self) -> tuple[Any, ssl.SSLContext]:
        version = self._files()
        if version != self._version:
            self._version = version
            try:
                self._contexts = self._load()
                self.log.info("HTTP uses the new certificate in {path!r}", path=self._cert_file)
            except SettingError as error:
                self.log.error("HTTP goes on with its last certificate: {reason}", reason=str(error))
        return self._contexts

    def _files(self) -> list[tuple[int, ...]]:
        """Changes when the files do."""
        return [version_of(path) for path in (self._cert_file, self._key_file)]

    def _load(self) -> tuple[Any, ssl.SSLContext]:
        chain = read_certificates("http_tls_cert_file", self._cert_file)
        key = read_key("http_tls_key_file", self._key_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            options = CertificateOptions(
                privateKey=key,
                certificate=chain[0].original,
                extraCertChain=[certificate.original for certificate in chain[1:]],
                insecurelyLowerMinimumTo=TLSVersion.TLSv1_2,
            )
            context.load_cert_chain(self._cert_file, self._key_file)
            return options.getContext(), context
        except (SSL.Error, OSError):  # ssl.SSLError is an OSError
            raise SettingError(
                "http_tls_key_file",
                self._key_file,
                "it is not the key of the certificate in http_tls_cert_file",
                f"Name the key of {self._cert_file!r}",
            ) from None


class _Http1(Factory):
    """A site without ALPN, for which Twisted would change the context with each connection: OpenSSL refuses that."""

    noisy = False

    def __init__(self, site: IProtocolFactory) -> None:
        self._site = site

    def buildProtocol(self, addr: Any) -> Any:
        return self._site.buildProtocol(addr)
