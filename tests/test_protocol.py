"""natsroute.client.protocol"""

from __future__ import annotations

from natsroute.client.options import InboundLimits, Security, Timing
from natsroute.client.state import ProtocolState, TransitionError
from natsroute.errors import (
    ConnectionLostError,
    PermissionsError,
    SlowConsumerError,
    SubjectError,
)
from natsroute.wire.frames import Msg
from tests.support.connection_case import ProtocolTestCase
from tests.support.memory_network import Link, info


class StateTests(ProtocolTestCase):
    """The state along the life of a protocol; natsroute.client.state has the table."""

    def test_states(self) -> None:
        link = self.connect()
        states = [link.protocol.state]
        link.receive(info())
        states.append(link.protocol.state)
        link.receive(b"PONG\r\n")
        states.append(link.protocol.state)
        link.protocol.leave(ConnectionLostError("left"))
        states.append(link.protocol.state)
        link.receive(b"PONG\r\n")
        states.append(link.protocol.state)
        link.lose()
        states.append(link.protocol.state)
        self.assertEqual(
            states,
            [
                ProtocolState.AWAITING_INFO,
                ProtocolState.LOGGING_IN,
                ProtocolState.READY,
                ProtocolState.LAME_DUCK,
                ProtocolState.CLOSING,
                ProtocolState.CLOSED,
            ],
        )
        self.assertEqual(str(self.successResultOf(link.protocol.closed)), "left")

    def test_while_tls_starts(self) -> None:
        """It is a state of its own: CONNECT is not written before."""
        states: list[ProtocolState] = []
        link = self.connect(security=Security(required=True, name="a"))
        link.transport.startTLS = lambda options: states.append(link.protocol.state)
        link.receive(info(tls_required=True))
        self.assertEqual((states, link.protocol.state), ([ProtocolState.STARTING_TLS], ProtocolState.LOGGING_IN))

    def test_an_illegal_event(self) -> None:
        """A server can be left when it is ready, and once."""
        link = self.connect()
        self.assertRaises(TransitionError, link.protocol.leave, ConnectionLostError("left"))
        self.assertIs(link.protocol.state, ProtocolState.AWAITING_INFO)
        link.shake_hands()
        link.protocol.leave(ConnectionLostError("left"))
        self.assertRaises(TransitionError, link.protocol.leave, ConnectionLostError("left"))

    def test_ready_fails_when_the_handshake_does(self) -> None:
        """And ``closed`` fires when the transport is gone."""
        link = self.connect()
        link.protocol.close()
        self.failureResultOf(link.protocol.ready, ConnectionLostError)
        self.assertNoResult(link.protocol.closed)
        link.lose()
        self.assertEqual(str(self.successResultOf(link.protocol.closed)), "this side closed the connection")

    def test_closed_in_the_middle_of_a_chunk(self) -> None:
        """What follows in it is not delivered."""
        link = self.connected()

        def close(msg: Msg) -> None:
            self.messages.append(msg)
            link.protocol.close()

        link.protocol.sub("b", 2, close)
        link.receive(b"MSG b 2 0\r\n\r\nMSG b 2 0\r\n\r\nMSG a 1 0\r\n\r\n")
        link.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual(len(self.messages), 1)

    def test_nothing_is_written_when_closed(self) -> None:
        link = self.connected()
        link.protocol.close()
        link.transport.sent()
        link.protocol.pub("a", b"")
        self.failureResultOf(link.protocol.write_and_ping(b"PUB a 0\r\n\r\n", 1), ConnectionLostError)
        self.assertEqual((link.transport.sent(), link.protocol.messages_out), (b"", 0))


class MessageTests(ProtocolTestCase):
    """Each message goes to the subscription with its sid."""

    def test_by_sid(self) -> None:
        other: list[Msg] = []
        link = self.connected()
        link.protocol.sub("b", 2, other.append)
        link.receive(b"MSG a 1 2\r\nhi\r\nMSG b 2 r 0\r\n\r\n")
        self.assertEqual([(msg.subject, msg.data, msg.reply) for msg in self.messages], [("a", b"hi", None)])
        self.assertEqual([(msg.subject, msg.data, msg.reply) for msg in other], [("b", b"", "r")])

    def test_an_unknown_sid(self) -> None:
        """The message is counted, and the next one is delivered."""
        link = self.connected()
        link.receive(b"MSG a 7 2\r\nhi\r\nMSG a 1 2\r\nhi\r\n")
        self.assertEqual((link.protocol.unknown_sids, len(self.messages)), (1, 1))

    def test_forgotten(self) -> None:
        """UNSUB alone does not end the delivery; forget() does."""
        link = self.connected()
        link.protocol.unsub(1)
        link.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual(len(self.messages), 1)
        link.protocol.forget(1)
        link.protocol.forget(1)
        link.receive(b"MSG a 1 0\r\n\r\n")
        self.assertEqual((len(self.messages), link.protocol.unknown_sids), (1, 1))

    def test_closed_by_a_receiver(self) -> None:
        """What follows in the chunk is neither delivered nor counted."""
        link = self.connected()
        link.protocol.sub("b", 2, lambda msg: link.protocol.close())
        link.receive(b"MSG a 1 0\r\n\r\nMSG b 2 0\r\n\r\nMSG a 1 0\r\n\r\nMSG b 2 0\r\n\r\nPING\r\n")
        self.assertEqual((len(self.messages), link.protocol.unknown_sids), (1, 0))

    def test_junk(self) -> None:
        link = self.connected()
        link.receive(b"MSG a 1 2\r\nhi\r\nJUNK\r\nMSG a 1 2\r\nho\r\n")
        self.assertEqual([msg.data for msg in self.messages], [b"hi"])
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("JUNK", str(self.successResultOf(link.protocol.closed)))

    def test_a_message_above_max_payload(self) -> None:
        """It was published at a server of the cluster that accepts more. Ours passes it on, whatever its own limit."""
        link = self.connected()
        link.receive(b"MSG a 1 1025\r\n%b\r\nMSG a 1 2\r\nhi\r\n" % bytes(1025))
        self.assertEqual([len(msg.data) for msg in self.messages], [1025, 2])
        self.assertEqual(link.protocol.info.max_payload, 1024)
        self.assertFalse(link.transport.aborted)

    def test_max_inbound_payload(self) -> None:
        link = self.connected(inbound_limits=InboundLimits(payload=100))
        link.receive(b"MSG a 1 100\r\n%b\r\n" % bytes(100))
        self.assertEqual((len(self.messages), link.transport.aborted), (1, False))
        link.receive(b"MSG a 1 101\r\n")
        self.assertTrue(link.transport.aborted)
        link.lose()
        self.assertIn("above max_inbound_payload, 100 bytes", str(self.successResultOf(link.protocol.closed)))

    def test_a_later_info(self) -> None:
        link = self.connected()
        link.receive(info(max_payload=2048))
        self.assertEqual(link.protocol.info.max_payload, 2048)
        self.assertEqual(link.transport.sent(), b"")


