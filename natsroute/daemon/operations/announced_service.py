"""
The NATS micro service that natsroute is announced as: questions to ``$SRV`` are answered (NATS ADR-32).

It has a connection of its own, so that questions without end, or a refused subscription, do not concern event routes
and publish workers.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.operations.service_endpoints import ServiceEndpoints
from natsroute.errors import SubjectError
from natsroute.log import Logger
from natsroute.monitoring.overview import ServiceRow
from natsroute.routes.responding import CODE_HEADER, ERROR_HEADER
from natsroute.services.discovery import Discovery
from natsroute.services.identity import ServiceIdentity
from natsroute.wire.encoder import encode_pub
from natsroute.wire.frames import Msg
from natsroute.wire.headers import encode_headers

#: The code of the answer that says why there is none, as in HTTP.
_FAILED = "500"
_PENDING = PendingLimits(100, 1024 * 1024, "drop_newest")


class AnnouncedService(Service):
    """
    Answers what clients ask about the service.

    Its ID and its start are those of the first start: the counters of event routes go on after a stop, too.

    :param connection: its connection, which somebody else starts.
    :param new_identity: makes the identity.
    :param endpoints: the endpoints.

    :ivar identity: who it is; None before the first start.
    """

    log = Logger()

    def __init__(
        self, connection: Connection, new_identity: Callable[[], ServiceIdentity], endpoints: ServiceEndpoints
    ) -> None:
        self.identity: ServiceIdentity | None = None
        self._connection = connection
        self._new_identity = new_identity
        self._endpoints = endpoints
        self._discovery: Discovery | None = None

    def startService(self) -> None:
        """Subscribe, at the first start."""
        super().startService()
        if self.identity is None:
            identity = self.identity = self._new_identity()
            self._discovery = Discovery(identity, self._endpoints.infos, self._endpoints.stats)
            for subject in self._discovery.subjects:
                self._connection.subscribe(subject, self._on_msg, limits=_PENDING)
        self.log.info(
            "Announced as service {name} {version}, ID {id}. Endpoints: {endpoints}",
            name=self.identity.name,
            version=self.identity.version,
            id=self.identity.id,
            endpoints=", ".join(f"{one.name} ({one.subject})" for one in self._endpoints.infos()) or "none",
        )

    def rows(self) -> tuple[ServiceRow, ...]:
        """The row for the overview; none before the first start."""
        identity = self.identity
        if identity is None:
            return ()
        return (ServiceRow(identity.name, identity.version, identity.id, len(self._endpoints.infos())),)

    def stopService(self) -> Deferred[None]:
        """Close the connection. Fires when it is closed."""
        super().stopService()
        return self._connection.stopService()

    def _on_msg(self, question: Msg) -> None:
        limit, reply = self._connection.max_payload, question.reply
        if self._discovery is None or reply is None or limit is None:
            return  # without a connection, nobody waits any more
        answer, headers = self._discovery.answer(question.subject), b""
        if len(answer) > limit:
            text = f"the answer has {len(answer)} bytes; the server's max_payload is {limit}"
            answer, headers = b"", encode_headers({ERROR_HEADER: text, CODE_HEADER: _FAILED})
        try:
            command = encode_pub(reply, answer, headers=headers)
        except SubjectError:
            return  # the client has made it up
        self._connection.write(command, 1)
