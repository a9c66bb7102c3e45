"""natsroute.wire.frames"""

from __future__ import annotations

import copy
import json
import pickle
import time
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import DecodeError, ProtocolError
from natsroute.wire.frames import (
    DEFAULT_MAX_PAYLOAD,
    MAX_PAYLOAD_LIMIT,
    Address,
    ConnectOptions,
    Err,
    Info,
    Msg,
    Signal,
)

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: The INFO of nats-server 2.15.1.
REAL_INFO = {
    "server_id": "NDHSYTPFZGXD7EX3OFBLYVRQ7DSZL3S7M45AFA2GYDCB7WQ3CNK6AJQ2",
    "server_name": "n1",
    "version": "2.15.1",
    "proto": 1,
    "git_commit": "b2fd3ef",
    "go": "go1.27.2",
    "host": "127.0.0.1",
    "port": 4222,
    "headers": True,
    "auth_required": True,
    "tls_available": True,
    "max_payload": 1048576,
    "client_id": 6,
    "client_ip": "127.0.0.1",
    "connect_urls": ["10.0.0.1:4222", "[fd00::1]:4222"],
    "nonce": "a secret to sign",
    "xkey": "XBSLNSAEMOBSV43KKDZQOQCOICBPYDAV3WTV2XIEKBPQWCAYF27V5SPI",
}


def info(**fields: Any) -> Info:
    return Info.from_json(json.dumps(fields).encode())


