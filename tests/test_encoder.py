"""natsroute.wire.encoder"""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PermissionsError, SubjectError
from natsroute.wire import encoder
from natsroute.wire.encoder import (
    PING,
    PONG,
    encode_answer,
    encode_connect,
    encode_pub,
    encode_sub,
    encode_unsub,
    read_pub,
    request_template,
    split_pubs,
)
from natsroute.wire.frames import ConnectOptions, Err
from natsroute.wire.headers import encode_headers
from natsroute.wire.parser import DEFAULT_MAX_CONTROL_LINE, Parser
from natsroute.wire.server_errors import server_error
from tests.fuzz.properties import what_is_published_arrives

quick = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

#: Any text, with lone surrogates, and with characters at the edges of what is valid.
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from("a.*> \t\r\n\v\f\0\x7f\udc0a\udcff"), max_size=8
)
#: Valid names, with any UTF-8 and with bytes that are not UTF-8.
NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=0x80) | st.sampled_from("a*>_$\udcff"), min_size=2),
    min_size=1,
    max_size=4,
).map(".".join)
INJECTIONS = ("a\r\nPUB b 0\r\n", "a\n", "a\r", "a b", " a", "a ", "a\tb", "a\0", "a\x7f", "", "\ud800", "a\udc0ab")

BLOCK = encode_headers({"A": "b"})


def parsed_pub(data: bytes) -> tuple[str, str | None, bytes, bytes]:
    """The subject, reply subject, headers and payload of exactly one PUB or HPUB."""
    line, _, rest = data.partition(b"\r\n")
    command, *words = line.decode("utf-8", "surrogateescape").split(" ")
    header_size = int(words.pop(-2)) if command == "HPUB" else 0
    size = int(words.pop())
    assert command in ("PUB", "HPUB"), command
    assert rest[size:] == b"\r\n", rest
    assert header_size <= size, line
    subject, *reply = words
    return subject, reply[0] if reply else None, rest[:header_size], rest[header_size:size]


class GoldenTests(SynchronousTestCase):
    """The bytes of each command."""

    def test_ping_and_pong(self) -> None:
        self.assertEqual((PING, PONG), (b"PING\r\n", b"PONG\r\n"))

    def test_connect(self) -> None:
        options = ConnectOptions(name="a\r\nPING\r\n", version="1.0", login={"user": "u", "pass": "p"})
        data = encode_connect(options)
        self.assertEqual(data, b"CONNECT %b\r\n" % options.to_json())
        self.assertEqual(data.count(b"\n"), 1)
        self.assertEqual(json.loads(data[len(b"CONNECT ") : -2])["pass"], "p")

    def test_pub(self) -> None:
        self.assertEqual(encode_pub("a.b", b"hello"), b"PUB a.b 5\r\nhello\r\n")
        self.assertEqual(encode_pub("a.b", b""), b"PUB a.b 0\r\n\r\n")
        self.assertEqual(encode_pub("a.b", b"hello", "_INBOX.1"), b"PUB a.b _INBOX.1 5\r\nhello\r\n")
        self.assertEqual(encode_pub("a", b"\r\n\0\xff"), b"PUB a 4\r\n\r\n\0\xff\r\n")
        self.assertEqual(encode_pub("å", b""), b"PUB \xc3\xa5 0\r\n\r\n")

    def test_hpub(self) -> None:
        """The sizes are that of the headers, and that of headers and payload."""
        self.assertEqual(
            encode_pub("a.b", b"hello", headers=BLOCK), b"HPUB a.b 18 23\r\nNATS/1.0\r\nA: b\r\n\r\nhello\r\n"
        )
        self.assertEqual(encode_pub("a.b", b"", "r", BLOCK), b"HPUB a.b r 18 18\r\nNATS/1.0\r\nA: b\r\n\r\n\r\n")

    def test_sub(self) -> None:
        self.assertEqual(encode_sub("a.>", 7), b"SUB a.> 7\r\n")
        self.assertEqual(encode_sub("a.*.b", 7, "2021"), b"SUB a.*.b 2021 7\r\n")

    def test_unsub(self) -> None:
        self.assertEqual(encode_unsub(7), b"UNSUB 7\r\n")
        self.assertEqual(encode_unsub(7, 10), b"UNSUB 7 10\r\n")


