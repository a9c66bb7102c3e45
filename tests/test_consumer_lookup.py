"""natsroute.jetstream.consuming.consumer_lookup"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.server_pool import Backoff
from natsroute.errors import RequestTimeoutError
from natsroute.jetstream.consuming.consumer_lookup import ConsumerLookup
from natsroute.jetstream.errors import (
    ConsumerNotFoundError,
    JetStreamError,
    JetStreamUnavailableError,
    StreamNotFoundError,
)
from natsroute.jetstream.management.consumers import ConsumerInfo
from tests.support.log_recorder import LogRecorder
from tests.support.pull_case import MemoryApi, info

MISSING = ConsumerNotFoundError("consumer not found", 404, 10014)


class ConsumerLookupTests(SynchronousTestCase):
    """Waits of 1, 2, 4 and then always 8 s."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.api = MemoryApi()
        self.found = self.missing = self.prepared = 0
        self.differs: JetStreamError | None = None
        self.infos: list[ConsumerInfo] = []
        self.problems: list[JetStreamError | None] = []
        self.log = LogRecorder(self)
        self.lookup = ConsumerLookup(
            self.api,  # type: ignore[arg-type]
            "S",
            "D",
            clock=self.clock,
            retry=Backoff(1.0, 8.0, 0.0),
            on_found=self._found,
            on_info=self.infos.append,
            on_missing=self._missing,
            on_problem=self.problems.append,
            prepare=self._prepare,
        )

    async def _prepare(self) -> None:
        self.prepared += 1
        if self.differs is not None:
            raise self.differs

    def _found(self) -> None:
        self.found += 1

    def _missing(self) -> None:
        self.missing += 1

    def test_found(self) -> None:
        self.lookup.begin()
        self.assertEqual((self.api.asked, self.found, self.infos), (["CONSUMER.INFO.S.D"], 1, [self.lookup.info]))
        self.assertEqual((self.problems, self.clock.getDelayedCalls()), ([], []))

    def test_missing(self) -> None:
        """It is reported once, and looked for until it is there."""
        self.api.answer = MISSING
        self.lookup.begin()
        self.clock.pump([1.0] * 1)
        self.assertEqual(len(self.api.asked), 2)
        self.clock.pump([1.0] * 30)
        self.assertEqual(len(self.api.asked), 7)  # after 2, 4, and three times 8 s more
        self.assertEqual((self.problems, self.lookup.problem, self.found), ([MISSING], MISSING, 0))
        self.api.answer = info()
        self.clock.advance(8.0)
        self.assertEqual(self.found, 1)
        self.lookup.works()
        self.assertEqual((self.problems, self.lookup.problem, self.lookup.failures), ([MISSING, None], None, 0))
        (line,) = self.log.lines("error")
        self.assertIn("Nothing is consumed from S:D: consumer not found", line)
        self.assertEqual(len(self.log.matching("again")), 2)

    def test_prepare(self) -> None:
        """The consumer is created or checked before it is looked up, and not at each refresh."""
        self.differs = JetStreamError("it differs from the settings")
        self.lookup.begin()
        self.assertEqual((self.lookup.problem, self.api.asked), (self.differs, []))
        self.differs = None
        self.clock.advance(1.0)
        self.assertEqual((self.prepared, self.found), (2, 1))
        self.lookup.refresh()
        self.assertEqual(self.prepared, 2)

    def test_another_problem(self) -> None:
        """A problem that changes is reported again."""
        self.api.answer = MISSING
        self.lookup.begin()
        self.api.answer = StreamNotFoundError("stream not found", 404, 10059)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.problems, [MISSING, self.api.answer])

    def test_no_answer(self) -> None:
        """The API does not answer: nothing is known of the consumer, so nothing is consumed."""
        self.api.answer = RequestTimeoutError("$JS.API.CONSUMER.INFO.S.D", 5.0, was_sent=True)
        self.lookup.begin()
        self.assertIsInstance(self.lookup.problem, JetStreamError)
        self.api.answer = info()
        self.clock.advance(1.0)
        self.assertEqual(self.found, 1)

    def test_fault(self) -> None:
        """Whatever goes wrong, the consumer is looked for again."""
        self.api.answer = ZeroDivisionError()
        self.lookup.begin()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNotNone(self.lookup.problem)
        self.api.answer = info()
        self.clock.advance(1.0)
        self.assertEqual(self.found, 1)

    def test_push_consumer(self) -> None:
        self.api.answer = info(deliver_subject="push")
        self.lookup.begin()
        self.assertIn("deliver_subject", str(self.lookup.problem))
        self.assertEqual(self.found, 0)

    def test_refresh(self) -> None:
        self.lookup.refresh()
        self.assertEqual((len(self.infos), self.found), (1, 0))
        self.api.answer = RequestTimeoutError("$JS.API.CONSUMER.INFO.S.D", 5.0, was_sent=True)
        self.lookup.refresh()
        self.api.answer = JetStreamUnavailableError("no leader", 503)
        self.lookup.refresh()
        self.assertEqual((self.problems, self.missing), ([], 0))  # they say nothing of the consumer
        self.api.answer = None
        self.lookup.refresh()
        self.lookup.refresh()
        self.assertEqual(len(self.api.asked), 4)

    def test_refresh_finds_that_it_is_missing(self) -> None:
        self.api.answer = MISSING
        self.lookup.refresh()
        self.assertEqual((self.problems, self.missing), ([MISSING], 1))
        self.lookup.refresh()
        self.assertEqual(len(self.api.asked), 1)  # it is being looked for
        self.api.answer = info()
        self.clock.advance(1.0)
        self.assertEqual(self.found, 1)

    def test_begin_again(self) -> None:
        """At once for the first failure, then later and later."""
        for wait, asked in ((0.0, 1), (1.0, 2), (2.0, 3), (4.0, 4), (8.0, 5), (8.0, 6)):
            self.lookup.begin_again()
            self.clock.advance(wait * 0.9)
            self.assertEqual(len(self.api.asked), asked - (wait > 0))
            self.clock.advance(wait * 0.1)
            self.assertEqual(len(self.api.asked), asked)

    def test_cancel(self) -> None:
        self.api.answer = None
        self.lookup.begin()
        self.lookup.cancel()
        self.api.answer = MISSING
        self.lookup.begin()
        self.lookup.cancel()
        self.assertEqual((self.clock.getDelayedCalls(), self.found), ([], 0))
        self.flushLoggedErrors()
