"""natsroute.kamailio.sip.parts"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.sip.parts import NameAddr, ToBody, parse_name_addr, parse_params, parse_to_body


class ParamsTests(SynchronousTestCase):
    """Lists of parameters."""

    def test_lists(self) -> None:
        """Names, values, quotes, white space and ends."""
        for text, expected in (
            (b"a=1;b=2", [(b"a", b"1"), (b"b", b"2")]),
            (b"a;b;", [(b"a", b""), (b"b", b"")]),
            (b"a = 1 ;\tb ", [(b"a", b"1"), (b"b", b"")]),
            (b"a=\"x;y\";b='z w'", [(b"a", b"x;y"), (b"b", b"z w")]),
            (b"a=1,b=2", [(b"a", b"1")]),
            (b"a=1>;b", [(b"a", b"1>"), (b"b", b"")]),
            (b"a >;b", [(b"a", b"")]),
            (b"a=b=c", [(b"a", b"b=c")]),
            (b"=x", [(b"", b"x")]),
            (b"a=", [(b"a", b"")]),
            (b"a==b", [(b"a", b"=b")]),
        ):
            self.assertEqual(list(parse_params(text)), expected, text)

    def test_separator(self) -> None:
        """Any byte, but a comma ends the list all the same."""
        self.assertEqual(list(parse_params(b"a=1&b;c", b"&")), [(b"a", b"1"), (b"b;c", b"")])
        self.assertEqual(list(parse_params(b"a,b", b",")), [(b"a", b"")])

    def test_refused(self) -> None:
        """What is no list."""
        for text in (b"a b", b" a", b"a=;b", b'a="x', b"a=1 b", b'a="x"y', b"a; "):
            self.assertRaises(EvaluationError, parse_params, text)


class NameAddrTests(SynchronousTestCase):
    """Name-addresses."""

    def test_parts(self) -> None:
        """The name with its quotes and blanks, the URI without brackets."""
        for text, expected in (
            (b'"Al" <sip:a@b>;tag=1', NameAddr(b'"Al" ', b"sip:a@b", 14)),
            (b"sip:a@b", NameAddr(b"", b"sip:a@b", 7)),
            (b'"<x>" <sip:a@b>', NameAddr(b'"<x>" ', b"sip:a@b", 15)),
            (b'"a\\"<" <u>', NameAddr(b'"a\\"<" ', b"u", 10)),
            (b"<>", NameAddr(b"", b"", 2)),
        ):
            self.assertEqual(parse_name_addr(text), expected)

    def test_refused(self) -> None:
        """A bracket that is never closed."""
        self.assertRaises(EvaluationError, parse_name_addr, b"<sip:a@b")


class ToBodyTests(SynchronousTestCase):
    """Bodies of To and From; each of these was compared with Kamailio."""

    def test_parts(self) -> None:
        """Display name, URI, tag and parameters."""
        for text, expected in (
            (b'"Al Ice" <sip:a@b>;tag=abc', ToBody(b'"Al Ice"', b"sip:a@b", b"abc", b"tag=abc")),
            (b"sip:a@b;tag=5", ToBody(b"", b"sip:a@b", b"5", b"tag=5")),
            (b"Al  Ice  <sip:a@b>", ToBody(b"Al  Ice", b"sip:a@b", b"", b"")),
            (b"A\r\n B <sip:a@b>", ToBody(b"A\r\n B", b"sip:a@b", b"", b"")),
            (b"<sip:a@b;lr> ; tag = 5 ; x", ToBody(b"", b"sip:a@b;lr", b"5", b"tag = 5 ; x")),
            (b"< sip:a@b >", ToBody(b"", b"sip:a@b", b"", b"")),
            (b"<u>;tag=1;Tag=2", ToBody(b"", b"u", b"2", b"tag=1;Tag=2")),
            (b'<u>;tag="q;u";x', ToBody(b"", b"u", b"q;u", b'tag="q;u";x')),
            (b"<u>;tag=a,b", ToBody(b"", b"u", b"a,b", b"tag=a,b")),
            (b"<u>;tag=1\r\nrest", ToBody(b"", b"u", b"1", b"tag=1\r\nrest")),
            (b"<u>;tag", ToBody(b"", b"u", b"", b"tag")),
        ):
            self.assertEqual(parse_to_body(text), expected)

    def test_refused(self) -> None:
        """What is no such body."""
        for text in (
            b"", b"  ", b"<", b"<>", b"<u", b"u>", b"<u v>", b"<u>x", b"<u>;", b"<u>;;x", b"<u>;x=1,y", b"<u>,<v>",
            b'"x', b'"x"', b'"x" y <u>', b"a\\b <u>", b'<u>;x="a\\"b"', b"<u>;a=b=c", b"<u>;=x", b"<u>\r\n\\",
        ):  # fmt: skip
            self.assertRaises(EvaluationError, parse_to_body, text)

    def test_takes_no_time(self) -> None:
        """A long text that is no address at its end is refused as fast as it is read."""
        for text in (b"a" * 50_000 + b'"', b"a " * 25_000 + b'"', b"\r\n " * 20_000, b'"' + b"\\a" * 25_000):
            begun = time.thread_time()
            self.assertRaises(EvaluationError, parse_to_body, text)
            self.assertLess(time.thread_time() - begun, 2)
