"""
TLS 1.2 or later, with verified certificates.

Each connection reads its files again, so a renewed file is used without a restart. OpenSSL comes with the extra
``tls``. Everything but TLS works without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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

#: OpenSSL's verification errors, and what to do about them. (The numbers of X509_V_ERR_... never change.)
_CERTIFICATE_PROBLEMS = {
    9: "it is not valid yet. Check the clocks of both machines",
    10: "it has expired. Renew it on the server",
    18: "it is self-signed. Name it in tls_ca_file, or use a certificate of a CA",
    19: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    20: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    21: "it comes from a CA that is not trusted here. Name that CA in tls_ca_file",
    23: "it has been revoked. Renew it on the server",
    26: "it is not for a server. Renew it with the purpose serverAuth",
}

#: OpenSSL's other errors, by a part of their texts.
_OTHER_PROBLEMS = (
    ("certificate required", "the server requires a client certificate. Set tls_cert_file and tls_key_file"),
    ("handshake failure", "the server refuses. It may require a client certificate: tls_cert_file and tls_key_file"),
    ("unknown ca", "the server does not trust the CA of our certificate. Check tls_cert_file"),
    ("certificate unknown", "the server does not accept our certificate. Check tls_cert_file"),
    ("bad certificate", "the server does not accept our certificate, or got none. Check tls_cert_file"),
    ("certificate expired", "our certificate has expired. Renew tls_cert_file"),
    ("protocol version", "there is no common version. natsroute requires TLS 1.2 or later"),
    ("unsupported protocol", "there is no common version. natsroute requires TLS 1.2 or later"),
    ("wrong version number", "the answer is not TLS. With tls_first, the server needs handshake_first"),
    ("packet length too long", "the answer is not TLS"),
    ("unexpected eof", "the server ended the connection in the middle of the handshake"),
)


@attrs.frozen
class Tls:
    """
    The files and options of TLS. By default the system's CAs verify a server, and there is no client certificate.

    :ivar ca_file: PEM file of the CAs to trust, instead of the system's.
    :ivar cert_file: PEM file of our certificate, followed by its chain.
    :ivar key_file: PEM file of our certificate's key, without a passphrase.
    :ivar expected_hostname: the host name or IP address that the server's certificate must be for, instead of the one
        in its URL.
    :ivar first: whether TLS starts before the server sends INFO (nats-server's ``handshake_first``).
    :ivar in_errors: returns a context manager that the files are read in. It may say in a SettingError where the name
        of the file comes from.
    """

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    expected_hostname: str = ""
    first: bool = False
    in_errors: Callable[[], AbstractContextManager[None]] = attrs.field(default=nullcontext, eq=False, repr=False)

    def session(self, name: str) -> TlsSession:
        """
        The TLS session of one connection. Reads the files.

        :param name: the host name or IP address in the server's URL.
        :raises SettingError: TLS is not installed, or a file or the name cannot be used.
        """
        with self.in_errors():
            return TlsSession(self._context(), self.expected_hostname or name)

    def check(self) -> None:
        """
        Check the files and the name without a connection.

        :raises SettingError: as :meth:`session`.
        """
        with self.in_errors():
            self._context()
        if self.expected_hostname:
            self.session("")

    def _context(self) -> Any:
        if not HAS_TLS:
            raise SettingError(
                "tls",
                1,
                "TLS is not installed",
                "Install it with pip install 'natsroute[tls]', or use a server without TLS",
            )
        options: dict[str, Any] = {}
        if self.cert_file:
            chain = read_certificates("tls_cert_file", self.cert_file)
            key = read_key("tls_key_file", self.key_file)
            options = {"certificate": chain[0].original, "privateKey": key, "extraCertChain": _originals(chain[1:])}
        if self.ca_file:
            trust = trustRootFromCertificates(read_certificates("tls_ca_file", self.ca_file))
        else:
            trust = platformTrust()
        try:
            # The minimum is set here, because Twisted's own default changes.
            return CertificateOptions(
                trustRoot=trust, insecurelyLowerMinimumTo=TLSVersion.TLSv1_2, **options
            ).getContext()
        except SSL.Error:
            raise SettingError(
                "tls_key_file",
                self.key_file,
                "it is not the key of the certificate in tls_cert_file",
                f"Name the key of {self.cert_file!r}",
            ) from None


if HAS_TLS:

    class _Connection(SSL.Connection):
        """
        Gives all data that has arrived at once, not record by record.

        nats-server's records have 512 bytes, a read of the socket has up to 128 of them, and Twisted hands on what each
        call returns. The data of the last read is all that there is, so that bounds the memory.
        """

        _next_error: SSL.Error | None = None

        def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
            if self._next_error is not None:
                error, self._next_error = self._next_error, None
                raise error
            if flags is not None:
                return super().recv(bufsiz, flags)
            recv = super().recv
            data = [recv(bufsiz)]
            try:
                while True:
                    data.append(recv(bufsiz))
            except SSL.Error as error:  # there is no more, or TLS has ended: Twisted asks again, and then gets to know
                self._next_error = error
            return b"".join(data)

    @implementer(IOpenSSLClientConnectionCreator)
    class TlsSession:
        """
        The TLS session of one connection, for ``startTLS``. It knows afterwards why TLS failed.

        :param context: an ``OpenSSL.SSL.Context``.
        :param name: the host name or IP address that the server's certificate must be for.
        :raises SettingError: the name is malformed.
        """

        def __init__(self, context: Any, name: str) -> None:
            self._context = context
            self._name = name
            self._problem = ""
            self._sent_name = b""
            try:
                self._id: Any = IPAddress_ID(name)  # an address is never sent as SNI (RFC 6066)
            except ValueError:
                self._sent_name, self._id = _dns_name(name)

        def clientConnectionForTLS(self, tlsProtocol: object) -> Any:  # noqa: N803 (Twisted's name)
            connection = _Connection(self._context, None)
            if self._sent_name:
                connection.set_tlsext_host_name(self._sent_name)
            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
            return connection

        def _verify(self, connection: object, certificate: Any, problem: int, depth: int, fine: int) -> bool:
            # An exception would be lost in OpenSSL, and with it the reason of the refusal.
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
                    f"the server's certificate is for {names}, not for {self._name}. If it is the right server, set "
                    "tls_expected_hostname"
                )

        def error(self, reason: Failure) -> TlsError | None:
            """Why TLS failed, or None if a connection that ended with ``reason`` did not end because of TLS."""
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
        """There is no TLS without the extra."""


def _dns_name(name: str) -> tuple[bytes, Any]:
    try:
        # As in HostnameEndpoint: the verified name must be the name that is resolved.
        encoded = name.encode("ascii") if name.isascii() else idna.encode(name)
        return encoded, DNS_ID(encoded.decode("ascii"))
    except ValueError:
        raise SettingError(
            "tls_expected_hostname",
            name,
            "it is neither a host name nor an address",
            "Write the name in the server's certificate",
        ) from None


def _originals(certificates: list[Any]) -> list[Any]:
    return [certificate.original for certificate in certificates]


def _shown(pattern: Any) -> str:
    """A name in a certificate as text. service_identity has DNS names as bytes, and addresses as objects."""
    name = pattern.pattern
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def read_certificates(setting: str, path: str) -> list[Any]:
    """
    The certificates in a PEM file, as Twisted has them.

    :param setting: the setting that names the file.
    :raises SettingError: the file cannot be read, or contains none.
    """
    try:
        certificates = [Certificate.loadPEM(pem) for pem in _PEM.findall(read_file(setting, path))]
    except crypto.Error:
        certificates = []
    if not certificates:
        raise SettingError(setting, path, "it contains no readable certificate", "It must be a PEM file")
    return certificates


def read_key(setting: str, path: str) -> Any:
    """
    The private key in a PEM file, as OpenSSL has it.

    :param setting: the setting that names the file.
    :raises SettingError: the file cannot be read, contains none, or has a passphrase.
    """
    pem = read_file(setting, path)
    asked: list[bool] = []

    def passphrase(*_: object) -> bytes:
        asked.append(True)  # without this callback OpenSSL would ask at the terminal
        return b""

    try:
        return crypto.load_privatekey(crypto.FILETYPE_PEM, pem, passphrase)
    except Exception:
        if asked:
            remedy = f"Remove it, for example with: openssl pkey -in {path} -out KEY.pem"
            raise SettingError(setting, path, "it has a passphrase", remedy) from None
        raise SettingError(setting, path, "it contains no readable private key", "It must be a PEM file") from None
