"""
The TLS of one connection, by the standard library's ``ssl``, in the form in which Twisted uses pyOpenSSL.

``ssl`` reads a record in two thirds of the time that pyOpenSSL needs.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

from OpenSSL import SSL, crypto

_RECORD = 16_384  # bytes: a record has no more

# autobahn insists on a connection of pyOpenSSL, and asks it for what NATS does not need. It answers as one on which
# nothing has happened.
_NOTHING = SSL.Context(SSL.TLS_METHOD)

_AROUND_WORDS = re.compile(r"^\[.*?\] | \(_ssl\.c:\d+\)$")


def words(error: OSError) -> str:
    """The text of an error, without what Python adds to OpenSSL's."""
    return _AROUND_WORDS.sub("", str(error.args[-1] if error.args else error))


class TlsConnection(SSL.Connection):
    """
    The client's side of a TLS connection in memory: what Twisted's TLS uses of an ``OpenSSL.SSL.Connection``.

    Errors are those of pyOpenSSL, such as ``OpenSSL.SSL.WantReadError``.

    :param context: verifies the server's certificate.
    :param name: the host name or IP address that the certificate must be for. A host name is sent as SNI.
    :param on_refused: called when the server's certificate is refused, with the error, and the certificate if it is
        known.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        name: str,
        on_refused: Callable[[ssl.SSLCertVerificationError, crypto.X509 | None], object],
    ) -> None:
        super().__init__(_NOTHING)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._on_refused = on_refused
        # What the next recv() raises. It is in a list because a traceback has the frames, and they have the data: if a
        # variable of a frame had the error, the data of each read would stay until the garbage collector comes.
        self._errors: list[SSL.Error] = []
        # The method of an SSLObject only calls that of this private attribute.
        self._read_record = partial(getattr(self._tls, "_sslobj", self._tls).read, _RECORD)

    def bio_write(self, buf: Any) -> int:
        """Take bytes from the network."""
        return self._incoming.write(buf)

    def bio_read(self, bufsiz: int) -> bytes:
        """Give bytes for the network."""
        if not self._outgoing.pending:
            raise SSL.WantReadError
        return self._outgoing.read(bufsiz)

    def bio_shutdown(self) -> None:
        """The network gives no more."""
        self._errors.clear()
        self._incoming.write_eof()

    def do_handshake(self) -> None:
        """Continue the handshake."""
        try:
            self._tls.do_handshake()
        except ssl.SSLError as error:
            raise self._translated(error) from None

    def recv(self, bufsiz: int, flags: int | None = None) -> bytes:
        """
        All data that has arrived, and not only that of one record.

        nats-server's records have 512 bytes, and Twisted hands on what each call returns. What arrived with one read of
        the socket is all there is, so that bounds the memory.
        """
        if self._errors:
            raise self._errors.pop()
        data: list[bytes] = []
        try:
            if record := self._read_record():
                if not self._incoming.pending and not self._incoming.eof:
                    self._errors.append(SSL.WantReadError())  # as another read would say
                    return record
                data.append(record)
                data.extend(iter(self._read_record, b""))  # which keeps what it has when read raises
            self._errors.append(SSL.ZeroReturnError())
        except ssl.SSLError as error:  # usually that it needs more
            self._errors.append(self._translated(error))
        if not data:
            raise self._errors.pop()
        return b"".join(data)  # Twisted asks until it gets an error

    def send(self, buf: Any, flags: int = 0) -> int:
        """Encrypt data. Returns how many bytes were taken."""
        try:
            return self._tls.write(buf)
        except ssl.SSLError as error:
            raise self._translated(error) from None

    def shutdown(self) -> bool:
        """End TLS on this side. Returns whether the other side has ended it too."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise self._translated(error) from None
        return True

    def get_peer_certificate(self, **options: Any) -> Any:
        """The server's certificate, or None before the end of the handshake."""
        try:
            certificate = self._tls.getpeercert(binary_form=True)
        except ValueError:  # the handshake is not done
            return None
        return certificate and crypto.load_certificate(crypto.FILETYPE_ASN1, certificate)

    def _translated(self, error: ssl.SSLError) -> SSL.Error:
        if isinstance(error, ssl.SSLWantReadError):
            return SSL.WantReadError()
        if isinstance(error, ssl.SSLZeroReturnError):
            return SSL.ZeroReturnError()
        if isinstance(error, ssl.SSLEOFError):
            return SSL.SysCallError(-1, "Unexpected EOF")
        if isinstance(error, ssl.SSLCertVerificationError):
            self._on_refused(error, self._refused_certificate())
        return SSL.Error([("SSL routines", "", words(error))])

    def _refused_certificate(self) -> crypto.X509 | None:
        """The server's certificate, although the handshake has failed. It is for a message only."""
        try:
            if hasattr(self._tls, "get_unverified_chain"):  # Python 3.13
                return crypto.load_certificate(crypto.FILETYPE_ASN1, self._tls.get_unverified_chain()[0])
            private: Any = self._tls
            pem = private._sslobj.get_unverified_chain()[0].public_bytes()
            return crypto.load_certificate(crypto.FILETYPE_PEM, pem.encode())
        except (AttributeError, IndexError, TypeError, ValueError, crypto.Error):
            return None
