"""natsroute.hot: both implementations do the same."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from random import Random
from threading import Thread, get_ident
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest, SynchronousTestCase

try:
    import _testcapi
except ImportError:
    _testcapi = None  # not every CPython has it

from natsroute import hot
from natsroute.confirmation import Confirmation, new_confirmation_class
from natsroute.hot import pure
from natsroute.publishing.outlet import _encode
from natsroute.wire.encoder import encode_reply, split_pubs
from natsroute.wire.frames import Address, Msg
from tests.support.garbage import collect_all
from tests.support.growth import FEW, MANY, growth
from tests.support.hot_case import HotCase, for_both


class ChoiceTests(SynchronousTestCase):
    """The names of the package."""

    def test_names(self) -> None:
        for name in hot.__all__:
            if name not in ("IMPLEMENTATION", "describe"):
                self.assertTrue(hasattr(pure, name), name)
                self.assertEqual(getattr(hot, name) is getattr(pure, name), hot.IMPLEMENTATION == "pure", name)


class Event(Msg):
    """A message with a context, as events have."""

    __slots__ = ("context",)
    context: Any


class Exit(BaseException):
    """What is not an Exception."""


class ReaderTests(HotCase):
    """Reader"""

    def setUp(self) -> None:
        self.got: list[Any] = []
        self.receivers: dict[int, Callable[[Any], object]] = {1: self.got.append}

    def reader(self, message_type: Any = Msg, max_line: int = 4096, max_payload: int = 1000) -> Any:
        return self.hot.Reader(message_type, Address, self.receivers, max_line, max_payload)

    def taught(self, *lines: bytes, **options: Any) -> Any:
        """A reader that has learned these lines. (The compiled one has nothing to learn.)"""
        reader = self.reader(**options)
        for line in lines:
            words = line.split()
            has_headers = words[0] == b"HMSG"
            address = Address(words[1].decode("utf-8", "surrogateescape"), int(words[2]))
            size, header_size = int(words[-1]), int(words[-2]) if has_headers else 0
            reader.learn(line, words, address, header_size, size, has_reply=len(words) - has_headers == 5)
        return reader

    def read(self, reader: Any, data: bytes, position: int = 0) -> tuple[int, int]:
        self.assertIs(reader.deliver(data, position), None)
        return reader.position, reader.wanted

    def values(self) -> list[tuple[Any, ...]]:
        return [(one.subject, one.address.sid, one.data, one.header_block, one.reply_to) for one in self.got]

    def test_plain(self) -> None:
        reader = self.taught(b"MSG a.b 1 2\r\n")
        data = b"MSG a.b 1 2\r\nhi\r\nMSG a.b 1 2\r\nho\r\n"
        self.assertEqual(self.read(reader, data), (len(data), 0))
        self.assertEqual(self.values(), [("a.b", 1, b"hi", b"", None), ("a.b", 1, b"ho", b"", None)])
        for one in self.got:
            self.assertIs(type(one), Msg)
            self.assertIs(type(one.address), Address)
            self.assertEqual(list(one.headers), [])

    def test_position(self) -> None:
        """It begins where it is told to."""
        data = b"PING\r\nMSG a 1 1\r\nx\r\n"
        self.assertEqual(self.read(self.taught(b"MSG a 1 1\r\n"), data, 6), (len(data), 0))
        self.assertEqual(len(self.got), 1)

    def test_reply(self) -> None:
        reader = self.taught(b"MSG a 1 r 2\r\n")
        data = b"MSG a 1 r.1 2\r\nhi\r\nMSG a 1 \xff 2\r\nho\r\n"
        self.assertEqual(self.read(reader, data), (len(data), 0))
        self.assertEqual(self.values(), [("a", 1, b"hi", b"", b"r.1"), ("a", 1, b"ho", b"", b"\xff")])

    def test_answers(self) -> None:
        """The subject of each is a new one."""
        reader = self.taught(b"MSG _INBOX.a.1 1 2\r\n")
        data = b"MSG _INBOX.a.2 1 2\r\nhi\r\nMSG _INBOX.a.3 1 2\r\nho\r\n"
        self.assertEqual(self.read(reader, data), (len(data), 0))
        self.assertEqual([one.subject for one in self.got], ["_INBOX.a.2", "_INBOX.a.3"])

    def test_headers(self) -> None:
        block = b"NATS/1.0\r\nA: b\r\n\r\n"
        reader = self.taught(b"HMSG a 1 %d %d\r\n" % (len(block), len(block) + 2), b"HMSG a 1 0 2\r\n")
        line = b"HMSG a 1 %d %d\r\n" % (len(block), len(block) + 2)
        data = line + block + b"hi\r\n" + b"HMSG a 1 r %d %d\r\n" % (len(block), len(block) + 2) + block + b"ho\r\n"
        self.assertEqual(self.read(reader, data), (len(data), 0))
        self.assertEqual(self.values(), [("a", 1, b"hi", block, None), ("a", 1, b"ho", block, b"r")])
        self.assertEqual(self.got[0].headers["A"], "b")
        self.got.clear()
        self.assertEqual(self.read(reader, b"HMSG a 1 0 2\r\nhi\r\n"), (18, 0))
        self.assertEqual(self.values(), [("a", 1, b"hi", b"", None)])

    def test_names_that_are_not_utf8(self) -> None:
        reader = self.taught(b"MSG \xff\xfe 1 0\r\n")
        for name in (b"\xff\xfe", b"\xfc", "grüße".encode()):
            data = b"MSG %b 1 0\r\n\r\n" % name
            self.assertEqual(self.read(reader, data), (len(data), 0))
            self.assertEqual(self.got.pop().subject, name.decode("utf-8", "surrogateescape"))

    def test_cut_anywhere(self) -> None:
        """It stops where the unfinished message begins, and does not want more bytes than that has."""
        block = b"NATS/1.0\r\n\r\n"
        reader = self.taught(b"MSG a 1 2\r\n", b"HMSG a 1 r 12 14\r\n")
        first, second = b"MSG a 1 2\r\nhi\r\n", b"HMSG a 1 r 12 14\r\n" + block + b"ho\r\n"
        data = first + second
        for stop in range(len(data)):
            self.got.clear()
            position, wanted = self.read(reader, data[:stop])
            done = stop >= len(first)
            self.assertEqual(position, len(first) if done else 0, stop)
            self.assertEqual(len(self.got), int(done), stop)
            message = second if done else first
            self.assertIn(wanted, (0, len(message)), stop)
            line_end = position + message.index(b"\n")
            if stop > line_end:
                self.assertEqual(wanted, len(message), stop)
            else:
                self.assertEqual(wanted, 0, stop)

    def test_no_bytes(self) -> None:
        self.assertEqual(self.read(self.reader(), b""), (0, 0))
        self.assertEqual(self.read(self.reader(), b"PING\r\n", 6), (6, 0))

    def test_what_is_not_plain(self) -> None:
        """It stops in front of it; the parser does the rest."""
        good = b"MSG a 1 2\r\nhi\r\n"
        reader = self.taught(b"MSG a 1 2\r\n", b"HMSG a 1 12 14\r\n", b"MSG a 1 r 2\r\n")
        for odd in [
            b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'x'\r\n", b"INFO {}\r\n", b"\r\n", b"\n", b"X\r\n",
            b"msg a 1 2\r\nhi\r\n", b"MSG\ta 1 2\r\nhi\r\n", b"MSG a\t1 2\r\nhi\r\n", b"MSG a 1\t2\r\nhi\r\n",
            b"MSG a 1 \tr 2\r\nhi\r\n", b"MSG a 1 r\t2\r\nhi\r\n", b"MSG  a 1 2\r\nhi\r\n", b"MSG a  1 2\r\nhi\r\n",
            b" MSG a 1 2\r\nhi\r\n", b"MSG a 1 2 \r\nhi\r\n", b"MSG a 1 2\nhi\r\n", b"MSG a 1 2\r\nhiho\r\n",
            b"MSG a 1 2\r\nh\r\n\r\n",
            b"MSG a 1 2\r\nhi\n\n", b"MSG a 1 -2\r\nhi\r\n", b"MSG a 1 +2\r\nhi\r\n",
            b"MSG a 1 2_0\r\n" + b"x" * 20 + b"\r\n",
            b"MSG a x 2\r\nhi\r\n", b"MSG a 1 r s 2\r\nhi\r\n", b"MSG a 1\r\n\r\n", b"MSG a\r\n", b"MSG \r\n",
            b"MSG a 1 \r\n\r\n",
            b"HMSG a 1 2\r\nhi\r\n", b"HMSG a 1 15 14\r\nNATS/1.0\r\n\r\nhi\r\n", b"MSG a 1 \xb2\r\nhi\r\n",
            b"MSG a 1 99999999999999999999\r\n", b"HMSG a 1 x 14\r\nNATS/1.0\r\n\r\nhi\r\n", b"XMSG a 1 2\r\nhi\r\n",
        ]:  # fmt: skip
            self.got.clear()
            self.assertEqual(self.read(reader, good + odd + good), (len(good), 0), odd)
            self.assertEqual(len(self.got), 1, odd)

    def test_kept_messages(self) -> None:
        """What a receiver keeps stays as it is, and a message has nothing of the one before."""
        kept: list[Event] = []
        seen: list[tuple[bool, bool]] = []

        def receive(msg: Event) -> None:
            seen.append((hasattr(msg, "context"), hasattr(msg, "_parsed")))
            msg.context = msg.data
            self.assertEqual(list(msg.headers), [])
            if int(msg.data) % 3 == 0:
                kept.append(msg)

        self.receivers[1] = receive
        reader = self.taught(b"MSG a.0 1 1\r\n", message_type=Event)
        self.read(reader, b"".join(b"MSG a.%d 1 1\r\n%d\r\n" % (number % 2, number) for number in range(10)))
        self.assertEqual(seen, [(False, False)] * 10)
        self.assertEqual(
            [(one.subject, one.data, one.context) for one in kept],
            [("a.0", b"0", b"0"), ("a.1", b"3", b"3"), ("a.0", b"6", b"6"), ("a.1", b"9", b"9")],
        )
        self.assertEqual(len({id(one) for one in kept}), 4)

    def test_what_a_message_had_is_released(self) -> None:
        """It is released before the next message is read."""

        class Value:
            """What can be watched."""

        watched: list[weakref.ref[Value]] = []

        def receive(msg: Event) -> None:
            self.assertEqual([one() for one in watched], [None] * len(watched))
            msg.context = Value()
            watched.append(weakref.ref(msg.context))

        self.receivers[1] = receive
        reader = self.taught(b"MSG a 1 1\r\n", message_type=Event)
        self.read(reader, b"MSG a 1 1\r\nx\r\n" * 5)
        self.assertEqual(len(watched), 5)

    def test_unknown_sid(self) -> None:
        """It stops in front of the message: the parser yields it."""
        good = b"MSG a 1 0\r\n\r\n"
        reader = self.taught(b"MSG a 1 0\r\n", b"MSG a 2 0\r\n")
        self.assertEqual(self.read(reader, good + b"MSG a 2 0\r\n\r\n" + good), (len(good), 0))
        self.assertEqual(len(self.got), 1)

    def test_limits(self) -> None:
        """A payload or header block above its limit, and a line above it, are not plain."""
        for size, header_size in [(11, 0), (23, 11), (22, 11), (12, 1)]:
            line = b"HMSG a 1 %d %d\r\n" % (header_size, size) if header_size else b"MSG a 1 %d\r\n" % size
            reader = self.taught(line, max_payload=10)
            self.assertEqual(self.read(reader, line + b"x" * size + b"\r\n"), (0, 0), line)
        for size, header_size in [(10, 0), (20, 10), (11, 1)]:
            line = b"HMSG a 1 %d %d\r\n" % (header_size, size) if header_size else b"MSG a 1 %d\r\n" % size
            reader = self.reader(max_payload=10)
            position, _ = self.read(reader, line + b"x" * size + b"\r\n")
            self.assertIn(position, (0, len(line) + size + 2), "a reader that has learned nothing may stop")
        line = b"MSG %b 1 0\r\n" % (b"s" * 50)
        reader = self.taught(line, max_line=len(line) - 1)
        self.assertEqual(self.read(reader, line + b"\r\n"), (0, 0))
        reader = self.taught(line, max_line=len(line))
        self.assertEqual(self.read(reader, line + b"\r\n"), (len(line) + 2, 0))

    def test_many_lines(self) -> None:
        """More than are remembered."""
        reader = self.taught(b"MSG a.0 1 1\r\n")
        data = b"".join(b"MSG a.%d 1 1\r\nx\r\n" % number for number in [*range(3000), *range(3000)])
        self.assertEqual(self.read(reader, data), (len(data), 0))
        self.assertEqual([one.subject for one in self.got], [f"a.{number}" for number in range(3000)] * 2)
        long = b"MSG %b 1 1\r\nx\r\n" % (b"s" * 230)
        self.assertEqual(self.read(self.taught(long[:-3]), long * 2)[0], 2 * len(long))

    def test_receivers_that_change(self) -> None:
        """The next message has those that are there then."""
        data = b"MSG a 1 1\r\nx\r\n"
        reader = self.taught(data[:11])

        def forget(msg: Msg) -> None:
            del self.receivers[1]

        self.receivers[1] = forget
        self.assertEqual(self.read(reader, data * 3), (len(data), 0))
        others: list[Msg] = []

        def replace(msg: Msg) -> None:
            self.receivers.clear()
            self.receivers[1] = others.append

        self.receivers[1] = replace
        self.assertEqual(self.read(reader, data * 3), (3 * len(data), 0))
        self.assertEqual(len(others), 2)

        def add_many(msg: Msg) -> None:
            self.receivers.update((number, others.append) for number in range(1, 1000))

        self.receivers[1] = add_many
        self.assertEqual(self.read(reader, data * 3), (3 * len(data), 0))
        self.assertEqual(len(others), 4)

    def test_receiver_that_nobody_else_has(self) -> None:
        """It removes itself while it runs."""
        collect_all()

        class Receiver:
            def __init__(self, receivers: Any) -> None:
                self.receivers = receivers

            def receive(self, msg: Msg) -> None:
                self.receivers.clear()
                gc.collect()
                self.got = msg.data

        data = b"MSG a 1 1\r\nx\r\n"
        receiver = Receiver(self.receivers)
        gone = weakref.ref(receiver)
        self.receivers[1] = receiver.receive
        del receiver
        self.assertEqual(self.read(self.taught(data[:11]), data * 2), (len(data), 0))
        self.assertIs(gone(), None)

    def test_receiver_that_raises(self) -> None:
        """The position is behind its message, so that the parser can continue there."""
        data = b"MSG a 1 1\r\nx\r\n"
        reader = self.taught(data[:11])
        for error in (ZeroDivisionError, KeyboardInterrupt, Exit):

            def raising(msg: Msg, error: Any = error) -> None:
                self.got.append(msg)
                if len(self.got) % 3 == 0:
                    raise error("x")

            self.receivers[1] = raising
            self.got.clear()
            self.assertRaises(error, reader.deliver, data * 4, 0)
            self.assertEqual((reader.position, reader.wanted), (3 * len(data), 0))
            self.assertEqual(self.read(reader, data * 4, 3 * len(data)), (4 * len(data), 0))

    def test_receiver_that_reads(self) -> None:
        """It calls the reader itself, with other bytes."""
        data = b"MSG a 1 1\r\nx\r\n"
        reader = self.taught(data[:11], b"MSG a 2 1\r\n")
        self.receivers[2] = self.got.append

        def reading(msg: Msg) -> None:
            self.got.append(msg)
            reader.deliver(b"MSG a 2 1\r\ny\r\n" * 2, 0)
            self.assertEqual((reader.position, reader.wanted), (28, 0))

        self.receivers[1] = reading
        self.assertEqual(self.read(reader, data * 2), (2 * len(data), 0))
        self.assertEqual(b"".join(one.data for one in self.got), b"xyyxyy")

    def test_message_types(self) -> None:
        """Classes with further attributes, with their own ways to be made, and what is no class."""
        made: list[tuple[Any, ...]] = []

        class InDict(Msg):
            pass

        class OwnInit(Msg):
            def __init__(self, address: Address, data: bytes, header_block: bytes, reply_to: bytes | None) -> None:
                super().__init__(address, data + b"!", header_block, reply_to)

        class OwnNew(Msg):
            def __new__(cls, *arguments: Any) -> Any:
                return (*arguments,)

        class OwnProperty(Msg):
            @property
            def data(self) -> bytes:  # type: ignore[override]
                return self.header_block + b"?"

            @data.setter
            def data(self, value: bytes) -> None:
                made.append((value,))

        class OwnSlot(Msg):
            __slots__ = ("data",)

        line = b"MSG a 1 r 1\r\n"
        for kind in (Event, InDict, OwnInit, OwnNew, OwnProperty, OwnSlot, lambda *arguments: (*arguments,)):
            self.got.clear()
            self.assertEqual(self.read(self.taught(line, message_type=kind), line + b"x\r\n"), (16, 0))
            [one] = self.got
            if isinstance(one, tuple):
                self.assertEqual(one[1:], (b"x", b"", b"r"))
                continue
            self.assertIs(type(one), kind)
            expected = {OwnInit: b"x!", OwnProperty: b"?"}.get(kind, b"x")
            self.assertEqual((one.subject, one.data, one.reply_to), ("a", expected, b"r"))
            self.assertFalse(hasattr(one, "context"))
            self.assertFalse(hasattr(one, "_parsed"))
        self.assertEqual(made, [(b"x",)])

    def test_messages_that_are_kept(self) -> None:
        """No other message changes them; and no message has what was set for another one."""
        line = b"MSG a 1 r 2\r\n"
        kept: list[Any] = []

        def receive(msg: Any) -> None:
            self.assertFalse(hasattr(msg, "context"))
            self.assertFalse(hasattr(msg, "_parsed"))
            self.assertEqual(dict(msg.headers), {})
            msg.context = [msg.data]
            if len(self.got) % 3:
                kept.append(msg)
            self.got.append(msg.data)

        self.receivers[1] = receive
        reader = self.taught(line, b"HMSG a 1 12 14\r\n", message_type=Event)
        data = b"".join(line + b"%02d\r\n" % number for number in range(50))
        data += b"HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n" * 5
        self.assertEqual(self.read(reader, data), (len(data), 0))
        for msg in kept:
            self.assertEqual(msg.context, [msg.data])
        self.assertEqual([msg.data for msg in kept], [one for at, one in enumerate(self.got) if at % 3])
        self.assertEqual(len({id(msg) for msg in kept}), len(kept))

    def test_messages_with_finalizers(self) -> None:
        """Each is dropped on its own."""
        dropped: list[Any] = []

        class Finalized(Event):
            __slots__ = ()

            def __del__(self) -> None:
                dropped.append(self.data)

        class Weak(Event):
            __slots__ = ("__weakref__",)

        line = b"MSG a 1 r 1\r\n"
        data = b"".join(line + b"%d\r\n" % number for number in range(4))
        self.receivers[1] = lambda msg: self.got.append(weakref.ref(msg, dropped.append)) if type(msg) is Weak else None
        for kind in (Finalized, Weak):
            dropped.clear()
            self.assertEqual(self.read(self.taught(line, message_type=kind), data)[0], len(data))
            self.assertEqual(len(dropped), 4)
        self.assertEqual([one() for one in self.got], [None] * 4)

    def test_what_a_message_has_reads_at_its_end(self) -> None:
        """The finalizer of an attribute uses the reader."""
        line = b"MSG a 1 r 1\r\n"
        reader = self.taught(line, b"MSG a 2 r 1\r\n", message_type=Event)
        self.receivers[2] = lambda msg: self.got.append(msg.data)

        class Attribute:
            def __del__(self) -> None:
                reader.deliver(b"MSG a 2 r 1\r\ny\r\n" * 3, 0)

        def receive(msg: Any) -> None:
            self.got.append(msg.data)
            msg.context = Attribute()

        self.receivers[1] = receive
        self.assertEqual(self.read(reader, (line + b"x\r\n") * 3), (48, 0))
        self.assertEqual(b"".join(self.got), b"xyyy" * 3)

    def test_message_in_a_traceback(self) -> None:
        line = b"MSG a 1 r 1\r\n"
        errors: list[BaseException] = []

        def receive(msg: Any) -> None:
            try:
                raise ZeroDivisionError
            except ZeroDivisionError as error:
                errors.append(error)

        self.receivers[1] = receive
        self.read(self.taught(line, message_type=Event), line + b"x\r\n" + line + b"y\r\n")
        found = [error.__traceback__.tb_frame.f_locals["msg"].data for error in errors]  # type: ignore[union-attr]
        self.assertEqual(found, [b"x", b"y"])

    def test_gates(self) -> None:
        """A gate that is a receiver gets its messages, one with a deliver() of its own as well."""
        hot = self.hot

        class Loud(hot.Gate):  # type: ignore[misc, name-defined]
            def deliver(inner, msg: Any) -> None:  # noqa: N805
                self.got.append("loud")
                super().deliver(msg)

        class Objects:
            """What the address has is no string."""

        line = b"MSG a 1 1\r\n"

        class OfAnotherClass(Event):
            def __new__(cls, address: Address, data: bytes, *others: Any) -> Any:
                return SimpleNamespace(address=address, data=data)

        function: Any = OfAnotherClass.__new__
        for message_type in (Event, Msg, OfAnotherClass, lambda *arguments: function(Event, *arguments)):
            for kind in (hot.Gate, Loud):
                self.got.clear()
                gate = kind(lambda msg: self.got.append(msg.data))
                counts = hot.Counts()
                way = hot.Way(lambda msg: self.got.append(getattr(msg, "context", None)), counts)
                way.context = Objects
                gate.ways = {"b": way}
                self.receivers[1] = gate.deliver
                reader = self.taught(line, b"MSG b 1 1\r\n", message_type=message_type)
                if message_type is Msg:  # has no attribute for a context
                    self.assertRaises(AttributeError, reader.deliver, line + b"x\r\nMSG b 1 1\r\ny\r\n", 0)
                    continue
                self.assertEqual(self.read(reader, line + b"x\r\nMSG b 1 1\r\ny\r\n"), (28, 0))
                loud = ["loud"] if kind is Loud else []
                self.assertEqual(self.got, [*loud, b"x", *loud, Objects])
                self.assertEqual((gate.received, counts.routed, counts.succeeded), (2, 1, 1))

    def test_wrong_arguments(self) -> None:
        reader = self.reader()
        for arguments in [(), (b"",), (b"", 0, 0), (None, 0), ("", 0), (b"", "0")]:
            self.assertRaises((TypeError, AttributeError), reader.deliver, *arguments)


class CountsTests(HotCase):
    """Counts and Way"""

    def test_counts(self) -> None:
        counts = self.hot.Counts()
        self.assertEqual((counts.routed, counts.succeeded), (0, 0))
        counts = self.hot.Counts(3, succeeded=2)
        counts.routed += 1
        counts.succeeded = 2**62
        self.assertEqual((counts.routed, counts.succeeded), (4, 2**62))
        self.assertRaises(AttributeError, setattr, counts, "other", 1)
        self.assertEqual(len({counts, self.hot.Counts(), self.hot.Counts()}), 3)

    def test_derived_counts(self) -> None:
        hot = self.hot

        class Own(hot.Counts):  # type: ignore[misc, name-defined]
            __slots__ = ("failed",)

            def __init__(self, routed: int) -> None:
                super().__init__(routed, 1)
                self.failed = 2

        own = Own(5)
        self.assertEqual((own.routed, own.succeeded, own.failed), (5, 1, 2))
        self.assertRaises(AttributeError, setattr, own, "other", 1)
        gate = hot.Gate(lambda msg: None)
        gate.ways = {"a": hot.Way(lambda msg: None, own)}
        gate.deliver(Event(Address("a", 1), b""))
        self.assertEqual((own.routed, own.succeeded, own.failed), (6, 2, 2))

    def test_way(self) -> None:
        hot = self.hot
        counts = hot.Counts()
        way = hot.Way(len, counts)
        self.assertEqual((way.function, way.context), (len, None))
        self.assertIs(way.counters, counts)
        way.function, way.context = max, 1
        self.assertEqual((way.function, way.context), (max, 1))
        self.assertRaises(NotImplementedError, way.returned, None, None)
        self.assertRaises(NotImplementedError, way.raised, None)
        self.assertRaises(TypeError, hot.Way)

    def test_weak_references(self) -> None:
        hot = self.hot

        class Own(hot.Way):  # type: ignore[misc, name-defined]
            pass

        for make in (
            lambda: hot.Way(len, hot.Counts()),
            lambda: Own(len, hot.Counts()),
            lambda: hot.Gate(len),
            lambda: hot.Sender(Deferred, len, len),
        ):
            one = make()
            gone = weakref.ref(one)
            self.assertIs(gone(), one)
            del one
            self.assertIs(gone(), None)

    def test_cycles(self) -> None:
        """They are collected."""
        hot = self.hot

        class Own(hot.Way):  # type: ignore[misc, name-defined]
            pass

        way = Own(None, hot.Counts())
        way.function, way.context = way.returned, way
        gone = weakref.ref(way)
        del way
        gc.collect()
        self.assertIs(gone(), None)
        gate = hot.Gate(None)
        gate.on_msg = gate.deliver
        gate.ways = {"a": gate}
        reader = hot.Reader(Msg, Address, {1: gate.deliver}, 100, 100)
        gate.ways["b"] = reader
        gone = weakref.ref(gate)
        del gate, reader
        gc.collect()
        self.assertIs(gone(), None)
        tray = hot.Tray(1, 1)
        sender = hot.Sender(Deferred, None, None)
        sender.targets["a"] = hot.Target(b"a", tray)
        tray.confirmations.append(sender)
        gone = weakref.ref(sender)
        del sender, tray
        gc.collect()
        self.assertIs(gone(), None)


class GateTests(HotCase):
    """Gate"""

    def setUp(self) -> None:
        self.log: list[Any] = []
        hot, log = self.hot, self.log

        class Gate(hot.Gate):  # type: ignore[misc, name-defined]
            takes = True

            def _took(self, msg: Any) -> bool:
                log.append(("took", msg.data))
                return self.takes

            def _wait_for(self, busy: Any) -> None:
                log.append(("wait", busy))

            def _receiver_raised(self, msg: Any) -> None:
                log.append(("receiver raised", msg.data, sys_exception()))

        class Way(hot.Way):  # type: ignore[misc, name-defined]
            answer: Any = None

            def returned(self, msg: Any, result: object) -> Any:
                log.append(("returned", msg.data, result, msg.context))
                return self.answer

            def raised(self, msg: Any) -> None:
                log.append(("raised", msg.data, sys_exception(), msg.context))

        self.result: Any = None
        self.gate = Gate(self.on_msg)
        self.new_way = Way
        self.counters = hot.Counts()
        self.way = Way(self.function, self.counters)
        self.way.context = "context"

    def on_msg(self, msg: Any) -> Any:
        self.log.append(("on_msg", msg.data))
        return self.answer()

    def function(self, msg: Any) -> Any:
        self.log.append(("function", msg.data, msg.context, self.counters.routed, self.counters.succeeded))
        return self.answer()

    def answer(self) -> Any:
        if isinstance(self.result, type) and issubclass(self.result, BaseException):
            raise self.result("x")
        return self.result

    def event(self, data: bytes = b"1", subject: str = "a", header_block: bytes = b"") -> Event:
        return Event(Address(subject, 1), data, header_block)

    def counted(self) -> tuple[int, int, int]:
        return self.gate.received, self.counters.routed, self.counters.succeeded

    def take(self) -> list[Any]:
        taken = self.log[:]
        self.log.clear()
        return taken

    def test_attributes(self) -> None:
        gate = self.hot.Gate(len)
        self.assertEqual((gate.received, gate.is_direct, gate.only_without_headers), (0, True, False))
        self.assertEqual((gate.on_msg, dict(gate.ways)), (len, {}))
        for name in ("_took", "_wait_for", "_receiver_raised"):
            self.assertRaises(NotImplementedError, getattr(gate, name), None)
        self.assertRaises(AttributeError, setattr, gate, "other", 1)

    def test_no_way(self) -> None:
        """The receiver has the message; its Deferred is waited for, or returned."""
        self.gate.ways = {"b": self.way}
        self.assertIs(self.gate.deliver(self.event()), None)
        self.assertEqual(self.take(), [("on_msg", b"1")])
        self.result = Deferred()
        self.assertIs(self.gate.deliver(self.event()), None)
        self.assertEqual(self.take(), [("on_msg", b"1"), ("wait", self.result)])
        self.assertIs(self.gate.hand(self.event()), self.result)
        self.assertEqual(self.take(), [("on_msg", b"1")])
        self.assertEqual(self.counted(), (2, 0, 0))

    def test_receiver_that_raises(self) -> None:
        for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit, Exit):
            self.result = error
            for hand in (self.gate.deliver, self.gate.hand):
                self.assertIs(hand(self.event()), None)
                called, (what, data, raised) = self.take()
                self.assertEqual((called, what, data), (("on_msg", b"1"), "receiver raised", b"1"))
                self.assertIs(type(raised), error)

    def test_held(self) -> None:
        """A message that is taken is not handed over."""
        self.gate.ways = {"a": self.way}
        self.gate.is_direct = False
        self.gate.deliver(self.event())
        self.assertEqual((self.take(), self.counted()), ([("took", b"1")], (1, 0, 0)))
        self.gate.takes = False
        self.gate.deliver(self.event())
        self.assertEqual(self.take(), [("took", b"1"), ("function", b"1", "context", 1, 0)])
        self.assertEqual(self.counted(), (2, 1, 1))
        self.gate.hand(self.event())
        self.assertEqual(self.take(), [("function", b"1", "context", 2, 1)])
        self.assertEqual(self.counted(), (2, 2, 2))

    def test_way(self) -> None:
        self.gate.ways = {"a": self.way}
        for number, hand in enumerate((self.gate.deliver, self.gate.hand)):
            self.assertIs(hand(self.event()), None)
            self.assertEqual(self.take(), [("function", b"1", "context", number + 1, number)])
        self.assertEqual(self.counted(), (1, 2, 2))

    def test_results(self) -> None:
        """Anything but None is for the way. What it returns is waited for, or returned."""
        self.gate.ways = {"a": self.way}
        for result in (0, "", False, [], object(), Deferred()):
            for answer in (None, Deferred(), 0):
                self.result, self.way.answer = result, answer
                self.assertIs(self.gate.deliver(self.event()), None)
                waited = [] if answer is None else [("wait", answer)]
                called, *rest = self.take()
                self.assertEqual((called[0], rest), ("function", [("returned", b"1", result, "context"), *waited]))
                self.assertIs(self.gate.hand(self.event()), answer)
                self.assertEqual(self.take()[1:], [("returned", b"1", result, "context")])
        self.assertEqual(self.counted(), (18, 36, 0))

    def test_function_that_raises(self) -> None:
        self.gate.ways = {"a": self.way}
        for error in (ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration, Exit):
            self.result = error
            for hand in (self.gate.deliver, self.gate.hand):
                self.assertIs(hand(self.event()), None)
                called, (what, data, raised, context) = self.take()
                self.assertEqual((called[0], what, data, context), ("function", "raised", b"1", "context"))
                self.assertIs(type(raised), error)
                self.assertIs(sys_exception(), None)
        self.assertEqual(self.counted(), (6, 12, 0))

    def test_what_is_raised_while_an_error_is_handled(self) -> None:
        """Both are there, and the first one is there again afterwards."""
        self.gate.ways = {"a": self.way}
        self.result = ZeroDivisionError
        try:
            raise KeyError("outer")
        except KeyError as outer:
            self.gate.deliver(self.event())
            self.assertIs(sys_exception(), outer)
            raised = self.take()[1][2]
            self.assertIs(raised.__context__, outer)

    def test_errors_of_the_parts(self) -> None:
        """What the methods for the other cases raise is not caught."""
        hot = self.hot
        gate = hot.Gate(self.on_msg)
        gate.ways = {"a": hot.Way(self.function, self.counters)}
        self.result = 5
        self.assertRaises(NotImplementedError, gate.deliver, self.event())
        self.result = ZeroDivisionError
        self.assertRaises(NotImplementedError, gate.deliver, self.event())
        self.assertRaises(NotImplementedError, gate.deliver, self.event(subject="b"))
        self.result = 5
        self.assertRaises(NotImplementedError, gate.deliver, self.event(subject="b"))
        gate.is_direct = False
        self.assertRaises(NotImplementedError, gate.deliver, self.event())
        gate.is_direct = True
        self.assertRaises(AttributeError, gate.deliver, None)
        self.assertRaises(TypeError, gate.deliver)

    def test_only_without_headers(self) -> None:
        self.gate.ways = {"a": self.way}
        with_headers = self.event(header_block=b"NATS/1.0\r\n\r\n")
        self.gate.deliver(with_headers)
        self.assertEqual(self.take()[0][0], "function")
        self.gate.only_without_headers = True
        for hand in (self.gate.deliver, self.gate.hand):
            hand(with_headers)
            self.assertEqual(self.take(), [("on_msg", b"1")])
            hand(self.event())
            self.assertEqual(self.take()[0][0], "function")
        self.assertEqual(self.counted(), (3, 3, 3))

    def test_changes_in_the_call(self) -> None:
        """The ways are replaced or cleared, the function is replaced, and nobody keeps the gate or the way."""
        ways = {"a": self.way}
        self.gate.ways = ways

        def run(change: Callable[[], object], result: Any = None) -> None:
            def changing(msg: Any) -> Any:
                change()
                gc.collect()
                return result

            self.way.function = changing
            del changing
            self.gate.deliver(self.event())

        run(ways.clear)
        self.assertEqual((self.take(), self.counted()), ([], (1, 1, 1)))
        self.gate.deliver(self.event())
        self.assertEqual(self.take(), [("on_msg", b"1")])
        ways["a"] = self.way
        run(lambda: setattr(self.gate, "ways", {}), 5)
        self.assertEqual(self.take(), [("returned", b"1", 5, "context")])
        self.gate.ways = ways
        run(lambda: setattr(self.way, "function", self.function))
        self.gate.deliver(self.event())
        self.assertEqual(self.take(), [("function", b"1", "context", 4, 2)])
        run(lambda: setattr(self.way, "context", "other"), 5)
        self.assertEqual(self.take(), [("returned", b"1", 5, "context")])

    def test_a_gate_that_is_dropped_in_the_call(self) -> None:
        collect_all()
        gate = self.gate
        receivers = {1: gate.deliver}
        gone = weakref.ref(gate)
        busy: Deferred[None] = Deferred()

        def drop(msg: Any) -> Any:
            receivers.clear()
            del self.gate
            gc.collect()
            return busy

        way = self.new_way(drop, self.counters)
        way.answer = busy
        gate.ways = {"a": way}
        del gate, way, drop
        reader = self.hot.Reader(Event, Address, receivers, 100, 100)
        line = b"MSG a 1 1\r\n"
        reader.learn(line, line.split(), Address("a", 1), 0, 1, has_reply=False)
        reader.deliver((line + b"x\r\n") * 2, 0)
        self.assertEqual((reader.position, self.counters.routed), (14, 1))
        self.assertEqual(self.take(), [("returned", b"x", busy, None), ("wait", busy)])
        self.assertIs(gone(), None)

    def test_calls_within_a_call(self) -> None:
        def deeper(msg: Any) -> Any:
            if msg.data:
                self.gate.deliver(self.event(msg.data[1:]))

        self.way.function = deeper
        self.gate.ways = {"a": self.way}
        self.gate.deliver(self.event(b"x" * 50))
        self.assertEqual(self.counted(), (51, 51, 51))


def sys_exception() -> BaseException | None:
    """The exception that is being handled."""
    return sys.exc_info()[1]


class SenderTests(HotCase):
    """Tray, Target and Sender"""

    def setUp(self) -> None:
        self.others: list[tuple[Any, ...]] = []
        self.encoded: list[tuple[Any, ...]] = []
        hot, others = self.hot, self.others

        class Sender(hot.Sender):  # type: ignore[misc, name-defined]
            def _publish_other(self, *arguments: Any) -> str:
                others.append(arguments)
                return "other"

        self.confirmation_type = new_confirmation_class(lambda: None)
        self.new_sender = Sender
        self.sender = Sender(self.confirmation_type, self.encode, self.encode_reply)
        self.sender.plain_thread = get_ident()
        self.tray = hot.Tray(3, 1000)
        self.tray.max_payload = 100
        self.tray.is_open = True
        self.sender.targets["a"] = hot.Target(b"a", self.tray)

    def encode(self, subject: str, payload: bytes, reply: Any, headers: Any) -> tuple[bytes, int]:
        self.encoded.append((subject, reply, headers))
        return _encode(subject, payload, reply, headers)

    def encode_reply(self, reply: str) -> bytes:
        self.encoded.append((reply,))
        return encode_reply(reply)

    def state(self) -> tuple[Any, ...]:
        tray = self.tray
        return tray.messages, tray.bytes, list(tray.confirmations), self.commands()

    def commands(self) -> list[bytes]:
        """All commands, one by one: an entry of the tray's list may have several."""
        self.tray.close_block()
        return list(split_pubs(b"".join(self.tray.commands)))

    def assert_other(self, *arguments: Any, **options: Any) -> None:
        """The message goes the other way, with the same arguments, and the tray is as before."""
        before = self.state()
        self.assertEqual(self.sender.publish(*arguments, **options), "other")
        subject, payload, reply, headers = (*arguments, *[None] * (4 - len(arguments)))
        [taken] = self.others
        self.others.clear()
        self.assertEqual(taken[4], options)
        for one, expected in zip(taken, (subject, payload, reply, headers)):
            self.assertIs(one, expected)
        self.assertEqual(self.state(), before)

    def assert_plain(self, command: bytes, *arguments: Any, **named: Any) -> Any:
        messages, size, confirmations, commands = self.state()
        confirmation = self.sender.publish(*arguments, **named)
        self.assertIs(type(confirmation), self.confirmation_type)
        self.assertFalse(confirmation.called)
        self.assertEqual(
            self.state(),
            (messages + 1, size + len(command), [*confirmations, confirmation], [*commands, command]),
        )
        self.assertEqual(self.others, [])
        return confirmation

    def test_tray(self) -> None:
        tray = self.hot.Tray(5, 6)
        self.assertEqual((tray.messages, tray.bytes, tray.max_payload), (0, 0, 0))
        self.assertEqual((tray.batch_ends_at, tray.high_water_messages, tray.high_water_bytes), (5, 5, 6))
        self.assertEqual((tray.takes_headers, tray.is_open), (True, False))
        self.assertEqual((tray.confirmations, tray.commands), ([], []))
        tray.messages += 2
        tray.bytes += 2**40
        tray.bytes -= 1
        self.assertEqual((tray.messages, tray.bytes), (2, 2**40 - 1))

    def test_plain(self) -> None:
        confirmation = self.assert_plain(b"PUB a 2\r\nhi\r\n", "a", b"hi")
        confirmation.addCallback(self.others.append)
        confirmation.callback(5)
        self.assertEqual(self.others, [5])
        self.others.clear()
        self.assert_plain(b"PUB a 0\r\n\r\n", "a", b"", None, None)
        self.assert_plain(b"PUB a 1\r\nx\r\n", payload=b"x", subject="a", headers=None, reply=None)

    def test_blocks(self) -> None:
        """Commands of all sizes are complete and in order, however often somebody looks."""
        tray = self.tray
        tray.batch_ends_at, tray.high_water_bytes, tray.max_payload = 10_000, 2**30, 2**22
        random = Random(7)
        expected = []
        for number in range(2000):
            size = random.choice([0, 1, 100, 1000, 4080, 4096, 5000, 70_000] + [2**20, 2**21 + 5] * (number % 100 == 0))
            headers = {"A": "b" * (number % 7)} if number % 3 == 0 else None
            reply = random.choice([None, "r", "ü"])
            payload = bytes([number % 251]) * size
            self.sender.publish("a", payload, reply, headers)
            expected.append(_encode("a", payload, reply, headers)[0])
            if random.random() < 0.02:
                tray.close_block()
                self.assertEqual(sum(map(len, tray.commands)), tray.bytes)
            if random.random() < 0.02:
                tray.close_block()
                tray.commands.append(b"PUB b 0\r\n\r\n")
                expected.append(b"PUB b 0\r\n\r\n")
                tray.bytes += len(expected[-1])
        self.assertEqual(len(self.others), 0)
        self.assertTrue(self.commands() == expected)
        self.assertEqual(tray.bytes, sum(map(len, expected)))
        taken, tray.commands = tray.commands, []
        tray.close_block()
        self.assertEqual(tray.commands, [])
        self.sender.publish("a", b"x")
        self.assertEqual(self.commands(), [b"PUB a 1\r\nx\r\n"])
        self.assertEqual(b"".join(taken), b"".join(expected))

    def test_no_memory(self) -> None:
        """Whatever fails, commands, Deferreds and counters belong together, and nothing that was added is lost."""
        if _testcapi is None or self.hot is pure:
            raise SkipTest("CPython cannot let memory end for code in Python")
        self.tray.batch_ends_at, self.tray.high_water_bytes, self.tray.max_payload = 10_000, 10**9, 10**8
        for size in (10, 2000, 100_000):
            payload = b"y" * size
            for number in range(1, 40):
                before = len(self.tray.confirmations)
                published = 0
                attempts = iter([None] * 6)  # made while there is memory
                _testcapi.set_nomemory(number, number + 1)
                try:
                    for _ in attempts:
                        try:
                            published += self.sender.publish("a", payload) != "other"
                        except MemoryError:
                            pass
                    try:
                        self.tray.close_block()
                    except MemoryError:
                        pass
                finally:
                    _testcapi.remove_mem_hooks()
                commands = self.commands()
                self.assertEqual(len(commands), len(self.tray.confirmations))
                self.assertEqual((len(commands), sum(map(len, commands))), (self.tray.messages, self.tray.bytes))
                self.assertEqual(len(commands), before + published)
        self.others.clear()

    def test_deferreds_that_nobody_keeps(self) -> None:
        """They may be used again. One that is kept, has a callback or an attribute, or is watched, is not."""
        self.tray.batch_ends_at = 100
        publish = self.sender.publish
        kept = publish("a", b"1")
        publish("a", b"2").addCallback(lambda _: got.append(2))
        publish("a", b"3").resendable = False
        reference = weakref.ref(publish("a", b"4"))
        for _ in range(5):
            publish("a", b"x")
        got: list[Any] = []
        last = publish("a", b"5")
        self.assertFalse(last.called or last.has_callbacks)
        self.assertEqual(vars(last), {})
        last.addCallback(lambda _: got.append(5))
        confirmations = self.tray.confirmations
        self.assertEqual((len(confirmations), len(self.commands())), (10, 10))
        self.assertIs(confirmations[0], kept)
        self.assertFalse(confirmations[2].resendable)
        self.assertIn(reference(), [None, confirmations[3]])
        self.assertIs(confirmations[9], last)
        living = [id(one) for one in confirmations if one is not None]
        self.assertEqual(len(living), len(set(living)))
        self.hot.confirm_all(confirmations)
        self.assertEqual(got, [2, 5])
        self.assertTrue(kept.called)

    def test_encoded(self) -> None:
        """Reply subjects and headers, simple ones and others."""
        block = b"NATS/1.0\r\nA: b\r\nC: \r\n\r\n"
        self.tray.batch_ends_at = 100
        self.assert_plain(b"PUB a r.1 2\r\nhi\r\n", "a", b"hi", "r.1")
        self.assert_plain(b"HPUB a 23 25\r\n%bhi\r\n" % block, "a", b"hi", None, {"A": "b", "C": ""})
        self.assert_plain(b"HPUB a r 23 23\r\n%b\r\n" % block, "a", b"", "r", {"A": "b", "C": ""})
        self.assert_plain("PUB a ü 2\r\nhi\r\n".encode(), "a", b"hi", "ü")
        self.assert_plain("HPUB a 19 19\r\nNATS/1.0\r\nA: ü\r\n\r\n\r\n".encode(), "a", b"", None, {"A": "ü"})
        both = b"HPUB a 24 24\r\nNATS/1.0\r\nA: b\r\nA: c\r\n\r\n\r\n"
        self.assert_plain(both, "a", b"", None, {"A": ["b", "c"]})
        self.assert_plain(b"PUB a 2\r\nhi\r\n", "a", b"hi", None, {})

    def test_names(self) -> None:
        """What a subject has in it does not matter to the command."""
        for name in ("%", "%d%b", "ü", "a\udcff"):
            encoded = name.encode("utf-8", "surrogateescape")
            self.sender.targets[name] = self.hot.Target(encoded, self.tray)
            self.tray.messages = 0
            self.assert_plain(b"PUB %b 2\r\n%b\r\n" % (encoded, b"%d"), name, b"%d")

    def test_large(self) -> None:
        self.tray.max_payload = self.tray.high_water_bytes = 10_000_000
        for size in (9, 10, 99, 100, 12345, 1_000_000):
            self.tray.messages = 0
            self.assert_plain(b"PUB a %d\r\n%b\r\n" % (size, b"x" * size), "a", b"x" * size)
            block = b"NATS/1.0\r\nA: %b\r\n\r\n" % (b"v" * size)
            command = b"HPUB a r %d %d\r\n%bx\r\n" % (len(block), len(block) + 1, block)
            self.assert_plain(command, "a", b"x", "r", {"A": "v" * size})

    def test_arguments(self) -> None:
        """Each condition alone sends a message the other way."""

        class OwnBytes(bytes):
            pass

        class OwnText(str):
            pass

        for payload in (bytearray(b"x"), OwnBytes(b"x"), "x", None, 5, {"a": 1}, memoryview(b"x"), lambda: b"x"):
            self.assert_other("a", payload)
        for subject in ("b", OwnText("a"), b"a", None, 5, ["a"]):
            self.assert_other(subject, b"x")
        self.assert_other("a", b"x", policy="keep")
        self.assert_other("a", b"x", policy=None)
        self.assert_other("a", b"x", None, None, msg_id="1")
        self.assert_plain(b"PUB a 1\r\nx\r\n", "a", b"x")

    def test_what_cannot_be_encoded(self) -> None:
        for reply in ("", "a b", "a..b", ".", "*", "x" * 3000, b"r", 5, "\r\n", "\ud800"):
            self.assert_other("a", b"x", reply)
        self.assertEqual(len(self.encoded), 10)  # once each, so that the other way finds what can be read once
        for headers in (
            {"": "v"},
            {"A:": "v"},
            {"ä": "v"},
            {"A": "a\n"},
            {"A": "\ud800"},
            {"A": 5},
            {5: "v"},
            [1],
            5,
            "A",
        ):
            self.assert_other("a", b"x", None, headers)

    def test_errors_that_are_not_exceptions(self) -> None:
        """They are raised."""

        def encode(*arguments: Any) -> Any:
            raise KeyboardInterrupt

        self.sender = self.new_sender(self.confirmation_type, encode, encode)
        self.sender.plain_thread = get_ident()
        self.sender.targets["a"] = self.hot.Target(b"a", self.tray)
        self.assertRaises(KeyboardInterrupt, self.sender.publish, "a", b"x", "ü")
        self.assertEqual(self.state(), (0, 0, [], []))

    def test_closed_tray(self) -> None:
        """Nothing is encoded, so that the other way encodes headers that can be read once."""
        self.tray.is_open = False
        self.assert_other("a", b"x")
        self.assert_other("a", b"x", "ü", {"A": iter(["v"])})
        self.assertEqual(self.encoded, [])
        self.tray.is_open = True
        self.assert_plain(b"PUB a 1\r\nx\r\n", "a", b"x")

    def test_largest_payload(self) -> None:
        """Headers count, too."""
        self.assert_plain(b"PUB a 100\r\n%b\r\n" % (b"x" * 100), "a", b"x" * 100)
        self.assert_other("a", b"x" * 101)
        headers = {"A": "b"}  # 18 bytes
        self.assert_plain(
            b"HPUB a 18 100\r\nNATS/1.0\r\nA: b\r\n\r\n%b\r\n" % (b"x" * 82), "a", b"x" * 82, None, headers
        )
        self.assert_other("a", b"x" * 83, None, headers)
        self.assert_other("a", b"x" * 83, None, {"A": ["b"]})

    def test_high_water_messages(self) -> None:
        for _ in range(3):
            self.assert_plain(b"PUB a 1\r\nx\r\n", "a", b"x")
        self.assert_other("a", b"x")
        self.assert_other("a", b"x", "ü")
        self.tray.messages -= 1
        self.assert_plain(b"PUB a 1\r\nx\r\n", "a", b"x")

    def test_high_water_bytes(self) -> None:
        self.tray.bytes = 1000 - 12
        self.assert_other("a", b"xx")
        self.assert_other("a", b"", "ü")
        self.assert_plain(b"PUB a 1\r\nx\r\n", "a", b"x")
        self.assertEqual(self.tray.bytes, 1000)
        self.assert_other("a", b"")

    def test_server_without_headers(self) -> None:
        self.tray.takes_headers = False
        self.assert_other("a", b"x", None, {"A": "b"})
        self.assert_other("a", b"x", None, {"A": ["b"]})
        self.assert_plain(b"PUB a r 1\r\nx\r\n", "a", b"x", "r")

    def test_other_threads(self) -> None:
        failed: list[Any] = []

        def run() -> None:
            try:
                self.assert_other("a", b"x")
                self.assert_other("a", b"x", "ü")
            except BaseException as error:
                failed.append(error)

        thread = Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(failed, [])
        self.sender.plain_thread = 0
        self.assert_other("a", b"x")

    def test_deferreds_that_are_dropped(self) -> None:
        """No other one has what was set for it, and a weak reference does not lead to another one."""
        self.tray.batch_ends_at, self.tray.high_water_bytes = 1000, 100_000

        def changed(change: Callable[[Any], object]) -> Any:
            before = len(self.tray.confirmations)
            result = change(self.sender.publish("a", b"x"))
            after = self.sender.publish("a", b"y")
            self.assertEqual(len(self.tray.confirmations), before + 2)
            self.assertIs(self.tray.confirmations[-1], after)
            self.assertIsNot(self.tray.confirmations[-2], after)
            self.assertFalse(after.called)
            self.assertFalse(after.has_callbacks)
            self.assertTrue(after.resendable)
            self.assertEqual(vars(after), {})
            return result

        changed(lambda one: None)
        changed(lambda one: setattr(one, "mark", 1))
        self.assertEqual(self.tray.confirmations[-2].mark, 1)
        changed(lambda one: setattr(one, "resendable", False))
        self.assertFalse(self.tray.confirmations[-2].resendable)
        got: list[Any] = []
        changed(lambda one: one.addCallback(got.append) and None)
        self.assertTrue(self.tray.confirmations[-2].has_callbacks)
        self.tray.confirmations[-2].callback(5)
        self.assertEqual(got, [5])
        changed(lambda one: one.callback(1))
        changed(lambda one: vars(one).update(mark=1))
        changed(lambda one: (setattr(one, "mark", 1), delattr(one, "mark"))[0])
        dictionary = changed(vars)
        dictionary["mark"] = 1
        self.assertFalse(hasattr(self.tray.confirmations[-1], "mark"))
        dead: list[Any] = []
        reference = changed(lambda one: weakref.ref(one, dead.append))
        self.assertIsNot(reference(), self.tray.confirmations[-1])
        kept = changed(lambda one: one)
        self.assertIs(self.tray.confirmations[-2], kept)
        del kept
        for _ in range(300):
            self.sender.publish("a", b"z")
        self.assertEqual(self.commands()[-300:], [b"PUB a 1\r\nz\r\n"] * 300)
        self.assertEqual(len(self.tray.confirmations), len(self.commands()))

    def test_confirmation_types(self) -> None:
        """Deferreds with an ``__init__``, and what is no class."""
        made: list[Any] = []

        def make() -> Any:
            made.append(Deferred())
            return made[-1]

        class Own(Confirmation):
            def __init__(self) -> None:
                made.append(self)

        for kind in (Deferred, Own, make):
            sender = self.new_sender(kind, self.encode, self.encode_reply)
            sender.plain_thread = get_ident()
            sender.targets["a"] = self.hot.Target(b"a", self.tray)
            self.tray.messages = 0
            confirmation = sender.publish("a", b"x")
            self.assertIs(confirmation, self.tray.confirmations[-1])
            if kind is not Deferred:
                self.assertIs(confirmation, made[-1])
            got: list[Any] = []
            confirmation.addCallback(got.append)
            confirmation.callback(1)
            self.assertEqual(got, [1])
        sender = self.new_sender(lambda: 1 / 0, self.encode, self.encode_reply)
        sender.plain_thread = get_ident()
        sender.targets["a"] = self.hot.Target(b"a", self.tray)
        self.assertRaises(ZeroDivisionError, sender.publish, "a", b"x")

    def test_wrong_arguments(self) -> None:
        for arguments, options in [
            ((), {}),
            (("a",), {}),
            (("a", b"", None, None, None), {}),
            (("a", b""), {"subject": "b"}),
        ]:
            self.assertRaises(TypeError, self.sender.publish, *arguments, **options)
        self.assertRaises(
            NotImplementedError, self.hot.Sender(Deferred, self.encode, self.encode_reply).publish, "a", b""
        )


