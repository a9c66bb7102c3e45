"""Watches the log of the whole suite for the secrets that its tests use."""

from __future__ import annotations

from secrets import token_hex

from twisted.logger import LogEvent, eventAsText, globalLogPublisher

#: The password in the tests that need no new one.
_secrets: set[str] = {"hunter2"}
#: The lines of the log that had a secret in them.
found: list[str] = []
#: How many lines were looked at.
looked_at = 0


def secret(text: str = "") -> str:
    """
    A secret that no log may hold from now on.

    :param text: the secret; a new one is made if it is empty.
    """
    text = text or token_hex(12)
    _secrets.add(text)
    return text


def _look(event: LogEvent) -> None:
    global looked_at
    looked_at += 1
    line = eventAsText(event)
    if any(text in line for text in _secrets):
        found.append(line)


globalLogPublisher.addObserver(_look)
