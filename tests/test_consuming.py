"""natsroute.daemon.consuming.consuming, as a service has it"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import EventRoutes, NatsrouteService, Settings
from natsroute.daemon.consuming.consumer import Consumer
from natsroute.daemon.consuming.jetstream_consumer import JetStreamConsumer
from tests.support.memory_reactor import Reactor


class ConsumingTests(SynchronousTestCase):
    """The consumers of a service"""

    def service(self, **settings: Any) -> NatsrouteService:
        return NatsrouteService(Settings(**settings), EventRoutes(), reactor=Reactor())

    def test_order(self) -> None:
        """That of the settings, those of streams last. Each has its own connection and acknowledges by itself."""
        service = self.service(jetstream_consumer=["CALLS:a", "CALLS:b"], subject_queue_group="c:q")
        self.assertEqual([str(consumer.entry) for consumer in service.consumers], ["c:q", "CALLS:a", "CALLS:b"])
        self.assertEqual([type(one) for one in service.consumers], [Consumer, JetStreamConsumer, JetStreamConsumer])
        self.assertEqual(len({id(consumer.connection) for consumer in service.consumers}), 3)
        streams = [consumer.runner._context.stream for consumer in service.consumers]
        self.assertIsNone(streams[0])
        self.assertEqual(len(set(streams)), 3)

    def test_the_api_is_needed(self) -> None:
        """A service that consumes from a stream is not ready before it can ask for the consumer."""
        for entries, names in ([], []), (["CALLS:a"], ["requests", "consumer CALLS:a"]):
            service = self.service(jetstream_consumer=entries, num_publish_workers=1)
            self.assertEqual([name for name, _ in service._connections.named][1:], names)
