"""What this side does in the handshake: whether it starts TLS, and how it logs in."""

from __future__ import annotations

import attrs

from natsroute.client.auth import Credentials
from natsroute.client.options import Security
from natsroute.client.state import ProtocolState
from natsroute.client.transport.tls import TlsSession
from natsroute.errors import HandshakeError, MisuseError, TlsError
from natsroute.wire.encoder import encode_connect
from natsroute.wire.frames import ConnectOptions, Info


@attrs.frozen
class Handshake:
    """
    This side of a handshake.

    :ivar name: the connection's name, which the server's monitoring shows.
    :ivar version: the version of this client.
    """

    name: str
    version: str
    credentials: Credentials
    security: Security

    @property
    def begins_with_tls(self) -> bool:
        """Whether TLS starts before the server sends INFO."""
        return self.security.tls.first and self.security.required and not self.security.by_transport

    def needs_tls(self, info: Info) -> bool:
        """
        Whether TLS starts behind the first INFO.

        :raises TlsError: TLS is required, or was used before, and the server does not offer it.
        """
        if self.security.by_transport or self.begins_with_tls:
            return False
        if info.tls_required or info.tls_available:
            return info.tls_required or self.security.required or self.security.used_tls
        if self.security.required:
            raise TlsError("TLS is required, and the server does not offer it. Nothing was sent to it")
        if self.security.used_tls:
            raise TlsError(
                "this server, or the one that named it, used TLS before, and it does not offer TLS now. Nothing was "
                "sent to it. If that is intended, restart natsroute"
            )
        return False

    def start_tls(self) -> TlsSession:
        """
        The TLS of this connection; reads the files that it needs.

        :raises TlsError: a file cannot be used, or TLS is not installed.
        """
        try:
            return self.security.tls.session(self.security.name)
        except MisuseError as error:
            raise TlsError(f"no TLS: {error}") from None

    def connect(self, info: Info) -> bytes:
        """
        The CONNECT command that answers an INFO.

        :raises HandshakeError: the credentials cannot be used.
        """
        try:
            login = self.credentials.login(info.nonce)
        except MisuseError as error:
            raise HandshakeError(str(error)) from None
        return encode_connect(
            ConnectOptions(
                name=self.name,
                version=self.version,
                login=login,
                headers=info.headers,
                tls_required=self.security.required or self.security.used_tls,
            )
        )

    @staticmethod
    def timed_out(state: ProtocolState, timeout: float, *, tls_began: bool) -> Exception:
        """The error of a handshake that did not end within ``timeout`` seconds. It says what is missing."""
        within = f"within {timeout} s"
        if state is not ProtocolState.AWAITING_INFO:
            return HandshakeError(f"no PONG {within}" + (", after TLS began" if tls_began else ""))
        if tls_began:
            return TlsError(f"no answer to TLS {within}. Check tls_first, and handshake_first in the server")
        return HandshakeError(f"no INFO {within}. If the server has handshake_first, set tls_first")
