"""How an event route that responds is shown as an endpoint of a NATS micro service (NATS ADR-32)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from natsroute.errors import RouteError
from natsroute.wire.subjects import is_service_name

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")
#: The name where the subject has nothing that a name may have, as that of ``>``. Other clients use it for an endpoint
#: without a name.
_DEFAULT_NAME = "default"


@attrs.frozen
class Endpoint:
    """
    How an event route is shown to the clients of a service.

    :param name: letters, digits, ``-`` and ``_``; empty: made from the route's subject.
    :param metadata: anything else about it, such as a schema: texts by name.
    :raises RouteError: the name or the metadata is invalid.
    """

    name: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or (self.name and not is_service_name(self.name)):
            raise RouteError(f"endpoint name {self.name!r}: it must have letters, digits, '-' and '_' only")
        if not isinstance(self.metadata, Mapping) or not all(
            isinstance(text, str) for pair in self.metadata.items() for text in pair
        ):
            raise RouteError(f"endpoint metadata {self.metadata!r}: it must be a dict of texts")


def endpoint_name(subject: str) -> str:
    """The name of an endpoint that was given none: ``calls.*.bill`` becomes ``calls-bill``."""
    return _NOT_IN_NAMES.sub("-", subject).strip("-") or _DEFAULT_NAME
