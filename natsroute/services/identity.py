"""What an instance of a service tells of itself in each answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from secrets import token_hex
from typing import Any

import attrs

#: A version as https://semver.org defines it. ``[0-9]`` and not ``\d``, which other digits of Unicode match, too.
_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE_RELEASE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE_RELEASE}(?:\.{_PRE_RELEASE})*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)


def is_version(text: str) -> bool:
    """Whether a text is a semantic version, such as ``1.0.0`` or ``2.1.0-rc.1+build.5``."""
    return _VERSION.fullmatch(text) is not None


def new_id() -> str:
    """An ID that no other instance of a service has: 22 characters of ``0-9a-f``."""
    return token_hex(11)


@attrs.frozen
class ServiceIdentity:
    """
    An instance of a service.

    :ivar name: the kind of the service, which all of its instances share.
    :ivar version: its semantic version.
    :ivar description: what it does, for people.
    :ivar metadata: anything else about this instance.
    :ivar id: this instance.
    :ivar started: when it started.
    """

    name: str
    version: str
    description: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    id: str = attrs.field(factory=new_id)
    started: datetime = attrs.field(factory=lambda: datetime.now(timezone.utc))

    def as_json(self) -> dict[str, Any]:
        """The fields that all answers have, as values of JSON."""
        return {"name": self.name, "id": self.id, "version": self.version, "metadata": dict(self.metadata)}

    @property
    def started_text(self) -> str:
        """When it started, in UTC, as RFC 3339 writes it. nats-py reads no other form of it than this one."""
        return self.started.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
