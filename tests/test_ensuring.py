"""natsroute.jetstream.management.ensuring"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute.jetstream.errors import (
    ConfigDiffersError,
    ConsumerNotFoundError,
    InvalidConfigError,
    JetStreamUnavailableError,
    StreamExistsError,
    StreamNotFoundError,
)
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.ensuring import Permission, ensure_consumer, ensure_stream
from tests.support.garbage import left_in_cycles
from tests.support.log_recorder import LogRecorder
from tests.support.memory_api import CONSUMER, STREAM, ApiTestCase, refusal

NOTHING, CREATE, UPDATE = Permission(), Permission(create=True), Permission(update=True)
NO_STREAM, NO_CONSUMER = refusal(10059, code=404), refusal(10014, code=404)


class StreamTests(ApiTestCase):
    """A stream that the settings name."""

    def ensure(self, may: Permission, *answers: object, **options: Any) -> Deferred[Any]:
        """Ensure a stream, with these answers of the server."""
        asked = self.ask(ensure_stream(self.api, StreamConfig(name="calls", **options), may))
        self.requests = [self.memory.answer(answer) for answer in answers]
        return asked

    def methods(self) -> list[str]:
        """What was asked."""
        return [method.removesuffix(".calls") for method, _ in self.requests]

    def test_there(self) -> None:
        """What the settings do not give may be anything."""
        for may in (NOTHING, CREATE, UPDATE):
            info = self.successResultOf(self.ensure(may, STREAM, subjects=("calls.>",)))
            self.assertEqual((info.messages, self.methods()), (3, ["STREAM.INFO"]))

    def test_missing(self) -> None:
        for may in (NOTHING, UPDATE):
            self.failureResultOf(self.ensure(may, NO_STREAM), StreamNotFoundError)
        recorder = LogRecorder(self)
        self.successResultOf(self.ensure(CREATE, NO_STREAM, STREAM, subjects=("calls.>",)))
        self.assertEqual(self.methods(), ["STREAM.INFO", "STREAM.CREATE"])
        self.assertEqual(self.requests[1][1], {"name": "calls", "subjects": ["calls.>"]})
        self.assertEqual(recorder.lines(), ["Created the stream calls"])

    def test_differs(self) -> None:
        """It is not changed unless that is wanted."""
        for may in (NOTHING, CREATE):
            failed = self.ensure(may, STREAM, max_age=5.0, num_replicas=3)
            error = self.failureResultOf(failed, ConfigDiffersError).value
            self.assertEqual([one.name for one in error.differences], ["num_replicas", "max_age"])
            self.assertIn("stream calls differs from the settings: num_replicas is 1 at the server", str(error))
            self.assertEqual(self.methods(), ["STREAM.INFO"])
        recorder = LogRecorder(self)
        self.successResultOf(self.ensure(UPDATE, STREAM, STREAM, max_age=5.0))
        self.assertEqual(self.methods(), ["STREAM.INFO", "STREAM.UPDATE"])
        self.assertEqual(self.requests[1][1], {**STREAM["config"], "max_age": 5_000_000_000})
        self.assertIn("Changed the stream calls: max_age is not set at", recorder.lines()[0])

    def test_another_process_was_faster(self) -> None:
        """Then its stream counts."""
        exists = refusal(10058)
        self.successResultOf(self.ensure(CREATE, NO_STREAM, exists, STREAM, subjects=("calls.>",)))
        self.failureResultOf(self.ensure(CREATE, NO_STREAM, exists, STREAM, max_age=7.0), ConfigDiffersError)

    def test_subject_of_another_stream(self) -> None:
        overlaps = refusal(10065, "subjects overlap with an existing stream")
        failed = self.ensure(CREATE, NO_STREAM, overlaps, NO_STREAM)
        self.assertIn("overlap", str(self.failureResultOf(failed, StreamExistsError).value))

    def test_no_cycles(self) -> None:
        """An error goes when nobody has it."""

        def fail() -> None:
            self.ensure(CREATE, NO_STREAM, refusal(10065), NO_STREAM).addErrback(lambda failure: None)

        self.assertEqual(left_in_cycles(fail), [])

    def test_other_errors(self) -> None:
        self.failureResultOf(self.ensure(CREATE, refusal(10039)), JetStreamUnavailableError)
        self.failureResultOf(self.ensure(CREATE, NO_STREAM, refusal(10052)), InvalidConfigError)


class ConsumerTests(ApiTestCase):
    """A consumer that the settings name."""

    def ensure(self, may: Permission, *answers: object, **options: Any) -> Deferred[Any]:
        """Ensure a consumer, with these answers of the server."""
        config = ConsumerConfig(durable_name="billing", ack_policy="explicit", **options)
        asked = self.ask(ensure_consumer(self.api, "calls", config, may))
        self.requests = [self.memory.answer(answer) for answer in answers]
        return asked

    def test_there(self) -> None:
        for may in (NOTHING, CREATE, UPDATE):
            info = self.successResultOf(self.ensure(may, CONSUMER, ack_wait=30.0))
            self.assertEqual((info.num_pending, len(self.requests)), (3, 1))

    def test_missing(self) -> None:
        for may in (NOTHING, UPDATE):
            self.failureResultOf(self.ensure(may, NO_CONSUMER), ConsumerNotFoundError)
        self.failureResultOf(self.ensure(CREATE, NO_STREAM), StreamNotFoundError)
        self.successResultOf(self.ensure(CREATE, NO_CONSUMER, CONSUMER))
        method, request = self.requests[1]
        self.assertEqual((method, request["action"]), ("CONSUMER.CREATE.calls.billing", "create"))
        self.assertEqual(request["config"], {"name": "billing", "durable_name": "billing", "ack_policy": "explicit"})

    def test_differs(self) -> None:
        failed = self.ensure(CREATE, CONSUMER, ack_wait=5.0)
        error = self.failureResultOf(failed, ConfigDiffersError).value
        self.assertIn("consumer calls:billing differs from the settings: ack_wait is 30 at the server", str(error))
        self.assertIn("jetstream_update", error.remedy)
        self.successResultOf(self.ensure(UPDATE, CONSUMER, CONSUMER, ack_wait=5.0))
        method, request = self.requests[1]
        self.assertEqual((method, request["action"]), ("CONSUMER.CREATE.calls.billing", "update"))
        self.assertEqual(request["config"], {**CONSUMER["config"], "ack_wait": 5_000_000_000})

    def test_another_process_was_faster(self) -> None:
        exists = refusal(10148)
        self.successResultOf(self.ensure(CREATE, NO_CONSUMER, exists, CONSUMER))
        self.failureResultOf(self.ensure(CREATE, NO_CONSUMER, exists, CONSUMER, max_deliver=7), ConfigDiffersError)
