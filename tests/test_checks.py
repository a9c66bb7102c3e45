"""natsroute.jetstream.checks"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SubjectError
from natsroute.jetstream.checks import check_name, read
from natsroute.jetstream.errors import InvalidApiAnswerError
from tests.support.memory_api import MemoryApi


class ChecksTests(SynchronousTestCase):
    """What goes out and what comes in."""

    def test_names(self) -> None:
        self.assertEqual(check_name("calls-2_x$"), "calls-2_x$")
        for name in ("", "a.b", "a b", "*", "a*", ">", "/", "\\", "a\0"):
            self.assertRaises(SubjectError, check_name, name)

    def test_answers(self) -> None:
        api = MemoryApi().api
        self.assertEqual(read(api, "A", {"b": 1}, lambda answer: answer["b"]), 1)
        with self.assertRaisesRegex(InvalidApiAnswerError, r"^\$JS.API.A: .*KeyError"):
            read(api, "A", {}, lambda answer: answer["b"])
