"""natsroute.monitoring.http.resources; tests.test_site has its resources answer"""

from __future__ import annotations

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.http.resources import Answer, as_deferred


class AnswerTests(SynchronousTestCase):
    """Answers as values."""

    def test_json(self) -> None:
        """It is ASCII, so no encoding can break it."""
        answer = Answer.json({"a": "ü\u2028\udcff"}, 503, indent=1)
        self.assertEqual((answer.status, answer.body), (503, b'{\n "a": "\\u00fc\\u2028\\udcff"\n}\n'))

    def test_text(self) -> None:
        answer = Answer.text("ü", 404, (b"Allow", b"GET"))
        self.assertEqual((answer.status, answer.body, answer.headers), (404, b"\xc3\xbc\n", ((b"Allow", b"GET"),)))

    def test_as_deferred(self) -> None:
        """A value, a Deferred and an error."""
        self.assertEqual(self.successResultOf(as_deferred(lambda: 1)), 1)
        self.assertEqual(self.successResultOf(as_deferred(lambda: succeed(1))), 1)
        self.failureResultOf(as_deferred(lambda: {}["a"]), KeyError)
