"""natsroute.routes.stream_message: what the events of a stream say of it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event
from natsroute.errors import MisuseError, NoReplySubjectError
from natsroute.routes.event import EventContext
from tests.support.route_cases import an_event

#: 2026-11-26 21:00:00.000001 UTC, with nanoseconds that no datetime has.
STORED = 1_795_726_800_000_001_999
ACK = b"$JS.ACK.CALLS.billing.3.17.21.%d.5" % STORED


class Calls:
    """An acknowledgement that writes down what it is asked."""

    redelivers = True

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda msg, *arguments: self.asked.append((name, msg.sequence, *arguments))


def of_stream(acknowledgement: Any, reply_to: bytes | None = ACK) -> Event:
    """An event of a JetStream consumer."""
    event = an_event()
    event.reply_to = reply_to
    event.context = attrs.evolve(event.context, acknowledgement=acknowledgement)
    return event


class StreamMessageTests(SynchronousTestCase):
    """Events of a stream, and others."""

    def test_what_the_stream_says(self) -> None:
        for subject in (ACK, ACK.replace(b"$JS.ACK.", b"$JS.ACK.hub.h4sh.") + b".token"):
            event = of_stream(Calls(), subject)
            self.assertEqual((event.stream, event.consumer), ("CALLS", "billing"))
            self.assertEqual((event.delivered, event.sequence, event.pending), (3, 17, 5))
            self.assertEqual(event.timestamp, datetime(2026, 11, 26, 21, 0, 0, 1, timezone.utc))
            self.assertEqual(event.attempts, 3)

    def test_any_other_message(self) -> None:
        """Whatever its reply subject is: only the context tells, and a publisher may write what it wants."""
        for event in (of_stream(None), of_stream(Calls(), b"an.inbox")):
            self.assertEqual(
                (event.stream, event.consumer, event.delivered, event.sequence, event.pending, event.timestamp),
                (None,) * 6,
            )
            self.assertEqual(event.attempts, 1)
        self.assertEqual(of_stream(None).reply, ACK.decode())

    def test_without_a_context(self) -> None:
        """As the parser makes it."""
        made = an_event()
        event = Event(made.address, b"", b"", b"an.inbox")
        self.assertEqual((event.reply, event.stream), ("an.inbox", None))

    def test_no_answer(self) -> None:
        """Nobody waits for one; the reply subject is for acknowledgements."""
        event = of_stream(Calls())
        self.assertIsNone(event.reply)
        self.failureResultOf(event.respond(b"x"), NoReplySubjectError)

    def test_acknowledging(self) -> None:
        calls = Calls()
        event = of_stream(calls)
        event.in_progress()
        event.ack()
        event.nak()
        event.nak(2.5)
        event.term("no such account")
        self.assertEqual(
            calls.asked,
            [
                ("in_progress", 17),
                ("ack", 17),
                ("nak", 17, None),
                ("nak", 17, 2.5),
                ("term", 17, "no such account"),
            ],
        )

    def test_nothing_to_acknowledge(self) -> None:
        event = of_stream(None)
        for method in (event.ack, event.nak, event.term, event.in_progress):
            self.assertRaises(MisuseError, method)

    def test_a_traced_call_acknowledges_the_same_way(self) -> None:
        """The context of an event with a span."""
        calls: Any = Calls()
        context: EventContext = of_stream(calls).context
        self.assertIs(context.sending_with(context.publish, context.requests, None, "a span").acknowledgement, calls)