class ConfirmingTests(HotCase):
    """confirm_all and drop_abandoned"""

    def setUp(self) -> None:
        self.new = new_confirmation_class(lambda: None)

    def test_confirm_all(self) -> None:
        got: list[Any] = []
        plain, watched, cancelled, plain_deferred = self.new(), self.new(), self.new(), self.new()
        watched.addBoth(got.append)
        cancelled.addErrback(lambda failure: got.append(failure.type.__name__))
        cancelled.cancel()
        self.assertIs(self.hot.confirm_all([plain, None, watched, cancelled, plain_deferred]), None)
        self.assertEqual(got, ["CancelledError", None])
        for one in (plain, plain_deferred):
            self.assertTrue(one.called)
            one.addBoth(got.append)
        self.assertEqual(got, ["CancelledError", None, None, None])
        self.hot.confirm_all(iter([self.new()]))
        self.hot.confirm_all(())

    def test_callback_that_changes_the_list(self) -> None:
        confirmations: list[Any] = [self.new() for _ in range(5)]
        confirmations[0].addCallback(lambda _: confirmations.clear())
        first = confirmations[0]
        self.hot.confirm_all(confirmations)
        self.assertTrue(first.called)
        self.assertEqual(confirmations, [])

    def test_drop_abandoned(self) -> None:
        """What nobody else has, and has no callbacks, is replaced by None."""
        kept, watched = self.new(), self.new()
        gone = self.new()
        reference = weakref.ref(gone)
        watched.addCallback(lambda _: None)
        identity = id(watched)
        confirmations = [kept, gone, None, watched, self.new()]
        del gone, watched
        self.assertIs(self.hot.drop_abandoned(confirmations), None)
        self.assertEqual([one is None for one in confirmations], [False, True, True, False, True])
        self.assertIs(confirmations[0], kept)
        self.assertEqual(id(confirmations[3]), identity)
        self.assertIs(reference(), None)
        empty: list[Any] = []
        self.hot.drop_abandoned(empty)
        self.assertEqual(empty, [])

    def test_many(self) -> None:
        confirmations = [self.new() for _ in range(1000)]
        kept = confirmations[::3]
        self.hot.drop_abandoned(confirmations)
        self.assertEqual([one for one in confirmations if one is not None], kept)
        self.assertEqual(len(confirmations), 1000)


