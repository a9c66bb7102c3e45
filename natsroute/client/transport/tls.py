"""
How we know that a server is who it says: certificates, verified, with TLS 1.2 at least.

Files are read again for each connection, so that renewed ones are picked up. OpenSSL comes with the extra ``tls``;
without it everything else works.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
from twisted.python.failure import Failure

from natsroute.client.credential_files import read_file
from natsroute.errors import SettingError, TlsError

try:
    import idna
    from OpenSSL import SSL, crypto
    from service_identity import VerificationError
    from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
    from service_identity.pyopenssl import extract_patterns
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from twisted.internet.ssl import (
        Certificate,
        CertificateOptions,
        TLSVersion,
        platformTrust,
        trustRootFromCertificates,
    )
    from zope.interface import implementer
except ImportError:
    HAS_TLS = False
else:
    HAS_TLS = True

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

#: What OpenSSL's verification errors mean, and what to do (X509_V_ERR_..., which have kept their numbers).
_CERTIFICATE_PROBLEMS = {
    9: "it is not valid yet. Look at the clocks of both machines",
    10: "it has expired. Renew it at the server",
    18: "it is self-signed. Name it, or the CA that should have signed it, in tls_ca_file",
    19: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    20: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    21: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    23: "it has been revoked. Renew it at the server",
    26: "it is not one for a server. Renew it with the purpose serverAuth",
}

#: What the words of OpenSSL mean, for what is not about the server's certificate.
_OTHER_PROBLEMS = (
    ("certificate required", "the server wants a certificate of ours. Set tls_cert_file and tls_key_file"),
    ("handshake failure", "the server refuses. It may want a certificate of ours: tls_cert_file and tls_key_file"),
    ("unknown ca", "the server does not trust the CA of our certificate. Look at tls_cert_file"),
    ("certificate unknown", "the server does not accept our certificate. Look at tls_cert_file"),
    ("bad certificate", "the server does not accept our certificate, or has none of ours. Look at tls_cert_file"),
    ("certificate expired", "our certificate has expired. Renew tls_cert_file"),
    ("protocol version", "no common version. natsroute wants TLS 1.2 or later"),
    ("unsupported protocol", "no common version. natsroute wants TLS 1.2 or later"),
    ("wrong version number", "the answer is not TLS. With tls_first the server needs handshake_first"),
    ("packet length too long", "the answer is not TLS"),
    ("unexpected eof", "the server ended the connection in the middle of the handshake"),
)


@attrs.frozen
class Tls:
    """
    How TLS is done. Without any of these, a server that requires it is verified by the system's CAs.

    :ivar ca_file: PEM file of the CAs to trust, instead of the system's.
    :ivar cert_file: PEM file of our certificate, its chain behind it.
    :ivar key_file: PEM file of our certificate's key, without a passphrase.
    :ivar expected_hostname: the name, or IP address, that the server's certificate must have, instead of the one that
        it is reached by.
    :ivar first: begin with TLS, before the server says a word (nats-server's ``handshake_first``).
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    expected_hostname: str = ""
    first: bool = False

    def session(self, name: str) -> TlsSession:
        """
        What one connection needs; reads the files.

        :param name: the name or IP address that the server is reached by.
        :raises SettingError: TLS is not installed, or one of the files is not what it should be.
        """
        return TlsSession(self._context(), self.expected_hostname or name)

    def check(self) -> None:
        """
        Find out at the start what can be known then.

        :raises SettingError: as :meth:`session`.
        """
        self._context()
        if self.expected_hostname:
            self.session("")

    def _context(self) -> Any:
        if not HAS_TLS:
            raise SettingError(
                "tls",
                1,
                "TLS is not installed",
                "Install it with pip install 'natsroute[tls]', or use a server without",
            )
        options: dict[str, Any] = {}
        if self.cert_file:
            chain = _certificates("tls_cert_file", self.cert_file)
            key = _key(self.key_file)
            options = {"certificate": chain[0].original, "privateKey": key, "extraCertChain": _originals(chain[1:])}
        if self.ca_file:
            trust = trustRootFromCertificates(_certificates("tls_ca_file", self.ca_file))
        else:
            trust = platformTrust()
        try:
            # The minimum is said here, so that it does not move with Twisted's own.
            return CertificateOptions(
                trustRoot=trust, insecurelyLowerMinimumTo=TLSVersion.TLSv1_2, **options
            ).getContext()
        except SSL.Error:
            raise SettingError(
                "tls_key_file",
                self.key_file,
                "it is not the key of the certificate in tls_cert_file",
                f"Name the key that {self.cert_file!r} was made for",
            ) from None


if HAS_TLS:

    @implementer(IOpenSSLClientConnectionCreator)
    class TlsSession:
        """
        The TLS of one connection, as ``startTLS`` wants it; knows afterwards why there was none.

        :param context: an ``OpenSSL.SSL.Context``.
        :param name: the name or IP address that the certificate must be for.
        """

        def __init__(self, context: Any, name: str) -> None:
            self._context = context
            self._name = name
            self._problem = ""
            self._sent_name = b""
            try:
                self._id: Any = IPAddress_ID(name)  # which is never sent (RFC 6066)
            except ValueError:
                self._sent_name, self._id = _dns_name(name)

        def clientConnectionForTLS(self, tlsProtocol: object) -> Any:  # noqa: N803 (Twisted's name)
            connection = SSL.Connection(self._context, None)
            if self._sent_name:
                connection.set_tlsext_host_name(self._sent_name)
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
            return connection

        def _verify(self, connection: object, certificate: Any, problem: int, depth: int, fine: int) -> bool:
            # Whatever is raised here would be lost in OpenSSL, and with it the refusal.
            try:
                if not fine:
                    words = _CERTIFICATE_PROBLEMS.get(problem, f"it is not valid (OpenSSL's error {problem})")
                    self._problem = self._problem or f"the server's certificate is refused: {words}"
                    return False
                if depth == 0:
                    self._verify_name(certificate)
            except Exception as error:
                self._problem = self._problem or f"the server's certificate cannot be verified: {error}"
                return False
            return not self._problem

        def _verify_name(self, certificate: Any) -> None:
            patterns = extract_patterns(certificate)
            try:
                verify_service_identity(patterns, [self._id], [])
            except VerificationError:
                names = ", ".join(_shown(pattern)[:100] for pattern in patterns[:5]) or "nobody"
                self._problem = (
                    f"the server's certificate is for {names}, not for {self._name}. If that is the right server, set "
                    "tls_expected_hostname"
                )

        def error(self, reason: Failure) -> TlsError | None:
            """Why there is no TLS, or None if it was not for TLS that a connection ended with ``reason``."""
            if self._problem:
                return TlsError(f"no TLS: {self._problem}")
            error = reason.value
            if not isinstance(error, SSL.Error):
                return None
            parts = error.args[0] if error.args else ()  # of a SysCallError it is a number
            words = ", ".join(str(part[-1]) for part in parts if part) if isinstance(parts, list) else str(error)
            known = next((meaning for beginning, meaning in _OTHER_PROBLEMS if beginning in words), "")
            return TlsError(f"no TLS: {known} ({words})" if known and words else f"no TLS: {words or error!r}")

else:

    class TlsSession:  # type: ignore[no-redef]
        """Without the extra there is none."""


def _dns_name(name: str) -> tuple[bytes, Any]:
    try:
        # As HostnameEndpoint does, so that the name verified is the name reached.
        encoded = name.encode("ascii") if name.isascii() else idna.encode(name)
        return encoded, DNS_ID(encoded.decode("ascii"))
    except ValueError:
        raise SettingError(
            "tls_expected_hostname", name, "it is neither a name nor an address", "Name what the certificate is for"
        ) from None


def _originals(certificates: list[Any]) -> list[Any]:
    return [certificate.original for certificate in certificates]


def _shown(pattern: Any) -> str:
    """A name in a certificate: service_identity keeps DNS names as bytes, and addresses as objects."""
    name = pattern.pattern
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _certificates(setting: str, path: str) -> list[Any]:
    try:
        certificates = [Certificate.loadPEM(pem) for pem in _PEM.findall(read_file(setting, path))]
    except crypto.Error:
        certificates = []
    if not certificates:
        raise SettingError(setting, path, "there is no certificate in it that can be read", "It should be a PEM file")
    return certificates


def _key(path: str) -> Any:
    pem = read_file("tls_key_file", path)
    asked: list[bool] = []

    def passphrase(*_: object) -> bytes:
        asked.append(True)  # otherwise OpenSSL would ask whoever sits at the terminal
        return b""

    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase)
    except Exception:
        if asked:
            remedy = f"Write it without one, for example with: openssl pkey -in {path} -out KEY.pem"
            raise SettingError("tls_key_file", path, "it has a passphrase", remedy) from None
        raise SettingError(
            "tls_key_file", path, "there is no private key in it that can be read", "It should be a PEM file"
        ) from None
