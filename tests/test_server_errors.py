"""natsroute.wire.server_errors"""

from __future__ import annotations

import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import (
    AuthenticationExpiredError,
    AuthenticationRevokedError,
    AuthorizationError,
    ConnectionLimitError,
    PayloadViolationError,
    PermissionsError,
    ServerError,
    ServerProtocolError,
    ServerShutdownError,
    SlowConsumerError,
    StaleConnectionError,
    SubscriptionLimitError,
    TlsRequiredError,
)
from natsroute.wire.server_errors import server_error
from tests.fuzz.properties import errors_keep_their_words

quick = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

#: Names as they are decoded: bytes that are not UTF-8 are surrogate escapes.
NAMES = st.lists(
    st.text(max_size=4).map(str.encode)
    | st.binary(max_size=3)
    | st.sampled_from([b"\0", b'"', b"\\", b"\\xff", b"\x7f"])
).map(lambda parts: b"".join(parts).decode("utf-8", "surrogateescape"))


def quoted_by_go(name: str) -> str:
    """A name quoted like Go's ``%q`` does."""
    short = dict(zip('\a\b\f\n\r\t\v"\\', 'abfnrtv"\\'))

    def quoted(character: str) -> str:
        code = ord(character)
        if character in short:
            return "\\" + short[character]
        if 0xDC80 <= code <= 0xDCFF:
            return f"\\x{code - 0xDC00:02x}"
        if character.isprintable():
            return character
        return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

    return '"' + "".join(map(quoted, name)) + '"'


class ServerErrorTests(SynchronousTestCase):
    """The classes for the messages of nats-server."""

    def assert_permissions(self, text: str, operation: str, subject: str, queue_group: str | None = None) -> None:
        error = server_error(text)
        assert isinstance(error, PermissionsError), text
        self.assertEqual((error.operation, error.subject, error.queue_group), (operation, subject, queue_group))
        self.assertEqual((error.text, str(error)), (text, text))

    def test_permissions(self) -> None:
        self.assert_permissions('Permissions Violation for Publish to "foo"', "publish", "foo")
        self.assert_permissions('Permissions Violation for Subscription to "foo.>"', "subscription", "foo.>")
        self.assert_permissions(
            'Permissions Violation for Subscription to "foo" using queue "q"', "subscription", "foo", "q"
        )

    def test_permissions_for_a_reply_subject(self) -> None:
        """The operation differs from that for the subject of a message."""
        self.assert_permissions('Permissions Violation for Publish with Reply of "$JS.ACK.x"', "reply", "$JS.ACK.x")

    def test_quoted_names(self) -> None:
        """The server quotes names with Go's ``%q``."""
        self.assert_permissions(r'Permissions Violation for Publish to "a\"b\\"', "publish", 'a"b\\')
        self.assert_permissions(r'Permissions Violation for Publish to "å.日本.\u00a0"', "publish", "å.日本.\xa0")
        self.assert_permissions(r'Permissions Violation for Publish to "\x07\q\U00110000"', "publish", "\a\\q\ufffd")
        self.assert_permissions(
            r'Permissions Violation for Publish to "\ud800"', "publish", r"\ud800"
        )  # Go never writes this
        self.assert_permissions(
            r'Permissions Violation for Subscription to "a\"" using queue "\"q"', "subscription", 'a"', '"q'
        )

    def test_bytes_that_are_not_utf8(self) -> None:
        """The name equals the published subject, by which the refused message is found."""
        self.assert_permissions(r'Permissions Violation for Publish to "a.\xff\x80"', "publish", "a.\udcff\udc80")

    @quick
    @given(NAMES, st.none() | NAMES)
    def test_any_name(self, subject: str, queue_group: str | None) -> None:
        """Any name is unquoted to what it was."""
        text = f"Permissions Violation for Subscription to {quoted_by_go(subject)}"
        if queue_group is not None:
            text += f" using queue {quoted_by_go(queue_group)}"
        self.assert_permissions(text, "subscription", subject, queue_group)

    def test_authorization(self) -> None:
        for text, kind in (
            ("Authorization Violation", AuthorizationError),
            ("Authentication Timeout", AuthorizationError),
            ("User Authentication Expired", AuthenticationExpiredError),
            ("User Authentication Revoked", AuthenticationRevokedError),
            ("Account Authentication Expired", AuthenticationExpiredError),
            ("authorization violation", AuthorizationError),
        ):
            error = server_error(text)
            self.assertIs(type(error), kind, text)
            self.assertIsInstance(error, AuthorizationError)
            self.assertEqual((error.text, str(error)), (text, text))

    def test_kinds(self) -> None:
        """The texts are those of nats-server."""
        for text, kind in (
            ("Stale Connection", StaleConnectionError),
            ("Slow Consumer", SlowConsumerError),
            ("maximum connections exceeded", ConnectionLimitError),
            ("maximum account active connections exceeded", ConnectionLimitError),
            ("maximum subscriptions exceeded", SubscriptionLimitError),
            ("Maximum Payload Violation", PayloadViolationError),
            ("maximum control line exceeded", ServerProtocolError),
            ("Parser Error", ServerProtocolError),
            ("Unknown Protocol Operation", ServerProtocolError),
            ("Secure Connection - TLS Required", TlsRequiredError),
            ("TLS Handshake Error", TlsRequiredError),
            ("Server Shutdown", ServerShutdownError),
        ):
            self.assertIs(type(server_error(text)), kind, text)

    def test_unknown_messages(self) -> None:
        for text in (
            "Invalid Publish Subject",
            "Permissions Violation",
            'Permissions Violation for Subscription to "foo',
            "\N{REPLACEMENT CHARACTER}",
            "",
        ):
            error = server_error(text)
            self.assertIs(type(error), ServerError, text)
            self.assertEqual((error.text, str(error)), (text, text))

    @quick
    @given(st.text(max_size=20))
    def test_any_text(self, text: str) -> None:
        """Any text gives an error with this text."""
        for words in (text, f'Permissions Violation for Publish to "{text}"'):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                errors_keep_their_words(words)
