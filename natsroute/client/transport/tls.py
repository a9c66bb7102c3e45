"""
TLS 1.2 or later, with verified certificates.

Files that have changed are read again for the next connection, so a renewed one is used without a restart. The extra
``tls`` has what Twisted needs for TLS. Everything but TLS works without it.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import attrs
from twisted.python.failure import Failure

from natsroute.client.credential_files import read_file, version_of
from natsroute.errors import SettingError, TlsError

try:
    import idna
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from OpenSSL import SSL, crypto
    from service_identity.hazmat import DNS_ID, IPAddress_ID
    from service_identity.pyopenssl import extract_patterns
    from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
    from twisted.internet.ssl import Certificate
    from zope.interface import implementer

    from natsroute.client.transport.tls_connection import TlsConnection, words
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
_OTHER_NAME, _OTHER_ADDRESS = 62, 64

#: Where distributions have their CAs, for a Python whose OpenSSL looks elsewhere. The first that exists is used.
_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

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


# The CAs of a system take OpenSSL 20 ms, in which nothing else runs, and many connections may be made at once. So the
# contexts that were used last are kept, each with the version of its files.
_contexts: dict[Tls, tuple[tuple[object, ...], ssl.SSLContext]] = {}
_MAX_CONTEXTS = 8


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
        The TLS session of one connection. Reads the files, if they have changed.

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

    def _context(self) -> ssl.SSLContext:
        if not HAS_TLS:
            raise SettingError(
                "tls",
                1,
                "TLS is not installed",
                "Install it with pip install 'natsroute[tls]', or use a server without TLS",
            )
        version = self._version()  # before they are read, so that what changes meanwhile is read again
        known = _contexts.pop(self, None)
        if known is None or known[0] != version:
            known = version, self._read_context()
        _contexts[self] = known
        while len(_contexts) > _MAX_CONTEXTS:
            del _contexts[next(iter(_contexts))]
        return known[1]

    def _version(self) -> tuple[object, ...]:
        """Changes when one of the files does."""
        files = tuple(version_of(path) for path in (self.ca_file, self.cert_file, self.key_file) if path)
        return files if self.ca_file else files + _system_version()

    def _read_context(self) -> ssl.SSLContext:
        context = _new_context()
        if self.ca_file:
            trusted = read_certificates("tls_ca_file", self.ca_file)
            try:
                context.load_verify_locations(cadata=b"".join(certificate.dump() for certificate in trusted))
            except ssl.SSLError as error:
                raise SettingError(
                    "tls_ca_file", self.ca_file, f"it cannot be used: {words(error)}", "Renew it"
                ) from None
        else:
            _trust_the_system(context)
        if self.cert_file:
            self._load_own_certificate(context)
        return context

    def _load_own_certificate(self, context: ssl.SSLContext) -> None:
        read_certificates("tls_cert_file", self.cert_file)
        read_key("tls_key_file", self.key_file)  # whose errors say more
        try:
            context.load_cert_chain(self.cert_file, self.key_file, password=bytes)  # never ask at the terminal
        except OSError as error:  # of ssl, or of the file, which may have gone meanwhile
            if "MISMATCH" in str(getattr(error, "reason", "")):
                raise SettingError(
                    "tls_key_file",
                    self.key_file,
                    "it is not the key of the certificate in tls_cert_file",
                    f"Name the key of {self.cert_file!r}",
                ) from None
            raise SettingError(
                "tls_cert_file", self.cert_file, f"it cannot be used: {words(error)}", "Renew it"
            ) from None


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which verifies the certificate and its name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # some Pythons take a cut for an end
    return context


def _system_version() -> tuple[object, ...]:
    """Changes when the CAs of the system do."""
    default = ssl.get_default_verify_paths()
    file = os.environ.get(default.openssl_cafile_env, default.openssl_cafile)
    folders = os.environ.get(default.openssl_capath_env, default.openssl_capath)
    return tuple((path, version_of(path)) for path in (file, *folders.split(os.pathsep), *_CA_FILES))


def _trust_the_system(context: ssl.SSLContext) -> None:
    context.load_default_certs()
    paths: Any = ssl.get_default_verify_paths()  # Any: a file or folder that does not exist is None
    if paths.openssl_cafile_env in os.environ or paths.openssl_capath_env in os.environ:
        return
    if paths.cafile is None and not (paths.capath and any(Path(paths.capath).glob("*.0"))):
        for path in _CA_FILES:
            try:
                context.load_verify_locations(path)
                return
            except OSError:  # of ssl, or of the file
                continue


if HAS_TLS:

    @implementer(IOpenSSLClientConnectionCreator)
    class TlsSession:
        """
        The TLS session of one connection, for ``startTLS``. It knows afterwards why TLS failed.

        :param context: verifies the server's certificate.
        :param name: the host name or IP address that the server's certificate must be for.
        :raises SettingError: the name is malformed.
        """

        def __init__(self, context: ssl.SSLContext, name: str) -> None:
            self._context = context
            self._name = name
            self._problem = ""
            self._verified_name = _verified_name(name)

        def clientConnectionForTLS(self, tlsProtocol: object) -> Any:  # noqa: N803 (Twisted's name)
            return TlsConnection(self._context, self._verified_name, self._refused)

        def _refused(self, error: ssl.SSLCertVerificationError, certificate: Any | None) -> None:
            code = error.verify_code
            if code in (_OTHER_NAME, _OTHER_ADDRESS):
                self._problem = (
                    f"the server's certificate is {_whom_for(certificate)}not for {self._name}. If it is the right "
                    "server, set tls_expected_hostname"
                )
            else:
                meaning = _CERTIFICATE_PROBLEMS.get(code, f"it is not valid (OpenSSL's error {code})")
                self._problem = f"the server's certificate is refused: {meaning}"

        def error(self, reason: Failure) -> TlsError | None:
            """Why TLS failed, or None if a connection that ended with ``reason`` did not end because of TLS."""
            if self._problem:
                return TlsError(f"no TLS: {self._problem}")
            error = reason.value
            if not isinstance(error, SSL.Error):
                return None
            parts = error.args[0] if error.args else ()  # of a SysCallError it is a number
            text = ", ".join(str(part[-1]) for part in parts if part) if isinstance(parts, list) else str(error)
            known = next((meaning for beginning, meaning in _OTHER_PROBLEMS if beginning in text), "")
            return TlsError(f"no TLS: {known} ({text})" if known and text else f"no TLS: {text or error!r}")

else:

    class TlsSession:  # type: ignore[no-redef]
        """There is no TLS without the extra."""


def _verified_name(name: str) -> str:
    """The name as it is looked up, sent and verified. An address is never sent (RFC 6066)."""
    try:
        IPAddress_ID(name)
        return name
    except ValueError:
        pass
    try:
        # As in HostnameEndpoint: the verified name must be the name that is resolved.
        encoded = name if name.isascii() else idna.encode(name).decode("ascii")
        DNS_ID(encoded)
        encoded.encode("idna")  # as ssl does
        return encoded
    except ValueError:
        raise SettingError(
            "tls_expected_hostname",
            name,
            "it is neither a host name nor an address",
            "Write the name in the server's certificate",
        ) from None


def _whom_for(certificate: Any | None) -> str:
    if certificate is None:
        return ""
    try:
        patterns = extract_patterns(certificate)
    except Exception:  # anybody can make a certificate, and only OpenSSL has looked at it
        return ""
    names = ", ".join(_shown(pattern)[:100] for pattern in patterns[:5])
    return f"for {names or 'nobody'}, "


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
    remedy = "It must be a PEM file"
    try:
        # pyOpenSSL's own loader needs a callback, so that OpenSSL does not ask for a passphrase at the terminal, and
        # systemd's MemoryDenyWriteExecute forbids the memory for a callback.
        key: Any = load_pem_private_key(pem, None)
    except TypeError:
        remedy = f"Remove it, for example with: openssl pkey -in {path} -out KEY.pem"
        raise SettingError(setting, path, "it has a passphrase", remedy) from None
    except Exception:  # ValueError and others, by cryptography's version
        raise SettingError(setting, path, "it contains no readable private key", remedy) from None
    try:
        return crypto.PKey.from_cryptography_key(key)
    except TypeError:  # of a kind that TLS cannot use
        raise SettingError(setting, path, "it contains no readable private key", remedy) from None
