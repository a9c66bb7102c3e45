"""natsroute.client.protocol"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.options import Security, Timing
from natsroute.client.protocol import NatsProtocol
from natsroute.client.transport.tls import Tls
from natsroute.errors import (
    AuthorizationError,
    ConnectionLostError,
    HandshakeError,
    PermissionsError,
    ProtocolError,
    ServerError,
    SlowConsumerError,
    SubjectError,
    TlsError,
)
from natsroute.wire.frames import Msg
from tests.support.memory_network import Link, info


class ProtocolTestCase(SynchronousTestCase):
    """A NatsProtocol with this test as its server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.messages: list[Msg] = []
        self.errors: list[ServerError] = []

    def connect(self, **options: Any) -> Link:
        """A connection to a server that has said nothing, with a subscription."""
        link = Link(NatsProtocol(self.clock, name="test", version="1.0", on_error=self.errors.append, **options))
        link.protocol.sub("a", 1, self.messages.append)
        link.transport.sent()
        return link

    def connected(self, **options: Any) -> Link:
        link = self.connect(**options)
        link.shake_hands()
        self.successResultOf(link.protocol.ready)
        return link


class HandshakeTests(ProtocolTestCase):
    """INFO, CONNECT, PING, PONG, and only then ready."""

    def test_handshake(self) -> None:
        link = self.connect(credentials=Credentials(user="u", password="p"))
        self.assertEqual(link.transport.sent(), b"")
        link.receive(info())
        connect, ping, rest = link.transport.sent().split(b"\r\n")
        self.assertEqual((ping, rest), (b"PING", b""))
        said = json.loads(connect.removeprefix(b"CONNECT "))
        self.assertLessEqual(
            {"verbose": False, "protocol": 1, "name": "test", "version": "1.0", "headers": True}.items(), said.items()
        )
        self.assertEqual((said["user"], said["pass"], said["no_responders"]), ("u", "p", True))
        self.assertNoResult(link.protocol.ready)
        link.receive(b"PONG\r\n")
        self.assertEqual(self.successResultOf(link.protocol.ready).server_id, "S")

    def test_a_token(self) -> None:
        link = self.connect(credentials=Credentials(token="t"))
        self.assertIn(b'"auth_token": "t"', link.shake_hands())

    def test_no_nagle(self) -> None:
        self.assertTrue(self.connect().transport.no_delay)

    def test_a_server_without_headers(self) -> None:
        """Nothing is asked for that it cannot do."""
        link = self.connect()
        said = link.shake_hands(headers=False)
        self.assertIn(b'"headers": false, "no_responders": false', said)

    def test_refused(self) -> None:
        link = self.connect()
        link.receive(info(auth_required=True))
        link.receive(b"-ERR 'Authorization Violation'\r\n")
        link.lose()
        self.failureResultOf(link.protocol.ready, AuthorizationError)
        self.assertIsInstance(self.successResultOf(link.protocol.closed), AuthorizationError)
        self.assertEqual(self.errors, [])

    def test_silence(self) -> None:
        link = self.connect(timing=Timing(connect_timeout=2.0))
        self.clock.advance(2.0)
        self.assertTrue(link.transport.aborted)
        link.lose()
        error = self.failureResultOf(link.protocol.ready, HandshakeError)
        self.assertIn("no INFO within 2.0 s", str(error.value))

    def test_silence_behind_info(self) -> None:
        link = self.connect()
        link.receive(info())
        self.clock.advance(2.0)
        link.lose()
        self.assertIn("no PONG", str(self.failureResultOf(link.protocol.ready, HandshakeError).value))

    def test_a_server_that_requires_tls_gets_it(self) -> None:
        """And nothing is said to it before."""
        link = self.connect(credentials=Credentials(user="u", password="secret"), security=Security(name="a"))
        said: list[bytes] = []
        link.transport.startTLS = lambda options: said.append(link.transport.sent())
        link.receive(info(tls_required=True))
        self.assertEqual(said, [b""])
        self.assertIn(b'"secret"', link.transport.sent())
        link.receive(b"PONG\r\n")
        self.successResultOf(link.protocol.ready)

    def test_tls_where_it_can_be_had(self) -> None:
        """A server that leaves it to us."""
        link = self.connect()
        link.receive(info(tls_available=True))
        self.assertIsNone(link.transport.tls)
        link = self.connect(security=Security(required=True, name="a"))
        link.receive(info(tls_available=True))
        self.assertIsNotNone(link.transport.tls)

    def test_tls_asked_for_and_not_offered(self) -> None:
        """Nothing is said in plain text."""
        link = self.connect(credentials=Credentials(user="u", password="secret"), security=Security(required=True))
        link.receive(info())
        self.assertEqual(link.transport.sent(), b"")
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("does not offer it", str(self.failureResultOf(link.protocol.ready, TlsError).value))

    def test_tls_first(self) -> None:
        link = self.connect(security=Security(Tls(first=True), required=True, name="a"))
        self.assertIsNotNone(link.transport.tls)
        link.receive(info(tls_required=True))
        self.assertIn(b"CONNECT", link.transport.sent())

    def test_plain_text_smuggled_in_before_tls(self) -> None:
        """What stands behind INFO did not come from the server that TLS will show."""
        for smuggled in (b"MSG a 1 2\r\nhi\r\n", b"M", b"PONG\r\n"):
            link = self.connect(security=Security(required=True))
            link.receive(info(tls_required=True) + smuggled)
            self.assertIsNone(link.transport.tls)
            self.assertTrue(link.transport.aborted)
            self.assertEqual((self.messages, link.transport.sent()), ([], b""))
            link.lose()
            self.failureResultOf(link.protocol.ready, ProtocolError)

    def test_a_tls_file_that_has_gone(self) -> None:
        link = self.connect(security=Security(Tls(ca_file="/no/such/file"), required=True, name="a"))
        link.receive(info(tls_required=True))
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("tls_ca_file = '/no/such/file'", str(self.failureResultOf(link.protocol.ready, TlsError).value))

    def test_an_info_that_says_nothing(self) -> None:
        """The next one is not the first, and CONNECT is not sent again."""
        link = self.connect()
        link.receive(b"INFO {}\r\n")
        link.transport.sent()
        link.receive(b"PONG\r\n" + info())
        self.assertEqual(link.transport.sent(), b"")

    def test_over_websocket(self) -> None:
        """What is below is as secure as it will get."""
        link = self.connect(security=Security(by_transport=True))
        link.receive(info(tls_required=True))
        self.assertIsNone(link.transport.tls)
        self.assertIn(b"CONNECT", link.transport.sent())

    def test_lost_before_ready(self) -> None:
        link = self.connect()
        link.lose()
        self.failureResultOf(link.protocol.ready, ConnectionLostError)

    def test_not_nats(self) -> None:
        link = self.connect()
        link.receive(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.failureResultOf(link.protocol.ready, ProtocolError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class MessageTests(ProtocolTestCase):
    """Messages to whoever has their sid."""

    def test_by_sid(self) -> None:
        other: list[Msg] = []
        link = self.connected()
        link.protocol.sub("b", 2, other.append)
        link.receive(b"MSG a 1 2\r\nhi\r\nMSG b 2 r 0\r\n\r\n")
        self.assertEqual([(msg.subject, msg.data, msg.reply) for msg in self.messages], [("a", b"hi", None)])
        self.assertEqual([(msg.subject, msg.data, msg.reply) for msg in other], [("b", b"", "r")])

    def test_an_unknown_sid(self) -> None:
        """It is counted, and what follows is delivered."""
        link = self.connected()
        link.receive(b"MSG a 7 2\r\nhi\r\nMSG a 1 2\r\nhi\r\n")
        self.assertEqual((link.protocol.unknown_sids, len(self.messages)), (1, 1))

    def test_junk_ends_the_connection_behind_the_good_messages(self) -> None:
        link = self.connected()
        link.receive(b"MSG a 1 2\r\nhi\r\nJUNK\r\nMSG a 1 2\r\nho\r\n")
        self.assertEqual([msg.data for msg in self.messages], [b"hi"])
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("JUNK", str(self.successResultOf(link.protocol.closed)))

    def test_max_payload_of_info_binds(self) -> None:
        link = self.connected()
        link.receive(b"MSG a 1 1025\r\n")
        self.assertTrue(link.transport.aborted)

    def test_a_later_info_is_taken(self) -> None:
        link = self.connected()
        link.receive(info(max_payload=2048))
        self.assertEqual(link.protocol.info.max_payload, 2048)
        self.assertEqual(link.transport.sent(), b"")


class CommandTests(ProtocolTestCase):
    """What the owner can ask for."""

    def test_pub_sub_unsub(self) -> None:
        link = self.connected()
        link.protocol.pub("a", b"hi", reply="r", headers={"N": "v"})
        link.protocol.sub("a.*", 3, self.messages.append, "q")
        link.protocol.unsub(3, 5)
        self.assertEqual(
            link.transport.sent(), b"HPUB a r 18 20\r\nNATS/1.0\r\nN: v\r\n\r\nhi\r\nSUB a.* q 3\r\nUNSUB 3 5\r\n"
        )

    def test_a_bad_subject_writes_nothing(self) -> None:
        link = self.connected()
        self.assertRaises(SubjectError, link.protocol.pub, "a\r\nPUB b", b"")
        self.assertEqual(link.transport.sent(), b"")

    def test_pings_are_answered_in_order(self) -> None:
        link = self.connected()
        first, second = link.protocol.ping(), link.protocol.ping()
        link.receive(b"PONG\r\n")
        self.successResultOf(first)
        self.assertNoResult(second)
        link.receive(b"PONG\r\n")
        self.successResultOf(second)

    def test_our_answer_to_a_ping(self) -> None:
        link = self.connected()
        for byte in b"PING\r\n":
            link.receive(bytes([byte]))
        self.assertEqual(link.transport.sent(), b"PONG\r\n")

    def test_a_loss_fails_what_waits(self) -> None:
        link = self.connected()
        waiting = link.protocol.write_and_ping(b"PUB a 0\r\n\r\n")
        link.lose()
        self.failureResultOf(waiting, ConnectionLostError)
        self.failureResultOf(link.protocol.ping(), ConnectionLostError)

    def test_a_pong_too_many(self) -> None:
        link = self.connected()
        link.receive(b"PONG\r\n")
        self.assertTrue(link.transport.aborted)

    def test_close_lets_out_what_was_written(self) -> None:
        link = self.connected()
        link.protocol.pub("a", b"")
        link.protocol.close()
        self.assertTrue(link.transport.disconnecting)
        self.assertFalse(link.transport.aborted)
        self.clock.advance(2.0)
        self.assertTrue(link.transport.aborted, "a peer that does not read must not keep us")


class ErrorTests(ProtocolTestCase):
    """-ERR on a connection that is ready."""

    def test_permissions_leave_the_connection(self) -> None:
        link = self.connected()
        link.receive(b"-ERR 'Permissions Violation for Publish to \"a.b\"'\r\n")
        [error] = self.errors
        self.assertIsInstance(error, PermissionsError)
        self.assertFalse(link.transport.aborted)

    def test_what_the_server_said_is_the_reason(self) -> None:
        link = self.connected()
        link.receive(b"-ERR 'Stale Connection'\r\n")
        link.lose()
        self.assertEqual(str(self.successResultOf(link.protocol.closed)), "Stale Connection")
        self.assertEqual([error.text for error in self.errors], ["Stale Connection"])


class HealthTests(ProtocolTestCase):
    """Our pings, and a connection that is half open."""

    timing = Timing(ping_interval=10.0, max_pings_outstanding=2)

    def test_two_unanswered_pings_are_the_end(self) -> None:
        link = self.connected(timing=self.timing)
        link.transport.sent()
        self.clock.pump([10.0, 10.0])
        self.assertEqual(link.transport.sent(), b"PING\r\nPING\r\n")
        self.assertFalse(link.transport.aborted)
        self.clock.advance(10.0)
        self.assertTrue(link.transport.aborted)

    def test_an_answer_is_enough(self) -> None:
        link = self.connected(timing=self.timing)
        link.transport.sent()
        for _ in range(10):
            self.clock.advance(10.0)
            link.answer_pings()
        self.assertFalse(link.transport.aborted)

    def test_a_paused_connection_cannot_hear_answers(self) -> None:
        """It is not given up for them; when it reads again the count begins anew."""
        link = self.connected(timing=self.timing)
        self.clock.advance(10.0)
        link.protocol.pause()
        self.assertEqual(link.transport.producerState, "paused")
        self.clock.pump([10.0] * 10)
        self.assertFalse(link.transport.aborted)
        link.protocol.resume()
        self.assertEqual(link.transport.producerState, "producing")
        self.clock.advance(10.0)
        self.assertFalse(link.transport.aborted)

    def ending_of(self, link: Link) -> Exception:
        """Why the connection says that it has ended."""
        link.lose()
        return self.successResultOf(link.protocol.closed)

    def test_cut_off_while_it_did_not_read(self) -> None:
        """A server says nothing to a slow consumer before it cuts it off; one that answers has not cut us off."""
        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        self.assertIsInstance(self.ending_of(link), SlowConsumerError)

        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        link.protocol.resume()
        link.receive(b"MSG a 1 2\r\nhi\r\n")  # what was on its way
        error = self.ending_of(link)
        self.assertIsInstance(error, SlowConsumerError)
        self.assertIn("was not read for 12 s", str(error))

        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        link.transport.sent()
        link.protocol.resume()
        self.assertEqual(link.answer_pings(), b"PING\r\n")
        self.assertIsInstance(self.ending_of(link), ConnectionLostError)

    def test_cut_off_behind_several_pauses(self) -> None:
        """A short one does not make forget a long one, and an answer to what was asked before it proves nothing."""
        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        link.protocol.resume()
        link.protocol.pause()
        self.clock.advance(0.3)
        link.protocol.resume()
        link.receive(b"PONG\r\n")
        self.assertIsInstance(self.ending_of(link), SlowConsumerError)

    def test_short_pauses_are_not_suspicious(self) -> None:
        """And cost no PING: a busy consumer has many of them."""
        link = self.connected(timing=self.timing)
        link.transport.sent()
        link.protocol.pause()
        self.clock.advance(0.5)
        link.protocol.resume()
        self.assertEqual(link.transport.sent(), b"")
        self.assertIsInstance(self.ending_of(link), ConnectionLostError)

    def test_nothing_is_left_on_the_clock(self) -> None:
        link = self.connected(timing=self.timing)
        link.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
