"""natsroute.kamailio.kemi.sip_object"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.kemi.sip_object import SipMessage


class SipMessageTests(SynchronousTestCase):
    """The message that callbacks get."""

    def test_message(self) -> None:
        message = SipMessage()
        self.assertEqual((message.Type, message.Method, message.Status), ("SIP_REQUEST", "OPTIONS", None))
        self.assertEqual(
            (message.getType(), message.getMethod(), message.getRURI(), message.getStatus()),
            (message.Type, message.Method, message.RURI, None),
        )
        self.assertEqual((message.getHeader("call-id"), message.getHeader("X")), ("123", None))
        self.assertEqual(message.src_address[1], 5060)
