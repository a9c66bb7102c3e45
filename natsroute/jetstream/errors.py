"""
Every exception of JetStream that natsroute raises or fails a Deferred with::

    JetStreamError                    .code .err_code .description: the server refused a request
    ├── JetStreamUnavailableError     there is no JetStream on the server or for the account
    ├── StreamNotFoundError           there is no such stream
    ├── ConsumerNotFoundError         there is no such consumer
    └── WrongLastSequenceError        the stream has a newer message than the publisher expected
"""

from __future__ import annotations

from natsroute.errors import PeerError


class JetStreamError(PeerError):
    """
    The server refused a request of JetStream. There are subclasses for the refusals that natsroute knows.

    :ivar code: the server's code, like a status of HTTP.
    :ivar err_code: the server's own number of the error, which does not change between versions; 0 if it gave none.
    :ivar description: the server's text.
    """

    def __init__(self, description: str, code: int = 0, err_code: int = 0, *, remedy: str = "") -> None:
        numbers = f" (code {code}, err_code {err_code})" if err_code else f" (code {code})" if code else ""
        super().__init__(f"{description}{numbers}" + (f". {remedy}" if remedy else ""))
        self.code = code
        self.err_code = err_code
        self.description = description


class JetStreamUnavailableError(JetStreamError):
    """
    There is no JetStream on the server or for the account. Start the server with ``-js``, or enable JetStream for the
    account, and check ``jetstream_domain``.
    """


class StreamNotFoundError(JetStreamError):
    """There is no such stream. Create it, or set ``jetstream_create``."""


class ConsumerNotFoundError(JetStreamError):
    """There is no such consumer. Create it, or set ``jetstream_create``."""


class WrongLastSequenceError(JetStreamError):
    """The stream, or the subject in it, has a newer message than the publisher expected. Read it, and decide again."""


#: The subclass for each number of the server (NATS server, ``errors.json``).
_CLASSES: dict[int, type[JetStreamError]] = {
    10014: ConsumerNotFoundError,
    10039: JetStreamUnavailableError,
    10059: StreamNotFoundError,
    10071: WrongLastSequenceError,
    10076: JetStreamUnavailableError,
}


def error_of(code: int, err_code: int, description: str) -> JetStreamError:
    """The exception for an error in an answer of the server."""
    return _CLASSES.get(err_code, JetStreamError)(description, code, err_code)
