"""The endpoints of a service, as its answers show them: what they are, and what they have done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class EndpointInfo:
    """
    An event route that responds, at one subscription.

    :ivar name: its name. Several may have the same one.
    :ivar subject: the subject or wildcard that requests are sent to.
    :ivar queue_group: the group whose members share the requests; empty if each of them gets all.
    :ivar metadata: anything else about it.
    """

    name: str
    subject: str
    queue_group: str = ""
    metadata: Mapping[str, str] = attrs.field(factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same as values of JSON."""
        return {**self.names(), "metadata": dict(self.metadata)}

    def names(self) -> dict[str, Any]:
        """What both INFO and STATS have, as values of JSON."""
        return {"name": self.name, "subject": self.subject, "queue_group": self.queue_group}


@attrs.frozen
class EndpointStats:
    """
    What an endpoint has done since the service started.

    :ivar info: the endpoint.
    :ivar requests: messages received.
    :ivar errors: calls that failed.
    :ivar last_error: the text that the last of them was answered with; empty if there was none.
    :ivar seconds: how long all calls took together.
    :ivar data: further numbers, by name.
    """

    info: EndpointInfo
    requests: int = 0
    errors: int = 0
    last_error: str = ""
    seconds: float = 0.0
    data: Mapping[str, int] = attrs.field(factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same as values of JSON, with times in nanoseconds."""
        nanoseconds = round(self.seconds * 1e9)
        return {
            **self.info.names(),
            "num_requests": self.requests,
            "num_errors": self.errors,
            "last_error": self.last_error,
            "processing_time": nanoseconds,
            "average_processing_time": nanoseconds // self.requests if self.requests else 0,
            "data": dict(self.data),
        }
