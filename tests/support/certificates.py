"""Certificates for tests: valid ones, and ones with which a TLS handshake must fail."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The names of a server on this machine.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_DAY = timedelta(days=1)

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class CertificateFiles(NamedTuple):
    """A certificate and its key, both PEM."""

    certificate: Path
    key: Path


class Certificates:
    """
    A CA and the certificates that it signs, as PEM files. Each call makes new files.

    :ivar ca: the certificate of the CA, which the other side has to trust.
    :ivar other_ca: the certificate of another CA; see :meth:`server_of_other_ca`.

    :param folder: the folder for the files; made if there is none.
    """

    def __init__(self, folder: Path) -> None:
        # nats-server resolves a relative path against its own working directory.
        self._folder = folder.absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(1)
        self._ca = trustme.CA()
        self._other_ca = trustme.CA()
        self.ca = self._write("ca.pem", self._ca.cert_pem.bytes())
        self.other_ca = self._write("other-ca.pem", self._other_ca.cert_pem.bytes())

    def server(self, *names: str) -> CertificateFiles:
        """For a server with these host names and IP addresses, or else with those of this machine."""
        return self._save(self._ca.issue_cert(*(names or LOOPBACK)))

    def expired_server(self, *names: str) -> CertificateFiles:
        """For a server; it expired yesterday."""
        return self._sign("expired", names or LOOPBACK, begin=_now() - 10 * _DAY, end=_now() - _DAY)

    def future_server(self, *names: str) -> CertificateFiles:
        """For a server; it becomes valid tomorrow."""
        return self._sign("future", names or LOOPBACK, begin=_now() + _DAY)

    def wrong_host_server(self) -> CertificateFiles:
        """For a server; it is valid, but for another host."""
        return self.server("elsewhere.example")

    def server_of_other_ca(self, *names: str) -> CertificateFiles:
        """For a server; :attr:`other_ca` has signed it, not :attr:`ca`."""
        return self._save(self._other_ca.issue_cert(*(names or LOOPBACK)))

    def self_signed_server(self, *names: str) -> CertificateFiles:
        """For a server; no CA has signed it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _common_name("self-signed")
        certificate = _unsigned(subject, subject, key, names or LOOPBACK).sign(key, SHA256())
        return self._save_own(certificate, key)

    def client(self, identity: str) -> CertificateFiles:
        """
        For a client.

        :param identity: which user it is for nats-server's ``verify_and_map``: an email address for the user of that
            name, or any other name for the user ``CN=name``.
        """
        if "@" in identity:
            return self._save(self._ca.issue_cert(identity))
        # trustme puts more into the subject than the name, and nats-server would take all of it for the user.
        return self._sign(identity, ())

    def weak_client(self, identity: str) -> CertificateFiles:
        """The same with a key that is too short for OpenSSL."""
        return self._sign(identity, (), key=rsa.generate_private_key(65537, 1024))

    def with_passphrase(self, files: CertificateFiles, passphrase: str) -> CertificateFiles:
        """The same certificate with its key encrypted."""
        key = load_pem_private_key(files.key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        pem = _key_pem(key, BestAvailableEncryption(passphrase.encode()))
        return files._replace(key=self._write(f"{next(self._numbers)}-key.pem", pem))

    def with_wrong_key(self, files: CertificateFiles) -> CertificateFiles:
        """The same certificate with the key of another one."""
        return files._replace(key=self.server().key)

    def tls_block(self, files: CertificateFiles, *options: str) -> str:
        """
        A ``tls`` block for the configuration of nats-server, which trusts clients that :attr:`ca` has signed.

        :param options: more lines for the block, such as ``"verify_and_map: true"`` or ``"handshake_first: true"``.
        """
        paths = (("cert_file", files.certificate), ("key_file", files.key), ("ca_file", self.ca))
        lines = [f"{name}: {json.dumps(str(path))}" for name, path in paths]
        lines.append("timeout: 60")  # seconds that a handshake may take, instead of 2: the machine may be busy
        return "\n  ".join(["tls {", *lines, *options]) + "\n}\n"

    def _sign(
        self,
        common_name: str,
        names: Sequence[str],
        *,
        begin: datetime | None = None,
        end: datetime | None = None,
        key: _Key | None = None,
    ) -> CertificateFiles:
        """Sign a certificate with a subject, times and a key that trustme does not offer."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        ca = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        ca_key = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        builder = _unsigned(_common_name(common_name), ca.subject, key, names, begin=begin, end=end)
        return self._save_own(builder.sign(ca_key, SHA256()), key)

    def _save(self, made: trustme.LeafCert) -> CertificateFiles:
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        return self._write_both(chain, made.private_key_pem.bytes())

    def _save_own(self, certificate: x509.Certificate, key: _Key) -> CertificateFiles:
        return self._write_both(certificate.public_bytes(Encoding.PEM), _key_pem(key, NoEncryption()))

    def _write_both(self, certificate: bytes, key: bytes) -> CertificateFiles:
        number = next(self._numbers)
        return CertificateFiles(self._write(f"{number}.pem", certificate), self._write(f"{number}-key.pem", key))

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    key: _Key,
    names: Sequence[str],
    *,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> x509.CertificateBuilder:
    """A certificate that is valid from yesterday for eleven days, unless other times are given."""
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or _now() - _DAY)
        .not_valid_after(end or _now() + 10 * _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
    )
    if not names:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)


def _key_pem(key: _Key, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
