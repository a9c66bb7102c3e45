"""A client that is a socket and nothing else, to look at a server with."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import nkeys
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.certificates import CertificateFiles
from tests.support.nats_accounts import Nkey

#: From what INFO says to what CONNECT says.
Answer = Callable[[dict[str, Any]], dict[str, Any]]

#: What a server says to whom it does not let in.
VIOLATION = "-ERR 'Authorization Violation'"


class Talk(NamedTuple):
    """With a server that has said INFO, and was told CONNECT and PING."""

    info: dict[str, Any]
    lines: BinaryIO
    send: Callable[[bytes], None]

    def until(self, last: bytes) -> list[str]:
        """The lines before the one that begins so, without INFO and PING; all if it does not come."""
        seen = []
        for line in self.lines:
            if line.startswith(last):
                break
            if not line.startswith((b"INFO ", b"PING")):
                seen.append(line.decode().strip())
        return seen


@contextmanager
def conversation(
    port: int,
    answer: Answer = lambda info: {},
    tls: ssl.SSLContext | None = None,
    *,
    tls_first: bool = False,
    host: str = "127.0.0.1",
    patience: float | None = 10,
) -> Iterator[Talk]:
    """
    INFO, and what comes after CONNECT and PING; blocks.

    :param patience: seconds that silence may last once INFO is there; None: for ever.
    """
    raw = socket.create_connection((host, port), 10)
    try:
        if raw.getsockname() == raw.getpeername():  # nobody listens, and TCP let the socket connect to itself
            raise ConnectionRefusedError("there was only this very socket")
        if tls is not None and tls_first:
            raw = tls.wrap_socket(raw, server_hostname="localhost")
        info = json.loads(read_line(raw).removeprefix(b"INFO "))
        if tls is not None and not tls_first:
            raw = tls.wrap_socket(raw, server_hostname="localhost")
        raw.settimeout(patience)
        connect = {"verbose": False, "pedantic": False, "lang": "test", "version": "0", "protocol": 1, **answer(info)}
        raw.sendall(b"CONNECT %s\r\nPING\r\n" % json.dumps(connect).encode())
        with raw.makefile("rb") as lines:
            yield Talk(info, lines, raw.sendall)
    finally:
        raw.close()


def read_line(raw: socket.socket) -> bytes:
    """And nothing after it, for after INFO the stream may be TLS."""
    line = b""
    while not line.endswith(b"\r\n"):
        byte = raw.recv(1)
        if not byte:
            raise ConnectionError(f"closed after {line!r}")
        line += byte
    return line


def verdict(*arguments: Any, **named: Any) -> Deferred[str]:
    """``PONG``, or the error that came instead; the arguments are those of :func:`conversation`."""

    def listen() -> str:
        try:
            with conversation(*arguments, **named) as talk:
                return next((line.decode().strip() for line in talk.lines if not line.startswith(b"INFO ")), "closed")
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError as error:
            return error.reason
        except OSError as error:
            return type(error).__name__

    return deferToThread(listen)


def signing(nkey: Nkey) -> Answer:
    """For a user whom the server knows by the public key."""

    def answer(info: dict[str, Any]) -> dict[str, Any]:
        signature = base64.urlsafe_b64encode(nkey.sign(info["nonce"].encode())).rstrip(b"=")
        return {"nkey": nkey.public, "sig": signature.decode()}

    return answer


def credited(creds: str) -> Answer:
    """For a user with a ``.creds`` file, of which nothing is used but its text."""
    jwt, seed = re.findall(r"-----BEGIN [^-]+-----\n(\S+)\n------END [^-]+------\n", creds)

    def answer(info: dict[str, Any]) -> dict[str, Any]:
        signature = nkeys.from_seed(seed.encode()).sign(info["nonce"].encode())
        return {"jwt": jwt, "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode()}

    return answer


def trusting(ca: Path, client: CertificateFiles | None = None, password: str | None = None) -> ssl.SSLContext:
    """A client's TLS."""
    context = ssl.create_default_context(cafile=str(ca))
    # Since 3.13 Python asks for more than servers' certificates have, and would name that instead of their real fault.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if client is not None:
        context.load_cert_chain(client.certificate, client.key, password)
    return context
