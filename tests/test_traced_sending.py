"""natsroute.monitoring.traced_sending"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute import Event
from natsroute.errors import NoRespondersError, PayloadTooLargeError
from natsroute.monitoring.sampling import Sampling
from natsroute.monitoring.tracing import Tracing
from natsroute.wire.frames import Address
from natsroute.wire.headers import encode_headers
from tests.support.spans import traceparent
from tests.test_tracing import UNSAMPLED, TracingTestCase, is_child


class SendingTestCase(TracingTestCase):
    """A route that asks and answers; the test keeps what it sends."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[tuple[Any, ...]] = []
        self.answered: list[tuple[Any, ...]] = []
        self.answers: list[Deferred[Any]] = []

    def request(self, *arguments: Any, **until: Any) -> Deferred[Any]:
        self.asked.append((*arguments, *sorted(until.items())))
        self.answers.append(Deferred())
        return self.answers[-1]

    request_many = request

    def answer(self, reply: str, payload: object, headers: Any = None) -> None:
        if payload == b"too large":
            raise PayloadTooLargeError(10, 5)
        self.answered.append((reply, payload, headers))

    def context(self, **others: Any) -> Any:
        return super().context(requests=self, answer=self.answer, **others)

    def deliver(self, **headers: str) -> None:
        """A message with a reply subject."""
        block = encode_headers(headers) if headers else b""
        self.runner().on_msg(Event(Address("a.b", 1), b"", block, b"_INBOX.x.1"))


class AnswerTests(SendingTestCase):
    """Answers without a confirmation."""

    def test_respond(self) -> None:
        self.event_route("nats:a.b")(lambda event: event.respond(b"x", {"A": "b"}, confirm=False))
        self.deliver()
        span = self.spans.one("publish")
        self.assertTrue(is_child(span, self.spans.one("process a.b")))
        self.assertEqual(self.answered, [("_INBOX.x.1", b"x", {"A": "b", "traceparent": traceparent(span)})])

    def test_a_route_that_responds(self) -> None:
        self.event_route("nats:a.b", responds=True)(lambda event: b"x")
        self.deliver()
        self.assertEqual(self.answered, [("_INBOX.x.1", b"x", {"traceparent": traceparent(self.spans.one("publish"))})])

    def test_failure(self) -> None:
        """The call has failed, and so has its first answer."""
        self.event_route("nats:a.b", responds=True)(lambda event: "too large")
        self.deliver()
        self.assertEqual([len(one.events) for one in self.spans.ended], [1, 0, 1])
        self.assertEqual(self.answered[0][2]["Nats-Service-Error-Code"], "500")

    def test_untraced(self) -> None:
        """The parent of the message is passed on."""
        self.tracing = Tracing(self.spans.provider, Sampling(0.0), lambda subject: self.target)
        self.event_route("nats:a.b", responds=True)(lambda event: b"x")
        self.deliver(traceparent=UNSAMPLED)
        self.deliver()
        self.assertEqual([headers for _, _, headers in self.answered], [{"traceparent": UNSAMPLED}, None])
        self.assertEqual(self.spans.ended, [])


class RequestTests(SendingTestCase):
    """Requests, whose spans end with the answer."""

    def test_request(self) -> None:
        self.event_route("nats:a.b")(lambda event: event.request("billing", {"a": 1}, 2.0))
        self.deliver()
        self.assertEqual(self.spans.names, [])
        self.answers[0].callback("answer")
        span = self.spans.one("publish billing")
        self.assertTrue(is_child(span, self.spans.one("process a.b")))
        self.assertEqual(self.asked, [("billing", b'{"a":1}', 2.0, {"traceparent": traceparent(span)})])

    def test_request_many(self) -> None:
        self.event_route("nats:a.b")(lambda event: event.request_many("nodes", stall=0.5))
        self.deliver()
        self.answers[0].callback([])
        headers = {"traceparent": traceparent(self.spans.one("publish nodes"))}
        self.assertEqual(self.asked, [("nodes", b"", 5.0, headers, ("stall", 0.5))])

    def test_failure(self) -> None:
        self.event_route("nats:a.b")(lambda event: event.request("billing"))
        self.deliver()
        self.answers[0].errback(NoRespondersError("billing"))
        attributes = self.spans.one("publish billing").attributes or {}
        self.assertEqual(attributes["error.type"], "natsroute.errors.NoRespondersError")

    def test_untraced(self) -> None:
        self.tracing = Tracing(self.spans.provider, Sampling(0.0), lambda subject: self.target)
        self.event_route("nats:a.b")(lambda event: event.request("billing", b"", 1.0, {"A": "b"}))
        self.deliver(traceparent=UNSAMPLED)
        self.deliver()
        self.assertEqual(
            [headers for _, _, _, headers in self.asked], [{"A": "b", "traceparent": UNSAMPLED}, {"A": "b"}]
        )

    def test_program(self) -> None:
        """The current span is the parent; without one, the sampling decides."""
        requests: Any = self.tracing.requests(self)
        with self.spans.provider.get_tracer("test").start_as_current_span("work"):
            requests.request("billing").callback("answer")
        self.assertTrue(is_child(self.spans.one("publish billing"), self.spans.one("work")))
        requests.request_many("nodes", b"", 1.0, None, max_messages=2).callback([])
        self.assertIsNone(self.spans.one("publish nodes").parent)
        self.assertEqual(self.asked[1][-1], ("max_messages", 2))
