"""natsroute.jetstream.api"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.jetstream.api import api_prefix, parse_answer
from natsroute.jetstream.errors import JetStreamError, StreamNotFoundError


class AnswerTests(SynchronousTestCase):
    """What the server answers."""

    def test_object(self) -> None:
        self.assertEqual(parse_answer(b'{"type": "x", "streams": 1}', "a"), {"type": "x", "streams": 1})

    def test_error(self) -> None:
        with self.assertRaises(StreamNotFoundError):
            parse_answer(b'{"error": {"code": 404, "err_code": 10059, "description": "stream not found"}}', "a")

    def test_no_answer_of_the_api(self) -> None:
        for data in (b"+OK", b"[]", b"\xff"):
            with self.assertRaisesRegex(JetStreamError, "not of the JetStream API"):
                parse_answer(data, "$JS.API.INFO")


class PrefixTests(SynchronousTestCase):
    """Domains."""

    def test_prefixes(self) -> None:
        self.assertEqual((api_prefix(""), api_prefix("hub")), ("$JS.API", "$JS.hub.API"))
