"""natsroute.jetstream.management.stream_checks"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute.client.server_pool import Backoff
from natsroute.errors import ConnectionLostError
from natsroute.jetstream.errors import ConsumerNotFoundError, StreamNotFoundError
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.ensuring import Permission
from natsroute.jetstream.management.stream_checks import StreamChecks
from tests.support.connection_case import ConnectionTestCase
from tests.support.log_recorder import LogRecorder
from tests.support.memory_api import CONSUMER, STREAM, MemoryApi, refusal

CDR = {**STREAM, "config": {"name": "cdr"}}
MISSING = refusal(10059, "stream not found", 404)


class StreamChecksTests(ConnectionTestCase):
    """Streams that the settings name."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connection()
        self.api = MemoryApi()

    def checks(self, *names: str, may: Permission = Permission()) -> StreamChecks:
        """Checks of these streams, with a connection that has just begun."""
        streams = [StreamConfig(name=name) for name in names]
        self.checking = StreamChecks(
            self.client, self.api.api, streams, may, clock=self.clock, retry=Backoff(1.0, 8.0, 0.0)
        )
        self.connected(self.client)
        return self.checking

    def problems(self) -> list[tuple[str, str]]:
        """What is wrong."""
        return [*self.checking.problems]

    def test_there(self) -> None:
        """They are looked at one after the other, when the connection begins."""
        self.checks("calls", "cdr")
        unknown = [("stream calls", "has not been looked at yet"), ("stream cdr", "has not been looked at yet")]
        self.assertEqual(self.problems(), unknown)
        asked = [self.api.answer(STREAM)[0], self.api.answer(CDR)[0]]
        self.assertEqual(asked, ["STREAM.INFO.calls", "STREAM.INFO.cdr"])
        self.assertEqual((self.problems(), self.clock.getDelayedCalls()[1:]), ([], []))

    def test_none(self) -> None:
        self.checks()
        self.assertEqual(self.api.asked, [])

    def test_missing(self) -> None:
        """It is looked for until it is there, and is in the log once."""
        recorder = LogRecorder(self)
        self.checks("calls", "cdr")
        self.api.answer(MISSING)
        self.api.answer(CDR)
        ((stream, problem),) = self.problems()
        self.assertEqual(stream, "stream calls")
        self.assertIn("cannot be used: $JS.API.STREAM.INFO.calls: stream not found", problem)
        for wait in (1.0, 2.0):
            self.clock.advance(wait)
            self.api.answer(MISSING)
            self.api.answer(CDR)
        self.assertEqual(len(recorder.lines("error")), 1)
        self.clock.advance(4.0)
        self.api.answer(STREAM)
        self.api.answer(CDR)
        self.assertEqual((self.problems(), self.api.asked), ([], []))
        self.assertEqual(recorder.matching("is as the settings say"), ["The stream calls is as the settings say"])

    def test_created(self) -> None:
        self.checks("calls", may=Permission(create=True))
        asked = [self.api.answer(MISSING)[0], self.api.answer(STREAM)[0]]
        self.assertEqual((asked[1], self.problems()), ("STREAM.CREATE.calls", []))

    def test_reconnect(self) -> None:
        """What was asked of the last server counts no more; the next one is asked."""
        self.checks("calls")
        self.network.link.lose()
        self.api.asked.clear()
        self.clock.advance(2.0)
        self.network.link.shake_hands()
        self.api.answer(MISSING)
        self.assertEqual(len(self.problems()), 1)
        self.network.link.lose()
        links = len(self.network.links)
        while len(self.network.links) == links:
            self.clock.advance(0.5)
        self.assertEqual(self.api.asked, [])
        self.network.link.shake_hands()
        self.api.answer(STREAM)
        self.assertEqual(self.problems(), [])

    def test_lost_while_asking(self) -> None:
        """That says nothing of the stream."""
        self.checks("calls")
        self.api.answer(ConnectionLostError("x"))
        unknown = [("stream calls", "has not been looked at yet")]
        self.assertEqual((self.problems(), self.api.asked), (unknown, []))

    def test_consumer(self) -> None:
        """Its stream is created first, if the settings name that."""
        checks = self.checks("calls", may=Permission(create=True))
        self.api.answer(STREAM)
        config = ConsumerConfig(durable_name="billing")
        ensured = Deferred.fromCoroutine(checks.ensure_consumer("calls", config))
        asked = [self.api.answer(answer)[0] for answer in (MISSING, STREAM, refusal(10014), CONSUMER)]
        self.assertEqual(asked[1::2], ["STREAM.CREATE.calls", "CONSUMER.CREATE.calls.billing"])
        self.assertEqual(self.successResultOf(ensured).name, "billing")

    def test_consumer_of_another_stream(self) -> None:
        """That is not created."""
        checks = self.checks("calls")
        self.api.answer(STREAM)
        config = ConsumerConfig(durable_name="billing")
        for answer, expected in ((MISSING, StreamNotFoundError), (refusal(10014), ConsumerNotFoundError)):
            ensured = Deferred.fromCoroutine(checks.ensure_consumer("other", config))
            method, _ = self.api.answer(answer)
            self.assertEqual(method, "CONSUMER.INFO.other.billing")
            self.failureResultOf(ensured, expected)
