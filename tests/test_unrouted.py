"""natsroute.routes.unrouted"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.routes.unrouted import UnroutedMessages
from tests.support.log_recorder import LogRecorder


class UnroutedMessagesTests(SynchronousTestCase):
    """UnroutedMessages"""

    def test_once_for_each(self) -> None:
        """And again after a reload."""
        log = LogRecorder(self)
        unrouted = UnroutedMessages()
        for _ in range(2):
            unrouted.warn("a.>", "a.b")
            unrouted.warn_of_stream("CALLS:billing", "a.b")
        self.assertEqual(len(log.lines("warn")), 2)
        unrouted.begin_anew()
        unrouted.warn_of_stream("CALLS:billing", "a.c")
        self.assertEqual(
            log.lines("warn")[2],
            "No event route matches a message to 'a.c' (jetstream_consumer 'CALLS:billing'). It is delivered again "
            "every 30 s. Add a route for it, or a filter to the consumer. Further messages without a route are "
            "counted, not logged",
        )
