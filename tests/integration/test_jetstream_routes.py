"""Event routes that consume from a stream of a real server: whatever happens, each message is handled"""

from __future__ import annotations

from natsroute import Event, EventRoutes
from tests.support.jetstream_case import JetStreamTestCase


class SuccessTests(JetStreamTestCase):
    """Calls that end well."""

    async def test_each_message_once(self) -> None:
        """With what the stream says of it. The ledger adds up, and the server keeps nothing."""
        await self.create()
        await self.publish(*map(str, range(1000)))
        event_route = EventRoutes()
        events: list[Event] = []
        event_route("nats:calls.*")(events.append)
        service = await self.consume(event_route)
        await self.until(lambda: len(events) == 1000)
        await self.until_state(0, 0, 0)
        self.assertEqual([event.text() for event in events], list(map(str, range(1000))))
        last = events[-1]
        self.assertEqual((last.stream, last.consumer, last.sequence, last.delivered), ("CALLS", "billing", 1000, 1))
        self.assertEqual((last.reply, last.attempts, last.pending), (None, 1, 0))
        [account] = service.ledger().consumers
        self.assertEqual((account.name, account.received, account.succeeded), ("CALLS:billing", 1000, 1000))
        self.assertEqual(account.lag, 0)
        self.assertEqual(service.ledger().differences(), [])
