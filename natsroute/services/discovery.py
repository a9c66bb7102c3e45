"""The answers to ``$SRV.PING``, ``$SRV.INFO`` and ``$SRV.STATS``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from natsroute.services.endpoints import EndpointInfo, EndpointStats
from natsroute.services.identity import ServiceIdentity

#: What the subjects begin with.
PREFIX = "$SRV"
#: What the types of the answers begin with.
_TYPE = "io.nats.micro.v1"


class Discovery:
    """
    Answers the questions that clients ask all services, those of one name, or one instance.

    :param identity: the instance.
    :param endpoints: returns its endpoints.
    :param stats: returns what they have done.

    :ivar subjects: where the questions arrive.
    """

    def __init__(
        self,
        identity: ServiceIdentity,
        endpoints: Callable[[], Iterable[EndpointInfo]],
        stats: Callable[[], Iterable[EndpointStats]],
    ) -> None:
        self._identity = identity
        self._endpoints = endpoints
        self._stats = stats
        # Only the standard fields, so this answer never changes.
        self._ping = self._encode("ping", {})
        name = identity.name
        self._answers: dict[str, Callable[[], bytes]] = {
            f"{PREFIX}.{verb}{suffix}": answer
            for verb, answer in (("PING", self.ping), ("INFO", self.info), ("STATS", self.stats))
            for suffix in ("", f".{name}", f".{name}.{identity.id}")
        }

    @property
    def subjects(self) -> list[str]:
        """Where the questions arrive."""
        return list(self._answers)

    def answer(self, subject: str) -> bytes:
        """
        The answer to a question.

        :param subject: one of :attr:`subjects`.
        """
        return self._answers[subject]()

    def ping(self) -> bytes:
        """Who this is."""
        return self._ping

    def info(self) -> bytes:
        """What it does: the description, and all endpoints."""
        endpoints = [endpoint.as_json() for endpoint in self._endpoints()]
        return self._encode("info", {"description": self._identity.description, "endpoints": endpoints})

    def stats(self) -> bytes:
        """What each endpoint has done."""
        endpoints = [endpoint.as_json() for endpoint in self._stats()]
        return self._encode("stats", {"started": self._identity.started_text, "endpoints": endpoints})

    def _encode(self, kind: str, fields: dict[str, Any]) -> bytes:
        answer = {"type": f"{_TYPE}.{kind}_response", **self._identity.as_json(), **fields}
        return json.dumps(answer, separators=(",", ":")).encode()
