"""natsroute.routes.event"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.errors import DecodeError, MisuseError, NatsrouteError, NoReplySubjectError
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.wire.frames import Address


class EventTests(SynchronousTestCase):
    """What a route gets."""

    def setUp(self) -> None:
        self.published: list[tuple[Any, ...]] = []

    def publish(self, subject: str, payload: object, reply: Any = None, headers: Any = None, **how: Any) -> Any:
        message = subject, payload, reply, headers
        self.published.append((*message, how) if how else message)
        return succeed(None)

    def event(self, data: bytes = b"", reply: str | None = None, headers: bytes = b"") -> Event:
        context = EventContext(self.publish, Clock(), RouteCounters("nats:a.*"), "q")
        return Event.of_message(context, Address("a.b", 1), data, headers, None if reply is None else reply.encode())

    def test_attributes(self) -> None:
        event = self.event(b"hi", "r")
        self.assertEqual(
            (event.name, event.subject, event.data, event.reply, event.queue_group, event.server),
            ("nats:a.*", "a.b", b"hi", "r", "q", None),
        )

    def test_sending_with(self) -> None:
        """Everything else of the context is kept, whatever fields it has."""
        fields = {field.name: object() for field in attrs.fields(EventContext)}
        context: Any = EventContext(**fields)  # type: ignore[arg-type]
        changed = {name: object() for name in ("publish", "requests", "answer", "span")}
        other = context.sending_with(*changed.values())
        self.assertEqual({name: getattr(other, name) for name in fields}, {**fields, **changed})

    def test_binary_payload(self) -> None:
        """It is complete, NUL bytes included."""
        self.assertEqual(self.event(b"a\0b\r\n\xff").data, b"a\0b\r\n\xff")

    def test_headers(self) -> None:
        event = self.event(b"hi", headers=b"NATS/1.0\r\nN: v\r\n\r\n")
        self.assertEqual((event.headers["N"], event.data), ("v", b"hi"))
        self.assertEqual(dict(self.event().headers), {})

    def test_text_and_json(self) -> None:
        self.assertEqual(self.event("grüße".encode()).text(), "grüße")
        self.assertEqual(self.event(b'{"a": [1]}').json(), {"a": [1]})

    def test_neither_text_nor_json(self) -> None:
        error = self.assertRaises(DecodeError, self.event(b"ab\xff").text)
        self.assertEqual(str(error), "the payload on a.b is not UTF-8: byte 0xff at position 2")
        for data in (b"", b"{", b"\xff", b"[" * 100_000):
            self.assertIn("not JSON", str(self.assertRaises(DecodeError, self.event(data).json)))

    def test_without_expressions(self) -> None:
        """Events that a program makes itself, as in a test, have nothing that evaluates them."""
        self.assertRaises(MisuseError, self.event().pv, "$natsData")
        self.assertRaises(MisuseError, self.event().format, "text")

    def test_variables_without_expressions(self) -> None:
        self.assertRaises(MisuseError, self.event().reset_variables)
        self.assertRaises(MisuseError, lambda: self.event().variables)

    def test_variables_are_no_cost(self) -> None:
        """They are made for the first expression, and an event without expressions has none."""
        self.assertFalse(hasattr(self.event(), "_variables"))
        self.assertFalse(hasattr(self.event(), "__dict__"))

    def test_publish(self) -> None:
        """nats_publish is the same, under Kamailio's name."""
        self.event().publish("s", b"p", "r", {"N": "v"})
        self.event().nats_publish("s", b"p")
        self.event().publish("s", b"p", policy="fail")
        self.assertEqual(
            self.published,
            [
                ("s", b"p", "r", {"N": "v"}),
                ("s", b"p", None, None),
                ("s", b"p", None, None, {"policy": "fail"}),
            ],
        )

    def test_respond(self) -> None:
        self.event(reply="inbox").respond({"a": 1}, {"N": "v"})
        self.assertEqual(self.published, [("inbox", {"a": 1}, None, {"N": "v"})])

    def test_respond_with_options(self) -> None:
        self.event(reply="inbox").respond(b"", policy="fail", msg_id="1")
        self.assertEqual(self.published, [("inbox", b"", None, None, {"policy": "fail", "msg_id": "1"})])

    def test_respond_without_a_reply_subject(self) -> None:
        error = self.failureResultOf(self.event().respond(b""), NoReplySubjectError).value
        self.assertEqual(str(error), "the message to a.b has no reply subject")

    def test_a_rejected_answer(self) -> None:
        """The publisher counts it, and logs it if nobody handles the failure."""
        rejected: list[NatsrouteError] = []

        def reject(error: NatsrouteError) -> Deferred[None]:
            rejected.append(error)
            return succeed(None)

        event = self.event()
        event.context = attrs.evolve(event.context, reject=reject)
        self.successResultOf(event.respond(b""))
        self.assertEqual([str(error) for error in rejected], ["the message to a.b has no reply subject"])
        self.assertEqual(self.published, [])

    def test_of_connection(self) -> None:
        context = EventContext(self.publish, Clock(), RouteCounters("nats:connected"), "q", "nats://a:4222")
        event = Event.of_connection(context)
        self.assertEqual(
            (event.name, event.server, event.subject, event.data, event.reply, event.queue_group),
            ("nats:connected", "nats://a:4222", "", b"", None, "q"),
        )

    def test_repr_has_no_payload(self) -> None:
        """A payload may hold secrets, and logs are kept."""
        self.assertEqual(repr(self.event(b"secret")), "<Event nats:a.* subject='a.b', 6 bytes>")
