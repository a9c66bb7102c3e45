"""natsroute.daemon.memory.requests"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.memory.requests import MemoryRequests
from natsroute.errors import (
    HeaderError,
    MisuseError,
    NoRespondersError,
    PayloadError,
    RequestTimeoutError,
    SubjectError,
)
from natsroute.testing import Published


class MemoryRequestsTests(SynchronousTestCase):
    """Answers that were given before."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.requested: list[Published] = []
        self.requests = MemoryRequests(self.clock, self.requested.append)

    def data(self, asked: Deferred[Any]) -> Any:
        """The payload of the answer, or those of all."""
        answer = self.successResultOf(asked)
        return [msg.data for msg in answer] if isinstance(answer, list) else answer.data

    def test_answers(self) -> None:
        """Payloads of all kinds, and functions of the request."""
        request = self.requests.request
        for answer, data in (
            (b"\0", b"\0"),
            ("é", "é".encode()),
            ({"a": 1}, b'{"a":1}'),
            (lambda request: int(request.data) * 2, b"42"),
        ):
            self.requests.answer("billing", answer, headers={"A": ["1", "2"]})
            asked = request("billing", 21, 1.0, {"B": "3"})
            self.assertEqual(self.successResultOf(asked).headers.get_all("A"), ["1", "2"])
            self.assertEqual(self.data(request("billing", 21)), data)
        self.assertEqual(self.requested[0], Published("billing", b"21", "_INBOX.memory", {"B": "3"}))

    def test_no_answer(self) -> None:
        """Nobody is subscribed; also after all answers were taken back."""
        self.failureResultOf(self.requests.request("billing"), NoRespondersError)
        self.requests.answer("billing", 1)
        self.requests.answer("billing")
        self.failureResultOf(self.requests.request("billing"), NoRespondersError)
        self.failureResultOf(self.requests.request_many("billing"), NoRespondersError)

    def test_wildcards(self) -> None:
        """The last one counts."""
        self.requests.answer("a.>", 1)
        self.requests.answer("a.b", 2)
        self.assertEqual(self.data(self.requests.request("a.b")), b"2")
        self.requests.answer("a.>", 3)
        self.assertEqual(self.data(self.requests.request("a.b")), b"3")

    def test_failures(self) -> None:
        """An exception, however it is given."""

        def raises(request: Published) -> None:
            raise LookupError

        for answer in (LookupError(), raises, lambda request: LookupError(), lambda request: fail(LookupError())):
            self.requests.answer("billing", answer)
            self.failureResultOf(self.requests.request("billing"), LookupError)

    def test_later(self) -> None:
        """A Deferred is waited for, within the timeout."""
        later: Deferred[int] = Deferred()
        self.requests.answer("billing", lambda request: later)
        asked = self.requests.request("billing")
        self.assertNoResult(asked)
        later.callback(5)
        self.assertEqual(self.data(asked), b"5")
        self.requests.answer("billing", lambda request: Deferred())
        asked, many = self.requests.request("billing", timeout=2.0), self.requests.request_many("billing", timeout=2.0)
        self.clock.advance(2.0)
        self.failureResultOf(asked, RequestTimeoutError)
        self.assertEqual(self.data(many), [])

    def test_several(self) -> None:
        """request() gets the first."""
        self.requests.answer("nodes", 1, b"", 2, 3)
        many, seen = self.requests.request_many, list[Any]()
        self.assertEqual(self.data(self.requests.request("nodes")), b"1")
        self.assertEqual(self.data(many("nodes")), [b"1", b"", b"2", b"3"])
        self.assertEqual(self.data(many("nodes", sentinel=True)), [b"1"])
        self.assertEqual(self.data(many("nodes", max_messages=2)), [b"1", b""])
        self.assertEqual(self.data(many("nodes", on_answer=seen.append)), [])
        self.assertEqual(len(seen), 4)

    def test_invalid(self) -> None:
        """As in production."""
        self.requests.answer(">", 1)
        ask, many = self.requests.request, self.requests.request_many
        self.failureResultOf(ask("a b"), SubjectError)
        self.failureResultOf(ask("a", object()), PayloadError)
        self.failureResultOf(ask("a", headers={"a b": "c"}), HeaderError)
        self.failureResultOf(ask("a", timeout=0), MisuseError)
        self.failureResultOf(many("a", max_messages=0), MisuseError)
        self.assertRaises(SubjectError, self.requests.answer, "a b", 1)
        self.assertRaises(HeaderError, self.requests.answer, "a", 1, headers={"a b": "c"})
        self.assertEqual(self.requested, [])