class InfoTests(SynchronousTestCase):
    """The JSON of ``INFO``, parsed and checked."""

    def test_known_fields(self) -> None:
        expected = Info(
            server_id="NDHSYTPFZGXD7EX3OFBLYVRQ7DSZL3S7M45AFA2GYDCB7WQ3CNK6AJQ2",
            server_name="n1",
            version="2.15.1",
            host="127.0.0.1",
            port=4222,
            headers=True,
            auth_required=True,
            tls_available=True,
            max_payload=1048576,
            client_id=6,
            connect_urls=("10.0.0.1:4222", "[fd00::1]:4222"),
            nonce="a secret to sign",
        )
        self.assertEqual(info(**REAL_INFO), expected)

    def test_unknown_fields_are_kept(self) -> None:
        """``fields`` has all fields, unchanged."""
        self.assertEqual(info(**REAL_INFO, new={"a": [1]}).fields, {**REAL_INFO, "new": {"a": [1]}})

    def test_missing_fields_have_defaults(self) -> None:
        """Fields that are null count as missing."""
        nothing = Info.from_json(b"{}")
        self.assertEqual(nothing, Info())
        self.assertEqual((nothing.max_payload, nothing.port, nothing.client_id), (1024 * 1024, 0, 0))
        self.assertEqual((nothing.tls_required, nothing.ldm, nothing.headers), (False, False, False))
        self.assertEqual(info(port=None, max_payload=None, connect_urls=None, ldm=None), Info())

    def test_flags(self) -> None:
        self.assertEqual(info(ldm=True, tls_required=True), Info(ldm=True, tls_required=True))

    def test_max_payload(self) -> None:
        """-1 means "no limit", but natsroute has one."""
        for size in (-1, 0, -(10**30), MAX_PAYLOAD_LIMIT + 1, 10**30):
            self.assertEqual(info(max_payload=size).max_payload, MAX_PAYLOAD_LIMIT, size)
        for size in (1, DEFAULT_MAX_PAYLOAD, MAX_PAYLOAD_LIMIT):
            self.assertEqual(info(max_payload=size).max_payload, size)

    def test_wrong_types(self) -> None:
        """The error names the field, and the value that was sent. A bool is no number."""
        for name, value, kind in (
            ("server_id", 1, "str"),
            ("nonce", ["n"], "str"),
            ("host", False, "str"),
            ("port", "4222", "int"),
            ("port", True, "int"),
            ("max_payload", 1.5, "int"),
            ("client_id", {}, "int"),
            ("headers", 1, "bool"),
            ("tls_required", "true", "bool"),
            ("ldm", 0, "bool"),
        ):
            error = self.assertRaises(ProtocolError, info, **{name: value})
            self.assertIn(f"INFO's {name} is not of type {kind}", str(error))
            self.assertEqual(error.excerpt, repr(value).encode())

    def test_connect_urls(self) -> None:
        self.assertEqual(info(connect_urls=[]).connect_urls, ())
        for urls in ("10.0.0.1:4222", ["10.0.0.1:4222", 1], [None], {"10.0.0.1:4222": 1}, 1, True, "", 0, False, {}):
            error = self.assertRaises(ProtocolError, info, connect_urls=urls)
            self.assertIn("connect_urls is not a list of strings", str(error))

    def test_not_an_object(self) -> None:
        for text in (b"[]", b"null", b"1", b'"x"', b"true"):
            error = self.assertRaises(ProtocolError, Info.from_json, text)
            self.assertIn("not a JSON object", str(error))
            self.assertEqual(error.excerpt, text)

    def test_not_json(self) -> None:
        for text in (b"", b"{", b"{'a':1}", b'{"a":1}x', b"\xff\xfe\xfd", b'{"a":"\xff"}', b"\0"):
            error = self.assertRaises(ProtocolError, Info.from_json, text)
            self.assertIn("INFO is not JSON", str(error))

    def test_deep_nesting(self) -> None:
        """Any depth raises ProtocolError, not RecursionError."""
        for depth in (500, 900, *range(950, 1010), 30_000):
            for name in (b"port", b"connect_urls"):
                text = b'{"%b":%b%b}' % (name, b"[" * depth, b"]" * depth)
                error = self.assertRaises(ProtocolError, Info.from_json, text)
                self.assertLessEqual(len(error.excerpt), 100)

    def test_nonce_is_not_shown(self) -> None:
        self.assertNotIn("secret", repr(info(**REAL_INFO)))

    @quick
    @given(st.binary(max_size=100))
    def test_any_bytes(self, text: bytes) -> None:
        """No other error than ProtocolError is raised."""
        try:
            self.assertIsInstance(Info.from_json(text), Info)
        except ProtocolError:
            pass

    @quick
    @given(
        st.dictionaries(
            st.sampled_from(["server_id", "port", "headers", "ldm", "max_payload", "connect_urls", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                max_leaves=4,
            ),
        )
    )
    def test_any_values(self, fields: dict[str, Any]) -> None:
        """The fields of an Info have the right types, or ProtocolError is raised."""
        try:
            read = info(**fields)
        except ProtocolError:
            return
        self.assertEqual(
            [type(value) for value in (read.server_id, read.port, read.headers, read.ldm, read.max_payload)],
            [str, int, bool, bool, int],
        )
        self.assertTrue(0 < read.max_payload <= MAX_PAYLOAD_LIMIT)
        self.assertTrue(all(isinstance(url, str) for url in read.connect_urls))


class ConnectOptionsTests(SynchronousTestCase):
    """The JSON of ``CONNECT``."""

    def test_without_credentials(self) -> None:
        self.assertEqual(
            json.loads(ConnectOptions(name="n", version="1.0").to_json()),
            {
                "verbose": False,
                "pedantic": False,
                "protocol": 1,
                "lang": "python-twisted",
                "version": "1.0",
                "name": "n",
                "headers": True,
                "no_responders": True,
            },
        )

    def test_with_credentials(self) -> None:
        options = ConnectOptions(name="n", version="1.0", login={"user": "u", "pass": "", "auth_token": "t"})
        fields = json.loads(options.to_json())
        self.assertEqual((fields["user"], fields["pass"], fields["auth_token"]), ("u", "", "t"))

    def test_server_without_headers(self) -> None:
        """``no_responders`` needs headers: a server refuses one without the other."""
        fields = json.loads(ConnectOptions(name="n", version="1.0", headers=False).to_json())
        self.assertEqual((fields["headers"], fields["no_responders"]), (False, False))

    def test_is_one_line(self) -> None:
        """Also if the name and the password have line breaks."""
        options = ConnectOptions(name="a\r\nPUB x 0\r\n\0\u2028", version="1.0", login={"pass": '"\r\nå\ud800'})
        text = options.to_json()
        self.assertTrue(text.decode("ascii").isprintable())
        fields = json.loads(text)
        self.assertEqual((fields["name"], fields["pass"]), (options.name, options.login["pass"]))

    def test_credentials_are_not_shown(self) -> None:
        shown = repr(ConnectOptions(name="n", version="1.0", login={"user": "hidden1", "pass": "hidden2"}))
        self.assertNotIn("hidden", shown)
        self.assertIn("name='n'", shown)


class MsgTests(SynchronousTestCase):
    """The attributes of a message."""

    def test_without_headers(self) -> None:
        msg = Msg(Address("a.b", 7), b"hello")
        self.assertEqual((msg.subject, msg.reply, msg.data), ("a.b", None, b"hello"))
        self.assertEqual(dict(msg.headers), {})
        self.assertIsNone(msg.headers.status)

    def test_with_headers(self) -> None:
        block = b"NATS/1.0\r\nA: b\r\n\r\n"
        msg = Msg(Address("a.b", 7), b"hello", block, b"r")
        self.assertEqual((msg.reply, msg.data), ("r", b"hello"))
        self.assertEqual(dict(msg.headers), {"A": "b"})

    def test_headers_without_a_payload(self) -> None:
        """Such as the server's "no responders"."""
        block = b"NATS/1.0 503\r\n\r\n"
        msg = Msg(Address("_INBOX.1", 7), b"", block)
        self.assertEqual((msg.data, msg.headers.status), (b"", 503))

    def test_payload_that_looks_like_headers(self) -> None:
        """The control line decides what is a header, not the bytes."""
        msg = Msg(Address("a", 7), b"NATS/1.0\r\n\r\n")
        self.assertEqual((msg.data, dict(msg.headers)), (b"NATS/1.0\r\n\r\n", {}))

    def test_headers_are_parsed_once(self) -> None:
        """A program that reads 100,000 headers name by name does not parse the block 100,000 times."""
        block = b"NATS/1.0\r\n%b\r\n\r\n" % b"\r\n".join(b"N%d: %d" % (n, n) for n in range(100_000))
        msg = Msg(Address("a", 1), b"", block)
        started = time.thread_time()
        total = sum(int(msg.headers[name]) for name in msg.headers)
        self.assertLess(time.thread_time() - started, 5)  # it takes 0.1 s; parsed each time, more than an hour
        self.assertEqual(total, sum(range(100_000)))
        self.assertTrue(msg.headers is msg.headers)

    def test_a_copy_has_the_headers_of_its_own_block(self) -> None:
        """Headers that were parsed are not kept for another block."""
        msg = Msg(Address("a", 1), b"x", b"NATS/1.0\r\nA: b\r\n\r\n", b"r")
        for parsed in (False, True):
            if parsed:
                self.assertEqual(msg.headers["A"], "b")
            for copied in (copy.copy(msg), copy.deepcopy(msg), pickle.loads(pickle.dumps(msg)), attrs.evolve(msg)):
                self.assertEqual((copied.data, copied.reply, copied.headers["A"]), (b"x", "r", "b"))
                copied.header_block = b"NATS/1.0\r\nA: c\r\n\r\n"
                self.assertEqual((copied.headers["A"], msg.headers["A"] if parsed else "b"), ("c", "b"))
            changed = attrs.evolve(msg, header_block=b"")
            self.assertEqual(dict(changed.headers), {})

    def test_bad_headers(self) -> None:
        """The payload can still be read."""
        msg = Msg(Address("a", 7), b"hi", b"bad")
        self.assertEqual(msg.data, b"hi")
        self.assertRaises(DecodeError, lambda: msg.headers)


class ErrAndSignalTests(SynchronousTestCase):
    """The frames with a text, and those without content."""

    def test_err(self) -> None:
        self.assertEqual(Err("x"), Err("x"))
        self.assertNotEqual(Err("x"), Err("y"))

    def test_signals(self) -> None:
        self.assertEqual({signal.value for signal in Signal}, {b"PING", b"PONG", b"+OK"})
