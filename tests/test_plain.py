"""natsroute.monitoring.http.plain"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http.plain import MAX_HEAD, Head, response
from natsroute.monitoring.http.resources import Answer
from natsroute.monitoring.http.security import HEADERS
from tests.support.http_requests import responses

REQUEST = b"GET /a?b HTTP/1.1\r\nHost: x\r\nhost:\ty \r\nAccept:\r\n\r\n"


class HeadTests(SynchronousTestCase):
    """The head of a request."""

    def test_split_anywhere(self) -> None:
        """It is incomplete until its last byte is there."""
        for end in range(len(REQUEST)):
            self.assertIsNone(Head.parse(REQUEST[:end]))
        head = Head.parse(REQUEST)
        assert head is not None
        self.assertEqual((head.method, head.path, head.old), (b"GET", b"/a", False))
        self.assertEqual((head.values(b"host"), head.values(b"accept")), ([b"x", b"y"], [b""]))

    def test_rest(self) -> None:
        """What follows is not read."""
        self.assertEqual(Head.parse(REQUEST + b"\x00\r\n\r\n"), Head.parse(REQUEST))

    def test_malformed(self) -> None:
        for data in (
            b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
            b"GET / HTTP/1.1\r\n folded: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
            b"GET / HTTP/1.1\nHost: x\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET  / HTTP/1.1\r\n\r\n",
            b"GET /\r\n\r\n",
            b"\r\n\r\n",
        ):
            self.assertRaises(ValueError, Head.parse, data)

    def test_long(self) -> None:
        """Its length is bounded, whether or not it ends."""
        head = b"GET / HTTP/1.1\r\nA: "
        longest = head + b"a" * (MAX_HEAD - len(head))
        self.assertIsNotNone(Head.parse(longest + b"\r\n\r\n"))
        self.assertIsNone(Head.parse(longest))
        self.assertRaises(ValueError, Head.parse, longest + b"a\r\n\r\n")
        self.assertRaises(ValueError, Head.parse, longest + b"aaaa")

    @given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"))
    def test_any_bytes(self, data: bytes) -> None:
        """They are a head, or not."""
        try:
            head = Head.parse(data)
        except ValueError:
            return
        if head is not None:
            self.assertNotIn(b"\n", b"".join(head.values(b"a")))


class ResponseTests(SynchronousTestCase):
    """A response as bytes."""

    def test_response(self) -> None:
        (found,) = responses(response(Answer.text("ü", 405, (b"Allow", b"GET"))))
        self.assertEqual((found.status, found.text, found.headers["allow"]), (405, "ü", "GET"))
        self.assertEqual((found.headers["connection"], found.headers["content-length"]), ("close", "3"))
        for name, value in HEADERS:
            self.assertEqual(found.headers[name.decode().lower()], value.decode())

    def test_head(self) -> None:
        (found,) = responses(response(Answer.text("abc"), body=False), head=True)
        self.assertEqual((found.body, found.headers["content-length"]), (b"", "4"))