class InjectionTests(SynchronousTestCase):
    """Any name is refused, or is written as one word of one line."""

    def test_each_argument(self) -> None:
        encoders: list[Callable[[str], bytes]] = [
            lambda name: encode_pub(name, b"x"),
            lambda name: encode_pub(name, b"x", "r"),
            lambda name: encode_pub("a", b"x", name),
            lambda name: encode_pub(name, b"x", None, BLOCK),
            lambda name: encode_pub(name, b"x", "r", BLOCK),
            lambda name: encode_pub("a", b"x", name, BLOCK),
            lambda name: encode_sub(name, 1),
            lambda name: encode_sub(name, 1, "q"),
            lambda name: encode_sub("a", 1, name),
        ]
        for encode in encoders:
            for name in INJECTIONS:
                for _ in range(2):  # a refused name is not remembered as valid
                    self.assertRaises(SubjectError, encode, name)

    def test_answers_and_requests(self) -> None:
        """Their subjects are checked as all others are."""
        for subject in ("a\r\nPUB b 0\r\n\r\n", "a b", "a.*", ">", "a..b", "", ".a", "a.", "a\0"):
            self.assertRaises(SubjectError, encode_answer, subject, b"")
            self.assertRaises(SubjectError, request_template, subject)

    def test_wildcards(self) -> None:
        """Only subscriptions may have them; a queue group may look like one."""
        for wildcard in ("*", ">", "a.*", "a.>"):
            self.assertRaises(SubjectError, encode_pub, wildcard, b"")
            self.assertRaises(SubjectError, encode_pub, "a", b"", wildcard)
            self.assertRaises(SubjectError, encode_pub, "a", b"", wildcard, BLOCK)
            self.assertEqual(encode_sub(wildcard, 1, ">"), b"SUB %b > 1\r\n" % wildcard.encode())
        self.assertRaises(SubjectError, encode_sub, "a.>.b", 1)

    def test_reply_subjects_with_the_same_prefix(self) -> None:
        """A remembered prefix does not make the last token of another subject valid."""
        encode_pub("a", b"", "_INBOX.x.1")
        for token in ("", "*", ">", "a b", "a\r\nPING", "\0", "\ud800", "."):
            self.assertRaises(SubjectError, encode_pub, "a", b"", f"_INBOX.x.{token}")
        for token in ("Az09", "a-b", "$", "\N{SUPERSCRIPT TWO}", "å", "\udcff"):
            reply = f"_INBOX.x.{token}"
            expected = b"PUB a %b 0\r\n\r\n" % reply.encode("utf-8", "surrogateescape")
            self.assertEqual(encode_pub("a", b"", reply), expected)
        for prefix in ("", ".", "a.", ".a", "a..b", "*", "a.>", "a b", "a\r\nPING", "\ud800"):
            for _ in range(2):  # a refused prefix is not remembered as valid
                self.assertRaises(SubjectError, encode_pub, "a", b"", f"{prefix}.1")

    def test_empty_tokens(self) -> None:
        for name in (".a", "a.", "a..b", "."):
            self.assertRaises(SubjectError, encode_pub, name, b"")
            self.assertRaises(SubjectError, encode_pub, "a", b"", name)
            self.assertRaises(SubjectError, encode_sub, name, 1)

    @quick
    @given(ANY_TEXT, st.none() | ANY_TEXT, st.binary(max_size=20), st.booleans())
    def test_pub(self, subject: str, reply: str | None, payload: bytes, with_headers: bool) -> None:
        headers = BLOCK if with_headers else b""
        try:
            data = encode_pub(subject, payload, reply, headers)
        except SubjectError:
            return
        self.assertEqual(parsed_pub(data), (subject, reply, headers, payload))
        self.assertEqual(encode_answer(subject, payload, headers), encode_pub(subject, payload, None, headers))
        if reply is not None:
            request = request_template(subject) % (reply.encode("utf-8", "surrogateescape"), len(payload), payload)
            self.assertEqual(request, encode_pub(subject, payload, reply))
        self.assert_one_line(data[: len(data) - len(headers) - len(payload) - len(b"\r\n")])

    @quick
    @given(ANY_TEXT, st.none() | ANY_TEXT, st.integers(1, 10**6))
    def test_sub(self, subject: str, queue_group: str | None, sid: int) -> None:
        try:
            data = encode_sub(subject, sid, queue_group)
        except SubjectError:
            return
        self.assert_one_line(data)
        words = [subject, str(sid)] if queue_group is None else [subject, queue_group, str(sid)]
        self.assertEqual(data.decode("utf-8", "surrogateescape"), f"SUB {' '.join(words)}\r\n")

    def assert_one_line(self, data: bytes) -> None:
        self.assertEqual(data[-2:], b"\r\n")
        self.assertFalse(set(data[:-2]) & ({*range(0x20), 0x7F}), data)


