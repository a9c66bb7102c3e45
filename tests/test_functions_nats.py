"""natsroute.kamailio.script.functions.nats"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.errors import SubjectError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.testing import RouteTester
from natsroute.wire.frames import Address
from tests.support.functions import Bare, call
from tests.support.log_recorder import LogRecorder
from tests.support.memory_publisher import PublisherTestCase


class PublishTests(SynchronousTestCase):
    """``nats_publish``, called in a route."""

    def publish(self, *written: Any, payload: bytes = b"payload") -> RouteTester:
        """What a call publishes."""
        routes = EventRoutes()
        results: list[int] = []

        @routes("nats:in")
        def route(event: Event) -> None:
            results.append(call(Evaluation(event, EventVariables(ConsumerVariables())), "nats_publish", *written))

        tester = RouteTester(routes)
        self.successResultOf(tester.deliver("in", payload))
        self.assertEqual(results, [1])
        return tester

    def published(self, *written: Any, payload: bytes = b"payload") -> list[tuple[str, Any, str | None]]:
        """Subject, payload and reply subject of each message."""
        published = self.publish(*written, payload=payload).published
        return [(one.subject, one.data, one.reply) for one in published]

    def test_two_arguments(self) -> None:
        """Both are expanded, or are variables."""
        self.assertEqual(self.published("out", "$natsData!"), [("out", b"payload!", None)])
        self.assertEqual(self.published("$(rm{s.tolower}).x", Bare("$natsData")), [("options.x", b"payload", None)])

    def test_three_arguments(self) -> None:
        """An empty reply subject is none."""
        self.assertEqual(self.published("out", "x", "reply.$rm"), [("out", b"x", "reply.OPTIONS")])
        self.assertEqual(self.published("out", "x", ""), [("out", b"x", None)])
        self.assertEqual(self.published("out", "x", Bare("$null")), [("out", b"x", None)])

    def test_binary(self) -> None:
        """The payload goes out as it came in; what looks like a variable in it is not expanded."""
        data = b"\0\xff$var(x)\r\n"
        self.assertEqual(self.published("out", Bare("$natsData"), payload=data), [("out", data, None)])

    def test_empty(self) -> None:
        """A payload may be empty."""
        self.assertEqual(self.published("out", ""), [("out", b"", None)])

    def test_failure(self) -> None:
        """The result is 1 also if the message cannot be published: its Deferred fails, and nobody handles that."""
        for subject in ("", "a b", "a..b", Bare("$natsData")):
            self.assertEqual(self.publish(subject, "x", payload=b"\xff.\x1b").published, [])
            gc.collect()
            self.assertEqual(len(self.flushLoggedErrors(SubjectError)), 1, subject)

    def test_does_not_wait(self) -> None:
        """The result is there before the message is sent."""
        evaluation = make_pending()
        self.assertEqual(call(evaluation, "nats_publish", "out", "x"), 1)


def make_pending() -> Evaluation:
    """The evaluation of an event whose messages are never confirmed."""

    def publish(*arguments: object, **named: object) -> Deferred[None]:
        return Deferred()

    event = Event.of_message(EventContext(publish, Clock(), RouteCounters("nats:in")), Address("in", 1), b"")
    return Evaluation(event, EventVariables(ConsumerVariables()))


class FailureLogTests(PublisherTestCase):
    """What the log says of messages that a script could not publish."""

    def test_logged(self) -> None:
        """With the subject and the event route, without the payload; nobody waits for it."""
        recorder = LogRecorder(self)
        context = EventContext(self.publisher.publish_for("nats:in"), self.clock, RouteCounters("nats:in"))
        event = Event.of_message(context, Address("in", 1), b"secret")
        evaluation = Evaluation(event, EventVariables(ConsumerVariables()))
        self.assertEqual(call(evaluation, "nats_publish", "not allowed", Bare("$natsData")), 1)
        self.assertEqual(call(evaluation, "nats_publish", Bare("$null"), Bare("$natsData")), 1)
        gc.collect()
        lines = recorder.lines("error")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("nats:in", lines[0])
        self.assertIn("not allowed", lines[0])
        self.assertNotIn("secret", "".join(recorder.lines()))
