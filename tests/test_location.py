"""``examples/location/routes.py``"""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Reject
from natsroute.jetstream.errors import KeyNotFoundError
from natsroute.testing import RouteTester
from tests.support import ROOT
from tests.support.examples import load_example


class LocationTests(SynchronousTestCase):
    """Without Kamailio and without a server; tests.interop.test_location has both."""

    def setUp(self) -> None:
        example = load_example(ROOT / "examples" / "location" / "routes.py")
        self.tester = RouteTester(example["event_route"])
        self.successResultOf(self.tester.start())
        self.bucket = self.tester.key_value("location")

    def change(self, sequence: int, *contacts: str, expires_in: float = 60.0) -> None:
        """A message of the stream."""
        expires = int(time.time() + expires_in)
        state = {
            "user": "al@a.test",
            "contacts": [{"address": one, "user_agent": "", "expires": expires} for one in contacts],
        }
        self.successResultOf(
            self.tester.deliver("location.changed", state, stream="LOCATION", consumer="mirror", sequence=sequence)
        )

    def contacts(self) -> list[str]:
        """What the bucket has."""
        value = self.successResultOf(self.bucket.get("al=40a=2Etest")).json()
        return [contact["address"] for contact in value["contacts"]]

    def test_changes(self) -> None:
        self.change(1, "sip:a")
        self.assertEqual(self.contacts(), ["sip:a"])
        self.change(2, "sip:a", "sip:b")
        self.assertEqual(self.contacts(), ["sip:a", "sip:b"])
        self.change(3)
        self.assertEqual(self.contacts(), [])

    def test_messages_that_come_again(self) -> None:
        """Behind newer ones, and twice: the newest counts."""
        self.change(5, "sip:new")
        for sequence in (4, 5):
            self.change(sequence, "sip:old")
            self.assertEqual(self.contacts(), ["sip:new"])
        self.change(6)
        self.change(4, "sip:old")
        self.assertEqual(self.contacts(), [])

    def test_something_else(self) -> None:
        """The stream does not deliver it again."""
        for payload in (b"{", b"[]", b"{}", b'{"user":"a"}', b'{"user":"a","contacts":[{"expires":1e999}]}'):
            told = self.tester.deliver("location.changed", payload, stream="LOCATION", consumer="mirror", sequence=1)
            self.failureResultOf(told, Reject)
        self.assertEqual({one.how for one in self.tester.acknowledged}, {"term"})

    def test_expired(self) -> None:
        """The entry ends with its last contact; a message that comes too late leaves it for a second."""
        self.change(1, "sip:a", expires_in=60)
        self.tester.clock.advance(58)
        self.assertEqual(self.contacts(), ["sip:a"])
        self.tester.clock.advance(3)
        self.failureResultOf(self.bucket.get("al=40a=2Etest"), KeyNotFoundError)
        self.change(2, "sip:a", expires_in=-100)
        self.tester.clock.advance(1.1)
        self.failureResultOf(self.bucket.get("al=40a=2Etest"), KeyNotFoundError)