class LengthTests(SynchronousTestCase):
    """No control line is too long for a server, which would close the connection again and again."""

    def setUp(self) -> None:
        self.longest = DEFAULT_MAX_CONTROL_LINE // 2 - 32

    def test_the_longest_names_fit(self) -> None:
        name = "a" * self.longest
        payload = headers = bytes(10_000_000)  # eight digits, as the largest sizes have
        for data in (encode_pub(name, payload, name, headers), encode_pub(name, payload, name)):
            self.assertLessEqual(data.index(b"\r\n"), DEFAULT_MAX_CONTROL_LINE)
        self.assertLessEqual(len(encode_sub(name, 2**63, name)), DEFAULT_MAX_CONTROL_LINE)

    def test_longer_names_are_refused(self) -> None:
        """Bytes are counted, not characters."""
        for name in ("a" * (self.longest + 1), "å" * (self.longest // 2 + 1), "a." * 3000 + "a"):
            for kind, encode in (
                ("subject", lambda name=name: encode_pub(name, b"")),
                ("subject", lambda name=name: encode_pub("a", b"", name)),
                ("subject", lambda name=name: encode_sub(name, 1)),
                ("queue group", lambda name=name: encode_sub("a", 1, name)),
            ):
                error = self.assertRaises(SubjectError, encode)
                self.assertTrue(str(error).startswith(f"{kind} "), error)
                self.assertIn(f"has {len(name.encode())} bytes; the maximum is {self.longest}", str(error))
                self.assertLess(len(str(error)), 600)  # the name is truncated
        encode_pub("å" * (self.longest // 2), b"")

    def test_an_error_about_the_longest_names_can_be_parsed(self) -> None:
        """nats-server 2.15.1 writes an escape for each byte that is not UTF-8."""
        quoted = b"\\xff" * self.longest
        [frame] = Parser().feed(
            b'-ERR \'Permissions Violation for Subscription to "%b" using queue "%b"\'\r\n' % (quoted, quoted)
        )
        assert isinstance(frame, Err)
        refused = server_error(frame.text)
        assert isinstance(refused, PermissionsError)
        name = "\udcff" * self.longest
        self.assertEqual((refused.subject, refused.queue_group), (name, name))
        encode_sub(refused.subject, 1, refused.queue_group)

    def test_remembered_names_are_bounded(self) -> None:
        max_size = encoder.encode_subject.cache_info().maxsize
        assert max_size is not None
        self.addCleanup(encoder.encode_subject.cache_clear)
        for number in range(max_size + 100):
            self.assertEqual(encode_pub(f"a.{number}", b""), b"PUB a.%d 0\r\n\r\n" % number)
        self.assertEqual(encoder.encode_subject.cache_info().currsize, max_size)

    def test_remembered_reply_prefixes_are_bounded(self) -> None:
        """In number and in length, since other clients choose them."""
        remembered = encoder._is_plain_prefix
        max_size = remembered.cache_info().maxsize
        assert max_size is not None
        remembered.cache_clear()
        self.addCleanup(remembered.cache_clear)
        long = "a" * 300
        self.assertEqual(encode_pub("a", b"", f"{long}.1"), b"PUB a %b.1 0\r\n\r\n" % long.encode())
        self.assertEqual(remembered.cache_info().currsize, 0)
        for number in range(max_size + 100):
            self.assertEqual(encode_pub("a", b"", f"b.{number}.1"), b"PUB a b.%d.1 0\r\n\r\n" % number)
        self.assertEqual(remembered.cache_info().currsize, max_size)


class ReadBackTests(SynchronousTestCase):
    """Commands that were joined can be split again, and messages arrive unchanged."""

    @quick
    @given(
        NAMES | ANY_TEXT,
        st.none() | NAMES | ANY_TEXT,
        st.dictionaries(
            st.sampled_from(["A", "a", "Nats-Msg-Id"]) | ANY_TEXT, st.lists(NAMES | ANY_TEXT, max_size=3), max_size=3
        ),
        st.binary(max_size=30),
    )
    def test_what_is_published_arrives(
        self, subject: str, reply: str | None, headers: dict[str, list[str]], payload: bytes
    ) -> None:
        what_is_published_arrives(subject, reply, headers, payload)

    def test_the_longest_names_arrive(self) -> None:
        name = "a" * (DEFAULT_MAX_CONTROL_LINE // 2 - 32)
        what_is_published_arrives(name, name, {"A": ["b"]}, b"hello")

    @quick
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["a", "a.b", "ü.\udcff"]),
                st.binary(max_size=20) | st.sampled_from([b"\r\n", b"PUB a 1\r\nx\r\n"]),
                st.none() | st.just("r.1"),
                st.sampled_from([b"", BLOCK]),
            )
        )
    )
    def test_round_trip(self, messages: list[tuple[str, bytes, str | None, bytes]]) -> None:
        commands = [encode_pub(*message) for message in messages]
        self.assertEqual(list(split_pubs(b"".join(commands))), commands)
        for (subject, payload, reply, block), command in zip(messages, commands):
            pub = read_pub(command)
            self.assertEqual(pub.subjects, [subject] if reply is None else [subject, reply])
            self.assertEqual(pub.size, len(payload) + len(block))