class LeakTests(HotCase):
    """Nothing is left behind by what is done again and again."""

    def setUp(self) -> None:
        gc.collect()
        gc.freeze()  # for all calls of growth()
        self.addCleanup(gc.unfreeze)
        hot = self.hot
        self.got: list[Any] = []
        self.context = object()
        self.counters = hot.Counts()
        self.way = type("Way", (hot.Way,), {"returned": lambda *_: None, "raised": lambda *_: None})(
            self.answer, self.counters
        )
        self.way.context = self.context
        self.gate = type("Gate", (hot.Gate,), {"_wait_for": lambda *_: None, "_receiver_raised": lambda *_: None})(
            self.answer
        )
        self.gate.ways = {"a": self.way}
        self.receivers: dict[int, Any] = {1: self.gate.deliver, 2: self.receive}
        self.reader = hot.Reader(Event, Address, self.receivers, 100, 100)
        self.result: Any = None

    def answer(self, msg: Any) -> Any:
        if self.result is ZeroDivisionError:
            raise ZeroDivisionError
        return self.result

    def receive(self, msg: Any) -> None:
        if msg.data == b"x":
            raise ZeroDivisionError

    def assert_no_leak(self, run: Callable[[], object], *shared: object) -> None:
        """
        Nothing grows.

        :param shared: objects to which each round could keep a reference.
        """
        shared = (*shared, None, b"", self.context, self.way, self.gate, self.counters, self.reader, Event, Address)
        run()
        before = [sys.getrefcount(one) for one in shared]
        self.assertEqual(growth(run), {})
        grown = [(one, sys.getrefcount(one) - count) for one, count in zip(shared, before)]
        self.assertEqual([one for one in grown if one[1] > FEW], [])

    def read(self, data: bytes) -> None:
        try:
            self.reader.deliver(data, 0)
        except ZeroDivisionError:
            pass

    def test_a_leak_is_found(self) -> None:
        """A list that grows by one, and a reference that is kept."""
        self.assertGreaterEqual(growth(lambda: self.got.append([]))["objects"], MANY - FEW - 1)
        kept = self.receivers
        self.assertRaises(
            self.failureException, self.assert_no_leak, lambda: self.got.append(kept) or self.got.extend([kept]), kept
        )

    def test_reading(self) -> None:
        for data in (
            b"MSG a 1 1\r\nx\r\n" * 3,
            b"MSG a 1 r 1\r\nx\r\nHMSG a 1 r 2 3\r\nhhx\r\n",
            b"MSG a 1 10\r\nx",
            b"MSG a 3 1\r\nx\r\n",
            b"MSG a x 1\r\nx\r\n",
            b"MSG \xff\xfe 1 1\r\nx\r\n",
            b"MSG a 2 1\r\ny\r\nMSG a 2 1\r\nx\r\n",
            b"".join(b"MSG a.%d 1 1\r\nx\r\n" % number for number in range(50)),
            b"PING\r\n",
        ):
            self.reader = self.hot.Reader(Event, Address, self.receivers, 100, 100)
            for line in data.split(b"\r\n"):
                words = line.split()
                if len(words) == 4 and words[0] == b"MSG" and words[2].isdigit():
                    address = Address(words[1].decode("utf-8", "surrogateescape"), int(words[2]))
                    self.reader.learn(line + b"\r\n", words, address, 0, int(words[3]), has_reply=False)
            self.assert_no_leak(lambda data=data: self.read(data))  # type: ignore[misc]

    def test_readers(self) -> None:
        """A reader that is dropped drops what it remembers."""

        def run() -> None:
            self.reader = self.hot.Reader(Event, Address, self.receivers, 100, 100)
            self.read(b"".join(b"MSG a.%d 1 1\r\nx\r\n" % number for number in range(20)))

        self.assert_no_leak(run)

    def test_handing_over(self) -> None:
        for self.result in (None, 5, ZeroDivisionError):
            for subject in ("a", "b"):
                event = Event(Address(subject, 1), b"")
                self.assert_no_leak(lambda event=event: self.gate.deliver(event), event)  # type: ignore[misc]
                self.assert_no_leak(lambda event=event: self.gate.hand(event), event)  # type: ignore[misc]

    def test_publishing(self) -> None:
        sender = type("Sender", (self.hot.Sender,), {"_publish_other": lambda *_: None})(
            new_confirmation_class(lambda: None), _encode, encode_reply
        )
        sender.plain_thread = get_ident()
        tray = self.hot.Tray(10, 1000)
        tray.max_payload, tray.is_open = 100, True
        target = sender.targets["a"] = self.hot.Target(b"a", tray)
        headers, odd_headers = {"A": "b"}, {"A": ["ü"]}
        for arguments in [
            ("a", b"x"),
            ("a", b"x", "r", headers),
            ("a", b"x", "ü", odd_headers),
            ("a", b"x", "a b", headers),
            ("a", b"x", None, {"A": "\n"}),
            ("b", b"x"),
            ("a", "x"),
            ("a", b"x" * 101),
            ("a", b"x" * 99, None, headers),
        ]:

            def run(arguments: Any = arguments) -> None:
                for _ in range(3):
                    sender.publish(*arguments)
                sender.publish(*arguments[:2], reply=None)
                kept = sender.publish(*arguments)
                self.hot.drop_abandoned(tray.confirmations)
                self.hot.confirm_all(tray.confirmations)
                del kept
                tray.close_block()
                tray.confirmations, tray.commands = [], []
                tray.messages = tray.bytes = 0

            self.assert_no_leak(run, sender, tray, target, headers, odd_headers, sender.confirmation_type, *arguments)


for_both(globals(), SynchronousTestCase)