class CommandTests(ProtocolTestCase):
    """The commands, and their PONGs."""

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
        self.assertRaises(SubjectError, link.protocol.sub, "a b", 7, self.messages.append)
        link.receive(b"MSG a 7 0\r\n\r\n")
        self.assertEqual(self.messages, [])
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

    def test_a_ping_of_the_server(self) -> None:
        link = self.connected()
        for byte in b"PING\r\n":
            link.receive(bytes([byte]))
        self.assertEqual(link.transport.sent(), b"PONG\r\n")

    def test_lost_before_the_pong(self) -> None:
        link = self.connected()
        waiting = link.protocol.write_and_ping(b"PUB a 0\r\n\r\n")
        link.lose()
        self.failureResultOf(waiting, ConnectionLostError)
        self.failureResultOf(link.protocol.ping(), ConnectionLostError)

    def test_a_pong_without_a_ping(self) -> None:
        link = self.connected()
        link.receive(b"PONG\r\n")
        self.assertTrue(link.transport.aborted)

    def test_close(self) -> None:
        link = self.connected()
        link.protocol.pub("a", b"")
        link.protocol.close()
        self.assertTrue(link.transport.disconnecting)
        self.assertFalse(link.transport.aborted)
        self.clock.advance(2.0)
        self.assertTrue(link.transport.aborted, "a server that does not read must not keep it open")


class ErrorTests(ProtocolTestCase):
    """-ERR after the handshake."""

    def test_permissions_violation(self) -> None:
        link = self.connected()
        link.receive(b"-ERR 'Permissions Violation for Publish to \"a.b\"'\r\n")
        [error] = self.errors
        self.assertIsInstance(error, PermissionsError)
        self.assertFalse(link.transport.aborted)

    def test_the_last_error_is_the_reason(self) -> None:
        link = self.connected()
        link.receive(b"-ERR 'Stale Connection'\r\n")
        link.lose()
        self.assertEqual(str(self.successResultOf(link.protocol.closed)), "Stale Connection")
        self.assertEqual([error.text for error in self.errors], ["Stale Connection"])


class HealthTests(ProtocolTestCase):
    """PINGs, pauses, and connections that are half open."""

    timing = Timing(ping_interval=10.0, max_pings_outstanding=2)

    def test_two_unanswered_pings(self) -> None:
        link = self.connected(timing=self.timing)
        link.transport.sent()
        self.clock.pump([10.0, 10.0])
        self.assertEqual(link.transport.sent(), b"PING\r\nPING\r\n")
        self.assertFalse(link.transport.aborted)
        self.clock.advance(10.0)
        self.assertTrue(link.transport.aborted)

    def test_answered_pings(self) -> None:
        link = self.connected(timing=self.timing)
        link.transport.sent()
        for _ in range(10):
            self.clock.advance(10.0)
            link.answer_pings()
        self.assertFalse(link.transport.aborted)

    def test_pings_while_paused(self) -> None:
        """Missing PONGs do not count while reading is paused. After that they are counted from zero."""
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

    def test_only_a_ready_connection_pauses(self) -> None:
        """The handshake, and the end of a server that is left, need the answers of the server."""
        link = self.connect()
        link.protocol.pause()
        self.assertEqual(link.transport.producerState, "producing")
        link.shake_hands()
        link.protocol.leave(ConnectionLostError("left"))
        link.protocol.pause()
        self.assertEqual(link.transport.producerState, "producing")

    def ending_of(self, link: Link) -> Exception:
        """Lose the connection; returns the reason that it reports."""
        link.lose()
        return self.successResultOf(link.protocol.closed)

    def test_cut_off_while_paused(self) -> None:
        """A server cuts off a slow consumer without an error. A server that answers has not cut us off."""
        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        self.assertIsInstance(self.ending_of(link), SlowConsumerError)

        link = self.connected(timing=self.timing)
        link.protocol.pause()
        self.clock.advance(12.0)
        link.protocol.resume()
        link.receive(b"MSG a 1 2\r\nhi\r\n")  # it was on its way
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

    def test_cut_off_after_several_pauses(self) -> None:
        """A long pause counts although a short one follows. A PONG for a PING before the short one proves nothing."""
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
        """They cost no PING, because a busy consumer has many of them."""
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
