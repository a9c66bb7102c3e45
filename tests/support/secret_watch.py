"""
Fails each test in whose log a secret of the tests stands.

The watch is a log observer. When it finds a secret, it logs an error, and trial adds the error to the test that is
running. So no test needs a base class, the order of the tests does not matter, and ``trial -j`` works too.
"""

from __future__ import annotations

from secrets import token_hex

from twisted.logger import LogEvent, Logger, eventAsText, globalLogPublisher
from twisted.python.failure import Failure

#: The password of the tests that need no new one.
PASSWORD = "hunter2"

_secrets = {PASSWORD}
_log = Logger()


class SecretInLogError(Exception):
    """A log line with a secret; the message is the line without the secret."""


def secret(text: str = "") -> str:
    """
    A secret that no log may have in it from now on.

    :param text: the secret; if it is empty, a new one is made.
    """
    text = text or token_hex(12)
    _secrets.add(text)
    return text


def install() -> None:
    """Watch the log of this process, for as long as it lives. A second call changes nothing."""
    globalLogPublisher.removeObserver(_watch)
    globalLogPublisher.addObserver(_watch)


def _watch(event: LogEvent) -> None:
    line = shown = eventAsText(event)
    for text in tuple(_secrets):  # a copy, since threads log too
        shown = shown.replace(text, "[a secret]")
    if shown != line:
        _log.failure("There is a secret in the log", Failure(SecretInLogError(shown)))
