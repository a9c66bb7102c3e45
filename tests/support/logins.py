"""How a plain client logs in to a server, and whether the server lets it in."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path
from typing import Any

import nkeys
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.support.certificates import CertificateFiles
from tests.support.nats_accounts import Nkey
from tests.support.plain_client import Login, PlainClient, ServerSaysError, without_credentials

#: What a server answers a client that it does not let in.
VIOLATION = "-ERR 'Authorization Violation'"


def try_login(url: str, login: Login = without_credentials, **options: Any) -> Deferred[str]:
    """
    Log in and leave.

    :param options: see :class:`~tests.support.plain_client.PlainClient`.
    :return: fires with ``PONG`` if the server lets the client in, or else with the error: the server's own ``-ERR``,
        the reason of a failed TLS handshake, or the name of the exception.
    """

    def connect() -> str:
        try:
            PlainClient(url, login=login, **options).close()
        except ServerSaysError as error:
            return str(error)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except ssl.SSLError as error:
            return error.reason
        except OSError as error:
            return type(error).__name__
        return "PONG"

    return deferToThread(connect)


def nkey_login(nkey: Nkey) -> Login:
    """The login of a user whom the server knows by a public key."""

    def login(info: dict[str, Any]) -> dict[str, Any]:
        return {"nkey": nkey.public, "sig": _base64url(nkey.sign(info["nonce"].encode()))}

    return login


def creds_login(creds: str) -> Login:
    """
    The login of a user with a JWT.

    :param creds: the text of a ``.creds`` file.
    """
    jwt, seed = re.findall(r"-----BEGIN [^-]+-----\n(\S+)\n------END [^-]+------\n", creds)

    def login(info: dict[str, Any]) -> dict[str, Any]:
        return {"jwt": jwt, "sig": _base64url(nkeys.from_seed(seed.encode()).sign(info["nonce"].encode()))}

    return login


def client_tls(ca: Path, client: CertificateFiles | None = None, passphrase: str | None = None) -> ssl.SSLContext:
    """
    The TLS of a client that trusts a CA.

    :param client: its own certificate and key, if it has any.
    :param passphrase: of its key.
    """
    context = ssl.create_default_context(cafile=str(ca))
    # Since 3.13 Python is stricter than the test certificates are, and would report that instead of their real fault.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if client is not None:
        context.load_cert_chain(client.certificate, client.key, passphrase)
    return context


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
