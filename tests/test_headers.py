"""natsroute.wire.headers"""

from __future__ import annotations

import time
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError, HeaderError
from natsroute.wire.headers import (
    MAX_HEADER_LINES,
    Headers,
    _line_prefix,
    encode_headers,
    parse_headers,
    with_message_id,
)
from tests.fuzz.properties import headers_survive

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), min_size=1, max_size=8)
#: Any text, with lone surrogates, and with characters at the edges of what is valid.
ANY_TEXT = st.text(
    st.characters(exclude_categories=()) | st.sampled_from(" \t\r\n\v\f\0:\x7f\x85\xa0\u2028"), max_size=8
)


class ParseTests(SynchronousTestCase):
    """Parsing a header block."""

    def test_names_keep_their_case(self) -> None:
        """Names are case-sensitive."""
        headers = parse_headers(b"NATS/1.0\r\nNats-Msg-Id: 1\r\nnats-msg-id: 2\r\n\r\n")
        self.assertEqual(list(headers), ["Nats-Msg-Id", "nats-msg-id"])
        self.assertEqual((headers["Nats-Msg-Id"], headers["nats-msg-id"]), ("1", "2"))
        self.assertNotIn("NATS-MSG-ID", headers)
        self.assertRaises(KeyError, lambda: headers["NATS-MSG-ID"])

    def test_several_values(self) -> None:
        """The mapping has the first value, ``get_all`` all of them, in order."""
        headers = parse_headers(b"NATS/1.0\r\nA: 1\r\nB: x\r\nA: 3\r\nA: 2\r\n\r\n")
        self.assertEqual(dict(headers), {"A": "1", "B": "x"})
        self.assertEqual(len(headers), 2)
        self.assertEqual(headers.get_all("A"), ["1", "3", "2"])
        self.assertEqual(headers.get_all("a"), [])

    def test_published_again(self) -> None:
        """Received headers keep all their values, also beside a message id."""
        block = b"NATS/1.0 503 Why\r\nA: 1\r\nB: x\r\nA: 2\r\n\r\n"
        received = parse_headers(block)
        again = b"NATS/1.0\r\nA: 1\r\nA: 2\r\nB: x\r\n"
        self.assertEqual(encode_headers(received), again + b"\r\n")
        self.assertEqual(encode_headers(with_message_id(received, "7")), again + b"Nats-Msg-Id: 7\r\n\r\n")

    def test_get_all_returns_a_copy(self) -> None:
        headers = parse_headers(b"NATS/1.0\r\nA: 1\r\n\r\n")
        headers.get_all("A").append("2")
        self.assertEqual(headers.get_all("A"), ["1"])

    def test_white_space_around_a_value(self) -> None:
        """Spaces and tabs around a value are optional, and do not belong to it."""
        for line in (b"A:b c", b"A: b c", b"A:\t b c \t"):
            self.assertEqual(dict(parse_headers(b"NATS/1.0\r\n%b\r\n\r\n" % line)), {"A": "b c"})

    def test_other_white_space_is_kept(self) -> None:
        for value in ("\xa0x\xa0", "\x85x\u2028", "\vx\f", "\0"):
            block = f"NATS/1.0\r\nA: {value}\r\n\r\n".encode()
            self.assertEqual(parse_headers(block)["A"], value)

    def test_empty_value(self) -> None:
        self.assertEqual(dict(parse_headers(b"NATS/1.0\r\nA:\r\nB: \r\n\r\n")), {"A": "", "B": ""})

    def test_colons_in_a_value(self) -> None:
        self.assertEqual(dict(parse_headers(b"NATS/1.0\r\nA: b:c: d\r\n\r\n")), {"A": "b:c: d"})

    def test_no_headers(self) -> None:
        for block in (b"NATS/1.0\r\n\r\n", b"NATS/1.0 \t \r\n\r\n"):
            headers = parse_headers(block)
            self.assertEqual((dict(headers), headers.status, headers.description), ({}, None, ""))

    def test_status_lines(self) -> None:
        for line, status, description in (
            (b" 100 Idle Heartbeat", 100, "Idle Heartbeat"),
            (b" 100 FlowControl Request", 100, "FlowControl Request"),
            (b" 404 No Messages", 404, "No Messages"),
            (b" 408 Request Timeout", 408, "Request Timeout"),
            (b" 409 Message Size Exceeds MaxBytes", 409, "Message Size Exceeds MaxBytes"),
            (b" 503", 503, ""),
            (b" 503 ", 503, ""),
            (b"\t503 \t no\tresponders \t", 503, "no\tresponders"),
            (b" 409 d\xc3\xa9j\xc3\xa0 \xff", 409, "déjà \udcff"),
        ):
            headers = parse_headers(b"NATS/1.0%b\r\n\r\n" % line)
            self.assertEqual((headers.status, headers.description), (status, description))

    def test_status_with_headers(self) -> None:
        headers = parse_headers(b"NATS/1.0 409 Leadership Change\r\nNats-Pending-Messages: 3\r\n\r\n")
        self.assertEqual((headers.status, headers.description), (409, "Leadership Change"))
        self.assertEqual(dict(headers), {"Nats-Pending-Messages": "3"})

    def test_bad_status_lines(self) -> None:
        for line in (b"503", b"x", b" abc", b" 5", b" 50", b" 5033", b" 503x", b" 603", b" 099", b" -50", b".1 503"):
            error = self.assertRaises(DecodeError, parse_headers, b"NATS/1.0%b\r\n\r\n" % line)
            self.assertIn("not a NATS/1.0 status line", str(error))
        digits = " 1\N{ARABIC-INDIC DIGIT ONE}\N{ARABIC-INDIC DIGIT TWO}".encode()
        self.assertRaises(DecodeError, parse_headers, b"NATS/1.0%b\r\n\r\n" % digits)

    def test_white_space_in_a_status_line_is_cheap(self) -> None:
        """Any publisher can send much of it, so the time must not grow faster than its length."""
        white_space = b" " * 100_000
        started = time.thread_time()
        headers = parse_headers(b"NATS/1.0%b503%bx%by%b\r\n\r\n" % ((white_space,) * 4))
        self.assertEqual((headers.status, headers.description), (503, f"x{white_space.decode()}y"))
        for line in (b" 503%ba\nb" % (b" " * 1500), white_space + b"x", b" 503\v" + white_space + b"x"):
            self.assertRaises(DecodeError, parse_headers, b"NATS/1.0%b\r\n\r\n" % line)
        self.assertLess(time.thread_time() - started, 2)  # it takes milliseconds; with backtracking, many seconds

    def test_many_names_are_cheap(self) -> None:
        """The time grows with the length of the block, not faster."""
        started = time.thread_time()
        for names in (8_000, 100_000):
            block = b"NATS/1.0\r\n%b\r\n" % b"".join(b"N%d: v\r\n" % number for number in range(names))
            headers = parse_headers(block)
            self.assertEqual((len(headers), headers[f"N{names - 1}"]), (names, "v"))
            self.assertEqual(encode_headers(headers), block)
        self.assertLess(time.thread_time() - started, 5)  # it takes 0.2 s

    def test_more_lines_than_may_be(self) -> None:
        """A block of 64 MiB could have 16 million lines, which would take many seconds and gigabytes."""
        block = b"NATS/1.0\r\n%b\r\n" % (b"A:\r\n" * MAX_HEADER_LINES)
        self.assertEqual(len(parse_headers(block).get_all("A")), MAX_HEADER_LINES)
        more = b"NATS/1.0\r\n%b\r\n" % (b"A:\r\n" * (16 * 1024 * 1024))
        started = time.thread_time()
        error = self.assertRaises(DecodeError, parse_headers, more)
        self.assertLess(time.thread_time() - started, 2)
        self.assertEqual(str(error), "16777216 header lines; natsroute reads at most 131072 of a message")

    def test_long_names_are_not_remembered(self) -> None:
        """A route that sends received headers on keeps none of their names, which a publisher chooses."""
        before = _line_prefix.cache_info().misses
        name = "N" * 5000
        self.assertEqual(encode_headers({name: "v"}), b"NATS/1.0\r\n%b: v\r\n\r\n" % name.encode())
        self.assertEqual(_line_prefix.cache_info().misses, before)
        self.assertRaises(HeaderError, encode_headers, {name + ":": "v"})

    def test_malformed_blocks(self) -> None:
        for block in (
            b"",
            b"\r\n\r\n",
            b"NATS/1.0",
            b"NATS/1.0\r\n",
            b"NATS/1.0\n\n",
            b"nats/1.0\r\n\r\n",
            b"NATS/1.1\r\n\r\n",
            b" NATS/1.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"NATS/1.0\r\nA: b",
            b"NATS/1.0\r\nA: b\r\n",
            b"NATS/1.0\r\n\r\nA: b\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n\r\nx",
            b"NATS/1.0\r\nA\r\n\r\n",
            b"NATS/1.0\r\n: b\r\n\r\n",
            b"NATS/1.0\r\n A: b\r\n\r\n",
            b"NATS/1.0\r\nA : b\r\n\r\n",
            b"NATS/1.0\r\nA b: c\r\n\r\n",
            b"NATS/1.0\r\nA: b\r\n folded\r\n\r\n",
            b"NATS/1.0\r\n\xc3\xa5: b\r\n\r\n",
            b"NATS/1.0\r\n\0: b\r\n\r\n",
        ):
            error = self.assertRaises(DecodeError, parse_headers, block)
            self.assertRegex(str(error), "^not a (NATS/1.0 header block|header line)")

    def test_lone_cr_and_lf(self) -> None:
        """Some readers would see one header, others two, and the headers could not be published again."""
        for block in (b"A: b\nC: d", b"A: b\rC: d", b"A: b\n", b"A: \r\r\nB: c", b"A\n: b"):
            self.assertRaises(DecodeError, parse_headers, b"NATS/1.0\r\n%b\r\n\r\n" % block)
        self.assertRaises(DecodeError, parse_headers, b"NATS/1.0 503\nA: b\r\n\r\n")

    def test_bytes_that_are_not_utf8(self) -> None:
        """They are encoded as they were received."""
        block = b"NATS/1.0\r\nA: \xff\xc3\xa5\x80\r\n\r\n"
        headers = parse_headers(block)
        self.assertEqual(headers["A"], "\udcffå\udc80")
        self.assertEqual(encode_headers(headers), block)

    def test_errors_quote_long_blocks_in_part(self) -> None:
        for block in (b"x" * 10_000, b"NATS/1.0\r\n" + b"x" * 10_000 + b"\r\n\r\n"):
            self.assertLess(len(str(self.assertRaises(DecodeError, parse_headers, block))), 500)

    @quick
    @given(st.binary(max_size=60), st.booleans())
    def test_any_bytes(self, block: bytes, framed: bool) -> None:
        headers_survive(b"NATS/1.0\r\n%b\r\n\r\n" % block if framed else block)


