"""natsroute.wire.parser"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ProtocolError
from natsroute.wire.frames import Address, Err, Frame, Info, Msg, Signal
from natsroute.wire.parser import (
    DEFAULT_MAX_CONTROL_LINE,
    DEFAULT_MAX_INBOUND_PAYLOAD,
    MAX_INFO_LINE,
    MESSAGE_LINE_ALLOWANCE,
    Parser,
)
from tests.fuzz.properties import any_cut_reads_the_same
from tests.support.frame_parser import FrameParser

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: A message to the subscription with this sid, whose payload is one digit.
MSG = b"MSG a %d 1\r\n%d\r\n"

BLOCK = b"NATS/1.0\r\nA: b\r\n\r\n"

#: Each frame that a server sends: its bytes, and what the parser makes of them (see :func:`seen`).
FRAMES: dict[bytes, Any] = {
    b"PING\r\n": Signal.PING,
    b"PONG\r\n": Signal.PONG,
    b"+OK\r\n": Signal.OK,
    b"ping\r\n": Signal.PING,
    b"-ERR 'Stale Connection'\r\n": Err("Stale Connection"),
    b"-ERR 'Permissions Violation for Publish to \"it's\"'\r\n": Err('Permissions Violation for Publish to "it\'s"'),
    b"-ERR Parser Error\r\n": Err("Parser Error"),
    b"-ERR ''\r\n": Err(""),
    b"-ERR \r\n": Err(""),
    b"-ERR\r\n": Err(""),
    b"-ERR '\xff'\r\n": Err("\N{REPLACEMENT CHARACTER}"),
    b'INFO {"server_id":"S","max_payload":7} \r\n': Info(server_id="S", max_payload=7),
    b"MSG a.b 12 5\r\nhello\r\n": ("a.b", 12, None, b"", b"hello"),
    b"MSG a.b 12 _INBOX.1 5\r\nhello\r\n": ("a.b", 12, "_INBOX.1", b"", b"hello"),
    b"msg\ta.b  12\t r \t 5 \r\nhello\r\n": ("a.b", 12, "r", b"", b"hello"),
    b"MSG a 1 0\r\n\r\n": ("a", 1, None, b"", b""),
    b"MSG a 1 4\r\n\r\n\r\n\r\n": ("a", 1, None, b"", b"\r\n\r\n"),
    b"MSG a 1 6\r\nPING\r\n\r\n": ("a", 1, None, b"", b"PING\r\n"),
    b"MSG a 1 5\r\n\0\r\0\n\xff\r\n": ("a", 1, None, b"", b"\0\r\0\n\xff"),
    b"MSG \xc3\xa5.\xff 1 \x00\xfe 1\r\nx\r\n": ("å.\udcff", 1, "\0\udcfe", b"", b"x"),
    b"HMSG a 1 18 18\r\n" + BLOCK + b"\r\n": ("a", 1, None, BLOCK, b""),
    b"HMSG a 1 r 18 22\r\n" + BLOCK + b"\r\n\0x\r\n": ("a", 1, "r", BLOCK, b"\r\n\0x"),
    b"HMSG a 1 0 2\r\nhi\r\n": ("a", 1, None, b"", b"hi"),
}

#: The bytes before a malformed frame. Their frames must be yielded whatever follows.
BEFORE = b"PING\r\nMSG a 1 2\r\nhi\r\n"
SEEN_BEFORE = [Signal.PING, ("a", 1, None, b"", b"hi")]

#: Parts of frames.
ALMOST_NATS = [
    *b"MSG |HMSG |a |1 |2 |18 |257 |-1 |r |\r\n|\n|\r| |hi\r\n|PING\r\n|-ERR|'|INFO {}\r\n".split(b"|"),
    b'INFO {"max_payload":1}\r\n',
    BLOCK,
    bytes(150),
    b" " * 190,
]


def seen(frame: Frame) -> Any:
    """A frame as a value that can be compared. Two messages with equal content are not equal."""
    if isinstance(frame, Msg):
        return (frame.subject, frame.address.sid, frame.reply, frame.header_block, frame.data)
    return frame


def read(chunks: Iterable[bytes], parser: Parser | None = None) -> tuple[list[Any], ProtocolError | None]:
    """The frames that a parser yields, and the error that it raises."""
    parser = parser or Parser()
    frames: list[Any] = []
    try:
        for chunk in chunks:
            frames.extend(map(seen, parser.feed(chunk)))  # keeps the frames before an error
    except ProtocolError as error:
        return frames, error
    return frames, None


def ways_to_cut(stream: bytes) -> Iterator[list[bytes]]:
    """The stream whole, byte by byte, and split in two at every position."""
    yield [stream]
    yield [stream[i : i + 1] for i in range(len(stream))]
    for i in range(1, len(stream)):
        yield [stream[:i], stream[i:]]


class FramesTests(SynchronousTestCase):
    """The frames do not depend on where the network splits the stream."""

    def assert_reads(self, stream: bytes, expected: list[Any]) -> None:
        for chunks in ways_to_cut(stream):
            parser = Parser()
            self.assertEqual(read(chunks, parser), (expected, None), chunks)
            self.assertEqual(parser.buffered, 0)

    def test_each_frame_split_anywhere(self) -> None:
        for stream, expected in FRAMES.items():
            self.assert_reads(stream, [expected])

    def test_all_frames_twice_split_anywhere(self) -> None:
        """Each frame may follow each, and a remembered line is parsed like a new one."""
        self.assert_reads(b"".join(FRAMES) * 2, [*FRAMES.values()] * 2)

    @quick
    @given(st.lists(st.sampled_from(sorted(FRAMES)), max_size=20), st.lists(st.floats(0, 1), max_size=8))
    def test_random_frames_split_at_random(self, streams: list[bytes], cuts: list[float]) -> None:
        stream = b"".join(streams)
        positions = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
        chunks = [stream[start:stop] for start, stop in pairwise(positions)]
        self.assertEqual(read(chunks), ([FRAMES[each] for each in streams], None))

    @quick
    @given(st.binary(max_size=300), st.integers(0, 300), st.integers(1, 64))
    def test_any_bytes_as_payload(self, block: bytes, header_size: int, step: int) -> None:
        """The content of a payload does not matter."""
        header_size = min(header_size, len(block))
        stream = b"HMSG a 1 %d %d\r\n%b\r\nPING\r\n" % (header_size, len(block), block)
        chunks = [stream[i : i + step] for i in range(0, len(stream), step)]
        expected = ("a", 1, None, block[:header_size], block[header_size:])
        self.assertEqual(read(chunks), ([expected, Signal.PING], None))

    def test_payload_before_its_line_end_is_delivered_once(self) -> None:
        parser = Parser()
        self.assertEqual(read([b"MSG a 1 5\r\nhello"], parser), ([], None))
        self.assertEqual(read([b"\r"], parser), ([], None))
        self.assertEqual(read([b"\n"], parser), ([("a", 1, None, b"", b"hello")], None))
        self.assertEqual(read([b"PING\r\n"], parser), ([Signal.PING], None))

    def test_a_ping_in_two_chunks_is_one_ping(self) -> None:
        parser = Parser()
        self.assertEqual(read([b"PI"], parser), ([], None))
        self.assertEqual(read([b"NG\r\nPO"], parser), ([Signal.PING], None))
        self.assertEqual(read([b"NG\r\n"], parser), ([Signal.PONG], None))

    def test_vertical_tab_and_form_feed_belong_to_the_subject(self) -> None:
        """
        A server separates words by spaces and tabs only. A parser that splits at other white space lets a publisher
        choose the sid, here with the subject ``a<VT>7``.
        """
        for subject in (b"a\v7", b"a\f7", b"\va", b"a\v", b"a\r7", b"\ra", b"a\r"):
            with_headers = b"HMSG %b 1 %b 0 1\r\nx\r\n" % (subject, subject)
            name = subject.decode()
            self.assertEqual(
                read([b"MSG %b 1 1\r\nx\r\n" % subject + with_headers]),
                ([(name, 1, None, b"", b"x"), (name, 1, name, b"", b"x")], None),
            )


class MalformedTests(SynchronousTestCase):
    """A malformed frame raises one clear error, after the frames before it."""

    def assert_malformed(self, problem: str, *bad_frames: bytes) -> None:
        for bad in bad_frames:
            for chunks in ways_to_cut(BEFORE + bad + b"PING\r\n"):
                frames, error = read(chunks)
                self.assertEqual(frames, SEEN_BEFORE, chunks)
                assert error is not None, chunks
                self.assertIn(problem, str(error))
                self.assertLessEqual(len(error.excerpt), 100)
                self.assertIn(repr(error.excerpt), str(error))

    def test_junk(self) -> None:
        self.assert_malformed(
            "not a NATS command",
            *(b"\r\n", b" \r\n", b"\v\r\n", b"\0\xff\r\n", b"GET / HTTP/1.1\r\n", b"OK\r\n", b"PINGPONG\r\n"),
            *(b"PING now\r\n", b"PING\v\r\n", b"+OK fine\r\n", b"MSGS a 1 0\r\n", b"MSG\va 1 0\r\n", b"PUB a 0\r\n"),
            *(b"INFO{}\r\n", b"-ERR'x'\r\n", b"- ERR\r\n", b" PING\r\n", b"  -ERR 'x'\r\n", b"\t\tINFO {}\r\n"),
            *(b" MSG a 1 0\r\n\r\n", b"\tHMSG a 1 0 0\r\n\r\n"),
        )

    def test_malformed_info(self) -> None:
        self.assert_malformed("INFO is not JSON", b"INFO\r\n", b"INFO {\r\n", b"INFO {}x\r\n", b"INFO \xff{}\r\n")
        self.assert_malformed("INFO is not a JSON object", b"INFO []\r\n", b"INFO null\r\n")
        self.assert_malformed("INFO's port is not of type int", b'INFO {"port":"4222"}\r\n')

    def test_line_ends(self) -> None:
        """A lone LF or CR does not end a line."""
        self.assert_malformed(
            "does not end in CR LF",
            *(b"\n", b"PING\n", b"MSG a 1 2\nhi\r\n", b"-ERR 'x'\n"),
        )
        self.assert_malformed("not a NATS command", b"PI\rNG\r\n", b"PING\r\r\n", b"\r\r\n")
        self.assert_malformed("not a number", b"MSG a 1 0\r\r\n\r\n")

    def test_numbers(self) -> None:
        """Numbers are ASCII digits, and at most 19, so that converting them is fast."""
        for number in (b"-1", b"+1", b"1_0", b"0x1", b"1.0", b"1e3", b"\xd9\xa1", b"\xb2", b"x", b"9" * 20, b"9" * 99):
            self.assert_malformed(
                "not a number",
                *(b"MSG a %b 0\r\n\r\n" % number, b"MSG a 1 %b\r\n\r\n" % number, b"MSG a 1 r %b\r\n\r\n" % number),
                *(b"HMSG a 1 %b 18\r\n\r\n" % number, b"HMSG a 1 r 0 %b\r\n\r\n" % number),
            )

    def test_argument_counts(self) -> None:
        self.assert_malformed(
            "a message line of",
            *(b"MSG\r\n", b"MSG a\r\n", b"MSG a 1\r\n", b"MSG a 1 r 2 3\r\n", b"MSG a b 1 r 2\r\n"),
            *(b"HMSG\r\n", b"HMSG a 1 12\r\n", b"HMSG a 1 r 12 13 14\r\n"),
        )

    def test_header_longer_than_its_message(self) -> None:
        self.assert_malformed("header longer than its message", b"HMSG a 1 19 18\r\n", b"HMSG a 1 r 1 0\r\n")

    def test_no_line_end_after_a_payload(self) -> None:
        self.assert_malformed(
            "no line end after a payload",
            *(b"MSG a 1 2\r\nhi", b"MSG a 1 2\r\nhi\n\n", b"MSG a 1 2\r\nhi\r\r", b"MSG a 1 2\r\nhi\n\r"),
            *(b"MSG a 1 2\r\nhix\n", b"MSG a 1 2\r\nhi\rx", b"MSG a 1 0\r\n", b"HMSG a 1 18 18\r\n" + BLOCK + b"x\n"),
        )

    def test_message_above_max_inbound_payload(self) -> None:
        size = DEFAULT_MAX_INBOUND_PAYLOAD + 1
        self.assert_malformed(
            f"above max_inbound_payload, {DEFAULT_MAX_INBOUND_PAYLOAD} bytes",
            *(b"MSG a 1 %d\r\n" % size, b"MSG a 1 r %d\r\n" % size, b"MSG a 1 %b\r\n" % (b"9" * 19)),
            *(b"HMSG a 1 12 %d\r\n" % (12 + size), b"HMSG a 1 %d %d\r\n" % (size, size)),
        )

    def test_excerpt_of_a_long_line(self) -> None:
        _, error = read([b"x" * 300 + b"\r\n"])
        assert error is not None
        self.assertEqual(error.excerpt, b"x" * 100)

    @quick
    @given(st.binary(max_size=200))
    def test_any_bytes(self, stream: bytes) -> None:
        any_cut_reads_the_same(stream)

    @quick
    @given(st.lists(st.sampled_from(ALMOST_NATS), max_size=25).map(b"".join))
    def test_bytes_that_are_almost_nats(self, stream: bytes) -> None:
        any_cut_reads_the_same(stream)


class LineLimitTests(SynchronousTestCase):
    """The length of a line is limited, whether its end has arrived or not."""

    def assert_limit(
        self, limit: int, start: bytes, filler: bytes, end: bytes, max_control_line: int = DEFAULT_MAX_CONTROL_LINE
    ) -> None:
        line = start + filler * (limit - len(start) - len(end)) + end
        too_long = start + filler + line[len(start) :]
        frames, error = read([line[:-1], line[-1:], b"\r", b"\n"], Parser(max_control_line=max_control_line))
        self.assertEqual((len(frames), error), (1, None))
        for chunks in ([too_long + b"\r\n"], [too_long + b"\r"], [too_long + b"xx", b"\r\n"]):
            frames, error = read(chunks, Parser(max_control_line=max_control_line))
            self.assertEqual(frames, [])
            whole = chunks[0].endswith(b"\n")
            self.assertIn(f"a line of {limit + 1} bytes" if whole else "a line of more than", str(error))

    def test_control_line_at_the_limit_and_one_above(self) -> None:
        self.assertEqual(DEFAULT_MAX_CONTROL_LINE, 4096, "the default of nats-server")
        self.assert_limit(DEFAULT_MAX_CONTROL_LINE, b"PING", b" ", b"")

    def test_the_limit_can_be_set(self) -> None:
        self.assert_limit(32, b"PING", b" ", b"", 32)
        self.assert_limit(8192, b"PING", b" ", b"", 8192)

    def test_err_may_be_longer(self) -> None:
        """
        A server writes up to four characters for each byte of a refused subject. If the parser refused such a line, the
        client would connect again, and get the same line again, without end.
        """
        for max_control_line in (32, DEFAULT_MAX_CONTROL_LINE):
            self.assert_limit(4 * max_control_line, b"-ERR '", b"x", b"'", max_control_line)

    def test_info_may_be_longer(self) -> None:
        for max_control_line in (32, DEFAULT_MAX_CONTROL_LINE):
            self.assert_limit(MAX_INFO_LINE, b'INFO {"a":"', b"x", b'"}', max_control_line)
        line = b"info %b\r\n" % json.dumps({"connect_urls": ["10.0.0.1:4222"] * 1000}).encode()
        for chunks in ([line], [BEFORE + line[:9000], line[9000:]]):
            *_, info = read(chunks)[0]
            self.assertEqual(len(info.connect_urls), 1000)

    def test_message_line_may_be_a_little_longer(self) -> None:
        """A server limits what a publisher writes, and adds the sid, so its line may exceed the limit."""
        for start, end in ((b"MSG ", b" 1 0"), (b"HMSG ", b" 1 0 0")):
            line = start + b"x" * (DEFAULT_MAX_CONTROL_LINE + MESSAGE_LINE_ALLOWANCE - len(start + end)) + end + b"\r\n"
            for chunks in ([line + b"\r\n"], [line[:-2], b"\r", b"\n\r\n"]):
                frames, error = read(chunks)
                self.assertEqual((len(frames), error), (1, None))
            _, error = read([line.replace(b" x", b" xx") + b"\r\n"])
            self.assertRegex(str(error), r"a line of \d+ bytes")

    def test_junk_without_a_line_end_is_bounded(self) -> None:
        parser = Parser()
        for count in range(DEFAULT_MAX_CONTROL_LINE + 1):
            self.assertEqual(read([b"x"], parser), ([], None), count)
        _, error = read([b"x"], parser)
        self.assertIn(f"a line of more than {DEFAULT_MAX_CONTROL_LINE + 1} bytes", str(error))

    def test_a_huge_chunk_of_junk(self) -> None:
        frames, error = read([BEFORE + b"x" * 1_000_000])
        self.assertEqual(frames, SEEN_BEFORE)
        self.assertIn("a line of more than", str(error))


class PayloadLimitTests(SynchronousTestCase):
    """``max_inbound_payload`` is checked against the announced size, before the payload arrives."""

    def test_payload_at_the_limit(self) -> None:
        parser = Parser(max_inbound_payload=100)
        payload = b"x" * 100
        frames, error = read(
            [b"MSG a 1 100\r\n%b\r\n" % payload, b"HMSG a 1 100 200\r\n%b%b\r\n" % (payload, payload)], parser
        )
        self.assertEqual([frame[-1] for frame in frames], [payload, payload])
        self.assertIsNone(error)

    def test_one_byte_above(self) -> None:
        for line in (b"MSG a 1 101\r\n", b"HMSG a 1 12 113\r\n", b"HMSG a 1 101 101\r\n"):
            frames, error = read([line], Parser(max_inbound_payload=100))
            self.assertEqual(frames, [])
            self.assertIn("above max_inbound_payload, 100 bytes", str(error))

    def test_default(self) -> None:
        payload = bytes(DEFAULT_MAX_INBOUND_PAYLOAD)
        frames, error = read([b"MSG a 1 %d\r\n%b\r\n" % (len(payload), payload)])
        self.assertEqual((frames, error), ([("a", 1, None, b"", payload)], None))

    def test_max_payload_of_info_is_no_limit(self) -> None:
        """It limits what we publish."""
        msg = b"MSG a 1 2\r\nhi\r\n"
        seen_msg = ("a", 1, None, b"", b"hi")
        frames, error = read([msg + b'INFO {"max_payload":1}\r\n' + msg])
        self.assertEqual((frames, error), ([seen_msg, Info(max_payload=1), seen_msg], None))


class MemoryTests(SynchronousTestCase):
    """Memory is bounded, and bytes are not copied again and again."""

    def test_buffered(self) -> None:
        parser = Parser()
        self.assertEqual(parser.buffered, 0)
        for stream, buffered in (
            (b"PING\r\nPI", 2),
            (b"NG\r\n", 0),
            (b"MSG a 1 3\r\nx", 12),
            (b"yz\r", 15),
            (b"\n", 0),
        ):
            read([stream], parser)
            self.assertEqual(parser.buffered, buffered)

    def test_equal_lines_are_parsed_once(self) -> None:
        first, second = (frame for frame in FrameParser().feed(b"MSG a 1 2\r\nhi\r\nMSG a 1 2\r\nho\r\n"))
        assert isinstance(first, Msg)
        assert isinstance(second, Msg)
        self.assertIs(first.address, second.address)

    def test_new_subjects_of_a_known_subscription(self) -> None:
        """What was read before makes no difference to what a line is, however it is written."""
        before = b"MSG a 1 2\r\nhi\r\nHMSG a 1 18 20\r\n" + BLOCK + b"hi\r\n"
        for line in (
            b"MSG b 1 2", b"MSG b.c 1 2", b"MSG \xc3\xa5.\xff 1 2", b"MSG b\x0b\x0cc 1 2", b"MSG b\rc 1 2",
            b"MSG b 12 2", b"MSG b\t1 2", b"MSG b\tc 1 2", b"MSG  1 2", b"MSG b  1 2", b" MSG b 1 2", b"msg b 1 2",
            b"MSGb 1 2", b"MSG b 1 1 2", b"MSG 1 2", b"MSG  b 1 2", b"MSG b 1  2", b"MSG b -1 2", b"MSG b 1 r 2",
            b"HMSG b 1 2", b"HPUB b 1 2", b"PING 1 2", b"HMSG b 1 18 20", b"HMSG b 1 20 18", b"HMSG b 1 2 18",
            b"HMSG b\t1 18 20", b"HMSG b 1 r 18 20", b"MSG b 1 18 20",
            b"MSG _INBOX.a 1 2", b"MSG _INBOX. 1 2", b"MSG _INBOX.\xc3\xa5 1 2", b"MSG _INBOX.\xff 1 2",
            b"MSG _INBOX.a\t1 2", b"MSG _INBOX.a 1\t2", b"MSG _INBOX.a  1 2", b"MSG  _INBOX.a 1 2",
            b"MSG _INBOX.a 1 r 2", b"MSG _INBOX.a 1 1 2", b"MSG _INBOX.a 12 2", b"MSG _INBOX.a\rb 1 2",
            b"MSG _INBOX.a\x0b 1 2", b"HMSG _INBOX.a 1 18 20", b"MSG _INBOX.a 1 18 20", b"msg _INBOX.a 1 2",
        ):  # fmt: skip
            for body in (b"hi", BLOCK + b"hi"):
                stream = line + b"\r\n" + body + b"\r\n"
                parser, new = FrameParser(), Parser()
                self.assertIs(read([before], parser)[1], None)
                for _ in range(3):  # the second one may be known, the third one certainly
                    frames, error = read([stream], parser)
                    expected, problem = read([stream], new)
                    self.assertEqual((frames, str(error)), (expected, str(problem)), line)
                    if error is not None:
                        break

    def test_remembered_addresses_are_bounded(self) -> None:
        def addresses_alive() -> int:
            gc.collect()
            return sum(type(each) is Address for each in gc.get_objects())

        parser = FrameParser()
        before = addresses_alive()
        for number in range(30_000):
            frames, _ = read([b"MSG a.%d 1 0\r\n\r\n" % number], parser)
            self.assertEqual(frames, [(f"a.{number}", 1, None, b"", b"")])
        after = addresses_alive() - before
        self.assertGreater(after, 0)
        self.assertLessEqual(after, 8192 + 1024)

    def test_long_lines_are_not_remembered(self) -> None:
        msg = b"MSG %b 1 2\r\nhi\r\n" % (b"a" * 1000)
        other = b"MSG a 1 0\r\n\r\n"
        first, _, second = FrameParser().feed(msg + other + msg)
        assert isinstance(first, Msg)
        assert isinstance(second, Msg)
        self.assertIsNot(first.address, second.address)

    def test_a_large_payload_is_joined_once(self) -> None:
        size, step = 8 * 1024 * 1024, 64 * 1024
        parser = Parser()
        stream = b"MSG a 1 %d\r\n%b\r\n" % (size, bytes(size))
        chunks = [stream[i : i + step] for i in range(0, len(stream), step)]
        joins = 0

        def count_joins(frame: FrameType, event: str, function: Any) -> None:
            nonlocal joins
            if event == "c_call" and getattr(function, "__name__", "") == "join":
                joins += 1

        fed = 0
        previous = sys.getprofile()
        sys.setprofile(count_joins)
        try:
            for chunk in chunks[:-1]:
                frames = list(parser.feed(chunk))
                fed += len(chunk)
                self.assertEqual((frames, parser.buffered), ([], fed))
            frames = list(parser.feed(chunks[-1]))
        finally:
            sys.setprofile(previous)
        [msg] = map(seen, frames)
        self.assertEqual((msg[0], len(msg[-1]), parser.buffered), ("a", size, 0))
        self.assertEqual(joins, 1)


class ReceiverTests(SynchronousTestCase):
    """Messages that are given to the receiver of their subscription, and not yielded."""

    def setUp(self) -> None:
        self.given: list[tuple[str, bytes]] = []
        self.receivers: dict[int, Callable[[Any], object]] = {1: self.take}
        self.parser = Parser(receivers=self.receivers)

    def take(self, msg: Msg) -> None:
        """Receive a message."""
        self.given.append((msg.address.subject, msg.data))

    def test_by_sid(self) -> None:
        """A message of another subscription is yielded, as is every other frame; all in their order."""
        frames = []
        for frame in self.parser.feed(MSG % (1, 1) + b"PING\r\n" + MSG % (2, 2) + MSG % (1, 3)):
            frames.append((frame, len(self.given)))
        self.assertEqual([count for _, count in frames], [1, 1])
        self.assertIs(frames[0][0], Signal.PING)
        self.assertEqual(self.given, [("a", b"1"), ("a", b"3")])

    def test_in_pieces(self) -> None:
        """A message that comes in several chunks is given once."""
        stream = MSG % (1, 1) + MSG % (1, 2)
        for position in range(len(stream)):
            self.assertEqual([*self.parser.feed(stream[position : position + 1])], [])
        self.assertEqual(self.given, [("a", b"1"), ("a", b"2")])

    def test_removed_meanwhile(self) -> None:
        """A receiver that removes itself gets no more, not even from the same chunk."""
        self.receivers[1] = lambda msg: (self.take(msg), self.receivers.clear())
        frames = [*self.parser.feed((MSG % (1, 1)) * 3)]
        self.assertEqual((len(self.given), len(frames), self.parser.buffered), (1, 2, 0))

    def test_before_an_error(self) -> None:
        """What came before a malformed frame is given."""
        self.assertRaises(ProtocolError, list, self.parser.feed(MSG % (1, 1) + b"NONSENSE\r\n"))
        self.assertEqual(self.given, [("a", b"1")])
