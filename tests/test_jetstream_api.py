"""natsroute.jetstream.api"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ConnectionLostError, PermissionsError, RequestTimeoutError
from natsroute.jetstream.api import api_prefix, parse_answer
from natsroute.jetstream.errors import (
    InvalidApiAnswerError,
    JetStreamPermissionError,
    JetStreamUnavailableError,
    NoApiAnswerError,
    StreamNotFoundError,
)
from tests.support.memory_api import ApiTestCase, MemoryApi, refusal


class AnswerTests(SynchronousTestCase):
    """What the server answers."""

    def test_object(self) -> None:
        self.assertEqual(parse_answer(b'{"type": "x", "streams": 1}', "a"), {"type": "x", "streams": 1})

    def test_error(self) -> None:
        """The text says what was asked."""
        with self.assertRaisesRegex(StreamNotFoundError, r"^\$JS.API.STREAM.INFO.calls: stream not found \(code 404, "):
            answer = b'{"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}'
            parse_answer(answer, "$JS.API.STREAM.INFO.calls")

    def test_no_answer_of_the_api(self) -> None:
        for data in (
            b"+OK",
            b"",
            b"[]",
            b"\xff",
            b'{"error": "no"}',
            b'{"error": {"code": "404"}}',
            b'{"error": {"err_code": null}}',
            b'{"error": {"description": 7}}',
        ):
            with self.assertRaisesRegex(InvalidApiAnswerError, "not one of the JetStream API.*another sub") as raised:
                parse_answer(data, "$JS.API.INFO")
            self.assertEqual((raised.exception.subject, raised.exception.data), ("$JS.API.INFO", data))
            self.assertTrue(str(raised.exception).isprintable())


class CallTests(ApiTestCase):
    """Requests."""

    def test_request(self) -> None:
        self.assertEqual(self.requested(self.api.call("A.B", {"c": 1}), {}), ("A.B", {"c": 1}))
        self.assertEqual(self.requested(self.api.account_info(), {}), ("INFO", None))

    def test_prefix(self) -> None:
        """Requests go to the prefix, and errors name it."""
        memory = MemoryApi("$JS.hub.API")
        asked = self.ask(memory.api.call("INFO"))
        self.assertEqual(memory.methods, ["INFO"])
        memory.nobody()
        error = self.failureResultOf(asked, JetStreamUnavailableError).value
        self.assertRegex(str(error), r"^\$JS.hub.API.INFO: nothing answers \(code 503\). Start the server with -js")

    def test_no_answer(self) -> None:
        asked = self.ask(self.api.call("STREAM.INFO.calls"))
        self.memory.answer(RequestTimeoutError("x", 5.0))
        error = self.failureResultOf(asked, NoApiAnswerError).value
        self.assertEqual(error.subject, "$JS.API.STREAM.INFO.calls")
        self.assertRegex(str(error), "no answer within 5 s. Look at the server")

    def test_no_permission(self) -> None:
        text = 'Permissions Violation for Publish to "$JS.API.INFO"'
        asked = self.ask(self.api.account_info())
        self.memory.answer(PermissionsError(text, "publish", "$JS.API.INFO", None))
        error = self.failureResultOf(asked, JetStreamPermissionError).value
        self.assertEqual(error.subject, "$JS.API.INFO")
        self.assertTrue(str(error).startswith(f"$JS.API.INFO: {text}. Allow the user to publish"))

    def test_connection_lost(self) -> None:
        """What says nothing of JetStream stays as it is."""
        asked = self.ask(self.api.call("INFO"))
        self.memory.answer(ConnectionLostError("x"))
        self.failureResultOf(asked, ConnectionLostError)

    def test_pages(self) -> None:
        """Pages are asked for until there are as many as the server says, or it has no more."""
        asked = self.ask(self.api.pages("STREAM.NAMES", "streams", {"subject": "a"}))
        requests = [
            self.memory.answer({"total": 3, "streams": ["a", "b"]}),
            self.memory.answer({"total": 3, "streams": ["c"]}),
        ]
        self.assertEqual([request["offset"] for _, request in requests], [0, 2])
        self.assertEqual({request["subject"] for _, request in requests}, {"a"})
        self.assertEqual(self.successResultOf(asked), ["a", "b", "c"])
        for empty in ({"total": 0}, {"total": 7, "streams": None}):
            self.assertEqual(self.answered(self.api.pages("STREAM.NAMES", "streams"), empty), [])

    def test_refused(self) -> None:
        asked = self.ask(self.api.call("INFO"))
        self.memory.answer(json.dumps(refusal(10039)).encode())
        self.failureResultOf(asked, JetStreamUnavailableError)


class PrefixTests(SynchronousTestCase):
    """Domains."""

    def test_prefixes(self) -> None:
        self.assertEqual((api_prefix(""), api_prefix("hub")), ("$JS.API", "$JS.hub.API"))
