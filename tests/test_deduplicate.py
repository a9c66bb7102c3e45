"""natsroute.routes.middleware.deduplicate"""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Hashable
from typing import Any

from natsroute import Event
from natsroute.errors import RouteError
from natsroute.middleware import deduplicate
from natsroute.routes.middleware.deduplicate import message_id
from natsroute.wire.frames import Address
from tests.support.route_cases import MiddlewareTestCase


class DeduplicateTests(MiddlewareTestCase):
    """deduplicate()"""

    def test_the_same_message(self) -> None:
        """By its id; without one, by subject and payload."""
        tester = self.make(deduplicate())
        for payload, headers in [
            (b"1", {"Nats-Msg-Id": "x"}),
            (b"2", {"Nats-Msg-Id": "x"}),
            (b"1", None),
            (b"1", None),
            (b"2", None),
        ]:
            self.successResultOf(tester.deliver("a", payload, headers=headers))
        self.assertEqual([event.data for event in self.events], [b"1", b"1", b"2"])

    def test_memory(self) -> None:
        """Payloads and long keys are not kept, only hashes of them."""
        for options in ({}, {"key": lambda event: event.data}, {"key": lambda event: event.text()}):
            tester = self.make(deduplicate(**options))
            self.events.clear()
            tracemalloc.start()
            try:
                for number in [*range(20), 0, 1]:
                    tester.deliver("a", b"%d" % number * 100_000)
                handled = len(self.events)
                self.events.clear()
                gc.collect()
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertEqual(handled, 20)
            self.assertLess(held, 1_000_000)

    def test_subject_and_payload(self) -> None:
        """Their bytes cannot be moved from one to the other, and are all looked at."""
        messages = [("ab", b"c"), ("a", b"bc"), ("a", b"b" * 65), ("ab", b"b" * 64), ("a", b""), ("\udcff", b"")]
        ids = {message_id(Event(Address(subject, 1), data)) for subject, data in messages for _ in range(2)}
        self.assertEqual(len(ids), len(messages))

    def test_long_strings_and_bytes(self) -> None:
        """They differ, as in a dict."""
        keys: list[Hashable] = ["x" * 100, b"x" * 100, "x" * 100]
        tester = self.make(deduplicate(key=lambda event: keys[len(event.data)]))
        for number in range(3):
            tester.deliver("a", b"." * number)
        self.assertEqual(len(self.events), 2)

    def test_seconds(self) -> None:
        tester = self.make(deduplicate(key=lambda event: 1, seconds=10))
        for advance, calls in [(0, 1), (9, 1), (1, 2), (9, 2)]:
            tester.clock.advance(advance)
            tester.deliver("a")
            self.assertEqual(len(self.events), calls)

    def test_max_messages(self) -> None:
        tester = self.make(deduplicate(key=lambda event: event.data, max_messages=2))
        for data in (b"1", b"2", b"2", b"3", b"1"):
            tester.deliver("a", data)
        self.assertEqual([event.data for event in self.events], [b"1", b"2", b"3", b"1"])

    def test_max_messages_of_one(self) -> None:
        """The last message is remembered."""
        tester = self.make(deduplicate(key=lambda event: event.data, max_messages=1))
        for data in (b"1", b"1", b"2", b"2", b"1"):
            tester.deliver("a", data)
        self.assertEqual([event.data for event in self.events], [b"1", b"2", b"1"])

    def test_each_clock_by_itself(self) -> None:
        """A test finds nothing of the test before, and two testers do not affect each other."""
        one = deduplicate()
        for tester in (first := self.make(one), second := self.make(one), first, second):
            self.successResultOf(tester.deliver("a"))
        self.assertEqual(len(self.events), 2)

    def test_a_clock_that_is_gone(self) -> None:
        """The clock is not kept, and what was remembered for it is forgotten when the next clock comes."""
        remembered: list[weakref.ref[Any]] = []

        def key(event: Event) -> Hashable:
            found = type("Key", (), {})()  # a plain object has no weak references
            remembered.append(weakref.ref(found))
            return found

        one = deduplicate(key=key)
        first, second = self.make(one), self.make(one)
        self.successResultOf(first.deliver("a"))
        clock = weakref.ref(first.clock)
        self.events.clear()
        del first
        gc.collect()
        self.assertIs(clock(), None)
        self.successResultOf(second.deliver("a"))
        gc.collect()
        self.assertEqual([reference() is None for reference in remembered], [True, False])

    def test_connection_events(self) -> None:
        """None is skipped: a connection that comes up again is news."""
        tester = self.make(middleware_of_all=[deduplicate()])
        self.successResultOf(tester.connected())
        self.successResultOf(tester.connected())
        self.assertEqual(len(self.events), 2)

    def test_a_message_that_failed(self) -> None:
        """It is handled again."""
        self.results = [ValueError()]
        tester = self.make(deduplicate())
        self.failureResultOf(tester.deliver("a"), ValueError)
        self.successResultOf(tester.deliver("a"))
        self.assertEqual(len(self.events), 2)

    def test_arguments(self) -> None:
        """Both are numbers above 0."""
        for name in ("seconds", "max_messages"):
            error = self.assertRaises(RouteError, deduplicate, **{name: 0})
            self.assertEqual(str(error), f"{name} = 0; it must be a number above 0")
