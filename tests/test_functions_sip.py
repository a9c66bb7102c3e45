"""natsroute.kamailio.script.functions.sip"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ScriptError
from tests.support.expressions import make_evaluation
from tests.support.functions import call, compile_call


class SipTests(SynchronousTestCase):
    """The message is an OPTIONS request without a body."""

    def check(self, name: str, *cases: tuple[Any, ...]) -> None:
        """Each case has the arguments and, last, the result."""
        for *written, expected in cases:
            self.assertEqual(call(make_evaluation(), name, *written), expected, (name, written))

    def test_method(self) -> None:
        self.check("is_method", ("OPTIONS", 1), ("options", 1), ("INVITE|OPTIONS", 1), ("INVITE|ACK", -1), ("FOO", -1))
        for written in ("", "INVITE|FOO", "|"):
            self.assertRaises(ScriptError, compile_call, "is_method", written)

    def test_headers(self) -> None:
        self.check("is_present_hf", ("From", 1), ("call-id", 1), ("v", 1), ("Contact", -1), ("m", -1))
        self.check("is_present_hf_re", ("^CALL", 1), ("^x", -1))

    def test_search(self) -> None:
        self.check("search", ("^options sip:", 1), ("tag=[0-9]+", 1), ("INVITE", -1))
        self.check("search_body", (".", -1))
        self.assertRaises(ScriptError, compile_call, "search", "(")

    def test_known(self) -> None:
        self.check("is_request", (1,))
        for name in ("is_reply", "is_faked_msg", "has_totag", "has_body", "is_audio_on_hold"):
            self.check(name, (-1,))
        self.check("has_body", ("application/sdp", -1))
