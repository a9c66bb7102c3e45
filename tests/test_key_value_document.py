"""The programs in docs/key-value.md; tests.integration.test_shared_htables has what it says of htables"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.testing import RouteTester
from tests.support.documents import Snippet, snippet

PAGE = "docs/key-value.md"


def names_in(one: Snippet) -> dict[str, Any]:
    """What a snippet defines."""
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(one.source, str(one), "exec"), names)
    return names


class DocumentTests(SynchronousTestCase):
    """Each runs with buckets in memory."""

    def test_testing(self) -> None:
        """The test case of the page passes with the routes of the page, and fails if they do something else."""
        routes, test_case = snippet(PAGE, "Key-value buckets"), snippet(PAGE, "Testing")
        for source, passes in ((routes.source, True), (routes.source.replace("ttl=3600", "ttl=7200"), False)):
            module = ModuleType("routes")
            exec(source, vars(module))
            with mock.patch.dict(sys.modules, routes=module):
                case = names_in(test_case)["LocationTests"]("test_a_contact_expires")
            ended = Deferred.fromCoroutine(case.test_a_contact_expires())
            if passes:
                self.successResultOf(ended)
            else:
                self.failureResultOf(ended, self.failureException)

    def test_locate(self) -> None:
        """The other route of the page."""
        tester = RouteTester(names_in(snippet(PAGE, "Key-value buckets"))["event_route"])
        self.successResultOf(tester.deliver("registered", {"name": "alice", "contact": "sip:a@b"}))
        for name in ("alice", "bob"):
            self.successResultOf(tester.deliver("locate", name, reply="answer"))
        self.assertEqual([one.data for one in tester.published], [b"sip:a@b", b""])

    def test_routes(self) -> None:
        tester = RouteTester(names_in(snippet(PAGE, "Event routes for changes"))["event_route"])
        self.successResultOf(tester.change("calls", "active.1", {"n": 1}))
        self.successResultOf(tester.change("calls", "active.1", operation="delete"))
        self.assertEqual(
            [(one.subject, one.data) for one in tester.published],
            [("calls.changed", b'{"call":"active.1","state":{"n":1},"revision":1}'), ("calls.ended", b"active.1")],
        )

    def test_watching(self) -> None:
        names = names_in(snippet(PAGE, "Watching"))
        tester = RouteTester(names["event_route"])
        limits = tester.key_value("limits")
        limits.put("calls.alice", 3)
        self.successResultOf(tester.start())
        self.assertEqual(names["limits"], {"calls.alice": 3})
        limits.put("calls.bob", 5)
        limits.delete("calls.alice")
        self.assertEqual(names["limits"], {"calls.bob": 5})
