"""``examples/billing/routes.py``"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Reject
from natsroute.testing import RouteTester
from natsroute.wire.key_value import check_key
from tests.support import ROOT
from tests.support.examples import load_example

CALL = {"call_id": "1@a.test", "from": "sip:a@a.test", "to": "sip:b@a.test", "started": 5, "seconds": 61}


class BillingTests(SynchronousTestCase):
    """Without Kamailio and without a server; tests.interop.test_billing has both."""

    def setUp(self) -> None:
        self.example = load_example(ROOT / "examples" / "billing" / "routes.py")
        self.tester = RouteTester(self.example["event_route"])
        self.successResultOf(self.tester.start())

    def deliver(self, call: Any) -> None:
        """A message of the stream, which is acknowledged."""
        self.successResultOf(self.send(call))
        self.assertEqual(self.tester.acknowledged[-1].how, "ack")

    def send(self, call: Any) -> Deferred[object]:
        return self.tester.deliver("calls.ended", call, stream="CALLS", consumer="billing")

    def bill(self, call_id: str) -> Any:
        """The revision and the value of a bill."""
        entry = self.successResultOf(self.tester.key_value("bills").get(self.example["key_of"](call_id)))
        return entry.revision, entry.json()

    def test_a_call(self) -> None:
        """Each minute that has begun costs something, and Kamailio learns that the call is billed."""
        self.deliver(CALL)
        bill = {"call_id": "1@a.test", "from": "sip:a@a.test", "to": "sip:b@a.test", "seconds": 61, "cents": 6}
        self.assertEqual(self.bill("1@a.test"), (1, bill))
        self.assertEqual([(one.subject, one.data) for one in self.tester.published], [("calls-billed", b"1@a.test")])

    def test_the_same_call_again(self) -> None:
        """One bill, which does not change; each time Kamailio learns of it."""
        self.deliver(CALL)
        self.deliver(CALL)
        self.deliver({**CALL, "seconds": 9999})
        self.assertEqual((self.bill("1@a.test")[0], self.bill("1@a.test")[1]["cents"]), (1, 6))
        self.assertEqual([one.data for one in self.tester.published], [b"1@a.test"] * 3)

    def test_without_names(self) -> None:
        """Kamailio leaves out what is not UTF-8. The call is billed all the same."""
        self.deliver({"call_id": "1@a.test", "seconds": 60})
        self.assertEqual((self.bill("1@a.test")[1]["from"], self.bill("1@a.test")[1]["cents"]), ("", 3))

    def test_something_else(self) -> None:
        """It is refused for good: it would never be a call."""
        endless = b'{"call_id": "1@a.test", "seconds": 1e999}'
        no_text = b'{"call_id": "\\ud800", "seconds": 1}'
        for message in (b"{", [], {}, {**CALL, "seconds": "long"}, 5, {**CALL, "call_id": ""}, endless, no_text):
            self.failureResultOf(self.send(message), Reject)
            last = self.tester.acknowledged[-1]
            self.assertEqual((last.how, last.reason[:21]), ("term", "not the end of a call"))
        self.assertEqual(self.tester.published, [])

    def test_keys(self) -> None:
        """Any Call-ID has a key of its own."""
        call_ids = ["a-1_Z", "a.b@c", "a=2Eb@c", "..", "ü", "*", ">", "a b", "A@b", "a@b", "=", "%2E"]
        keys = [self.example["key_of"](call_id) for call_id in call_ids]
        self.assertEqual(len(set(keys)), len(call_ids))
        for key in keys:
            check_key(key)
        self.assertEqual(keys[0], "a-1_Z")