class EncodeTests(SynchronousTestCase):
    """Encoding headers."""

    def test_golden_bytes(self) -> None:
        """Names keep their case and order, and each value has its own line."""
        self.assertEqual(
            encode_headers({"Nats-Msg-Id": "1", "a": ["x", "", "å"], "B": ("y",), "none": []}),
            b"NATS/1.0\r\nNats-Msg-Id: 1\r\na: x\r\na: \r\na: \xc3\xa5\r\nB: y\r\n\r\n",
        )
        self.assertEqual(encode_headers({}), b"NATS/1.0\r\n\r\n")

    def test_bad_names(self) -> None:
        names: list[Any] = [
            "",
            "a b",
            "a:",
            ":",
            "a\r\nB",
            "a\n",
            "a\r",
            "\t",
            "a\0",
            "\x7f",
            "å",
            "a\xa0",
            b"a",
            1,
            None,
        ]
        for name in names:
            error = self.assertRaises(HeaderError, encode_headers, {name: "x"})
            self.assertIn(f"header name {name!r}", str(error))

    def test_bad_values(self) -> None:
        """A line break would inject a header; a lone surrogate cannot be encoded as UTF-8."""
        values: list[Any] = [
            "a\r\nB: c",
            "a\n",
            "\r",
            "\ud800",
            "\udfff",
            b"x",
            1,
            None,
            1.5,
            ["x", 1],
            ["x", "\n"],
            [["x"]],
        ]
        for value in values:
            error = self.assertRaises(HeaderError, encode_headers, {"Ok": "x", "Bad": value})
            self.assertIn("header Bad", str(error))

    @quick
    @given(st.dictionaries(NAMES, st.lists(ANY_TEXT, min_size=1, max_size=3), max_size=4))
    def test_round_trip(self, headers: dict[str, list[str]]) -> None:
        """Headers are refused, or parsed again unchanged, except for spaces and tabs around values."""
        try:
            block = encode_headers(headers)
        except HeaderError:
            values = [value for each in headers.values() for value in each]
            self.assertTrue(any(set(value) & set("\r\n") or not _is_utf8(value) for value in values))
            return
        read = parse_headers(block)
        expected = {name: [value.strip(" \t") for value in values] for name, values in headers.items()}
        self.assertEqual({name: read.get_all(name) for name in read}, expected)
        self.assertEqual(list(read), list(headers))

    @quick
    @given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3))
    def test_no_line_break_reaches_the_wire(self, headers: dict[str, str]) -> None:
        """Any headers are refused, or have exactly one line for each value."""
        try:
            block = encode_headers(headers)
        except HeaderError:
            return
        self.assertEqual(block.split(b"\r\n")[0], b"NATS/1.0")
        for line_end in (b"\r\n", b"\r", b"\n"):
            self.assertEqual(block.count(line_end), len(headers) + 2)


class HeadersTests(SynchronousTestCase):
    """The mapping."""

    def test_is_empty_by_default(self) -> None:
        headers = Headers()
        self.assertEqual((dict(headers), headers.status, headers.description), ({}, None, ""))

    def test_repr(self) -> None:
        self.assertEqual(repr(Headers({"A": ["b", "c"]})), "Headers({'A': ['b', 'c']})")
        self.assertEqual(repr(Headers({}, 503, "x")), "Headers({}, status=503, description='x')")


def _is_utf8(value: str) -> bool:
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class MessageIdTests(SynchronousTestCase):
    """with_message_id()"""

    def test_with_message_id(self) -> None:
        """The headers of the caller are not changed."""
        headers = {"N": "v"}
        self.assertEqual(with_message_id(headers, "1"), {"N": "v", "Nats-Msg-Id": "1"})
        self.assertEqual((with_message_id(None, "1"), headers), ({"Nats-Msg-Id": "1"}, {"N": "v"}))
