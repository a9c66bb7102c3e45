"""natsroute.kamailio.script.functions.pua_json"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.wire.frames import Address
from tests.support.functions import Bare, call


class PuaJsonPublishTests(SynchronousTestCase):
    """``pua_json_publish``"""

    def publish(self, written: Any, payload: bytes, subject: str = "pua_json") -> tuple[int, list[tuple[str, object]]]:
        """The result of a call, and what it has published by then. Nothing is ever confirmed."""
        published: list[tuple[str, object]] = []

        def publish(subject: str, payload: object, *more: object, **options: object) -> Deferred[None]:
            published.append((subject, payload))
            return Deferred()

        event = Event.of_message(EventContext(publish, Clock(), RouteCounters("nats:in")), Address("in", 1), payload)
        service = ServiceVariables(pua_json_subject=subject)
        evaluation = Evaluation(event, EventVariables(ConsumerVariables(service)))
        return call(evaluation, "pua_json_publish", written), published

    def test_payload(self) -> None:
        """It goes out as it came in; the result does not wait."""
        payload = b'{"State": "early", "From": "$var(x)"}'
        for written in (Bare("$natsData"), "$natsData"):
            self.assertEqual(self.publish(written, payload), (1, [("pua_json", payload)]))
        self.assertEqual(self.publish('{"of": "$rm"}', payload), (1, [("pua_json", b'{"of": "OPTIONS"}')]))

    def test_subject(self) -> None:
        self.assertEqual(self.publish("$natsData", b"{}", "blf"), (1, [("blf", b"{}")]))

    def test_not_json(self) -> None:
        """As in Kamailio, the result is -1. Nothing is published."""
        for payload in (b"{", b"", b"\xff"):
            self.assertEqual(self.publish("$natsData", payload), (-1, []), payload)
