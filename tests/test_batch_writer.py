"""natsroute.publishing.batch_writer: what a publisher writes in sparse traffic."""

from __future__ import annotations

from threading import Thread

from twisted.internet.defer import Deferred

from natsroute.errors import ConnectionLostError, PermissionsError
from natsroute.publishing.batch_writer import MAX_PING_DELAY, MIN_GAP
from natsroute.publishing.options import PublishLimits
from tests.support.memory_publisher import PublisherTestCase


def pub(payload: str) -> bytes:
    return b"PUB a %d\r\n%b\r\n" % (len(payload), payload.encode())


#: Seconds that are certainly no less than the minimum.
GAP = 1.01 * MIN_GAP


class SparseTrafficTests(PublisherTestCase):
    """One message now and then, whose Deferred nobody keeps."""

    limits = PublishLimits(max_age=0.0, resend_window=0.0)

    def setUp(self) -> None:
        super().setUp()
        self.publisher.publish("a", b"0")
        self.turn()
        self.pong()  # the last batch is of one message now

    def publish(self, payload: str) -> bytes:
        """Publish in a later turn, and drop the Deferred; gives what is written at once."""
        self.clock.advance(GAP)
        self.link.sent()
        return self.publish_more(payload)

    def publish_more(self, payload: str) -> bytes:
        """Publish in the same turn."""
        self.publisher.publish("a", payload.encode())
        return self.link.sent()

    def publish_alone(self, payload: str) -> None:
        """Publish a message that is written at once, without a PING, and end the turn."""
        pings = len(self.link.pings)
        self.assertEqual(self.publish(payload), pub(payload))
        self.turn()
        self.assertEqual(len(self.link.pings), pings)

    def begin(self) -> None:
        """It is not known whether anybody waits. So the first message that is written at once has a PING."""
        self.assertEqual(self.publish("1"), pub("1"))
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.assertEqual(self.counts(), (2, 2, 0, 0))

    def test_one_ping_for_several(self) -> None:
        """Each message is written at once. Their PING comes when the oldest has waited long enough."""
        self.begin()
        self.publish_alone("2")
        self.clock.advance(MAX_PING_DELAY / 2)
        self.publish_alone("3")
        self.assertEqual(self.counts(), (4, 2, 0, 0))
        self.clock.advance(MAX_PING_DELAY / 2 - 2 * MIN_GAP)
        self.assertEqual(self.link.pings, [])
        self.clock.advance(MIN_GAP * 1.1)
        self.assertEqual((self.link.written, len(self.link.pings)), ([b""], 1))
        self.pong()
        self.assertEqual(self.counts(), (4, 4, 0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.link.sent()
        self.publish_alone("4")
        self.clock.advance(MAX_PING_DELAY)
        self.assertEqual(len(self.link.pings), 1)

    def test_while_a_ping_is_on_its_way(self) -> None:
        """Messages wait for the end of the turn then, as always, and have a PING."""
        self.begin()
        self.publish_alone("2")
        self.clock.advance(MAX_PING_DELAY)
        self.link.sent()
        self.assertEqual(self.publish("3"), b"")
        self.assertEqual(self.turn(), pub("3"))
        self.assertEqual(len(self.link.pings), 2)
        self.pong()
        self.assertEqual(self.counts(), (4, 3, 0, 0))
        self.pong()
        self.assertEqual(self.counts(), (4, 4, 0, 0))

    def test_more_in_the_same_turn(self) -> None:
        """The first message is written at once; the others follow with the PING, which confirms it, too."""
        self.begin()
        self.assertEqual(self.publish("2"), pub("2"))
        self.assertEqual(self.publish_more("3"), b"")
        kept = self.publisher.publish("a", b"4")
        self.assertEqual(self.turn(), pub("3") + pub("4"))
        self.assertEqual(len(self.link.pings), 1)
        self.assertNoResult(kept)
        self.pong()
        self.successResultOf(kept)
        self.assertEqual(self.counts(), (5, 5, 0, 0))
        self.clock.advance(1.0)
        self.assertEqual(self.link.pings, [])

    def test_after_others_without_a_ping(self) -> None:
        """A batch of a later turn has the PING of all, and they are sent again in order."""
        self.begin()
        self.publish_alone("2")
        self.publish_alone("3")
        self.assertEqual(self.publish("4"), pub("4"))
        self.assertEqual(self.publish_more("5"), b"")
        self.assertEqual(self.turn(), pub("5"))
        self.assertEqual(len(self.link.pings), 1)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), pub("2") + pub("3") + pub("4") + pub("5"))
        self.pong()
        self.assertEqual(self.counts(), (6, 6, 4, 0))

    def test_somebody_waits(self) -> None:
        """The PING comes when a callback is added, and with the next message, since somebody may wait again."""
        self.begin()
        self.publish_alone("2")
        self.clock.advance(GAP)
        kept = self.publisher.publish("a", b"3")
        self.assertEqual((self.link.sent(), self.link.pings), (pub("3"), []))
        got: list[object] = []
        kept.addCallback(got.append)
        self.assertEqual((self.link.written, len(self.link.pings)), ([b""], 1))
        kept.addCallback(got.append)
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.assertEqual(got, [None, None])
        self.assertEqual(self.counts(), (4, 4, 0, 0))
        del kept
        self.assertEqual(self.publish("4"), pub("4"))
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.publish_alone("5")

    def test_kept_without_a_callback(self) -> None:
        """Somebody may look at it now and then. Its PING is not much later, and the next message has one with it."""
        self.begin()
        self.clock.advance(GAP)
        kept = self.publisher.publish("a", b"2")
        self.clock.advance(MAX_PING_DELAY)
        self.pong()
        self.assertTrue(kept.called)
        self.publish("3")
        self.assertEqual(len(self.link.pings), 1)

    def test_from_a_thread(self) -> None:
        """A thread may add a callback at any moment, so the PING is not late."""
        self.begin()
        self.publish_alone("2")
        kept: list[Deferred[None]] = []
        thread = Thread(target=lambda: kept.append(self.publisher.publish("a", b"3")))
        thread.start()
        thread.join()
        self.clock.advance(GAP)
        self.link.sent()
        pings = len(self.link.pings)
        thread = Thread(target=lambda: kept[0].addCallback(lambda _: None))
        thread.start()
        thread.join()
        self.assertEqual(len(self.link.pings), pings)
        for function, *arguments in self.from_thread:
            function(*arguments)
        self.turn()
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.successResultOf(kept[0])

    def test_other_worker(self) -> None:
        """A callback for a message of another worker writes its PING too: which worker it belongs to is not known."""
        self.begin()
        self.publish_alone("2")
        self.publisher._awaited()
        self.publisher._awaited()
        self.assertEqual(len(self.link.pings), 1)

    def test_flush(self) -> None:
        """It does not wait for the time."""
        self.begin()
        self.publish_alone("2")
        flushed: Deferred[None] = self.publisher.flush()
        self.assertNoResult(flushed)
        self.pong()
        self.successResultOf(flushed)
        self.assertEqual(self.counts(), (3, 3, 0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flush_in_the_same_turn(self) -> None:
        self.begin()
        self.assertEqual(self.publish("2"), pub("2"))
        flushed = self.publisher.flush()
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.successResultOf(flushed)
        self.turn()
        self.assertEqual((self.link.pings, self.clock.getDelayedCalls()), ([], []))

    def test_stop(self) -> None:
        """It does not wait for the time either."""
        self.begin()
        self.publish_alone("2")
        stopped = self.publisher.stop(5.0)
        self.pong()
        self.successResultOf(stopped)
        self.assertEqual(self.counts(), (3, 3, 0, 0))

    def test_abandoned(self) -> None:
        """The server does not answer, and the stop waits no longer."""
        self.begin()
        self.publish_alone("2")
        self.assertEqual(self.publish("3"), pub("3"))
        stopped = self.publisher.stop(1.0)
        self.assertEqual(len(self.link.pings), 1)
        self.clock.advance(1.0)
        self.successResultOf(stopped)
        self.assertEqual(self.counts(), (4, 2, 0, 2))
        self.clock.advance(1.0)
        self.assertEqual((len(self.link.pings), self.clock.getDelayedCalls()), (1, []))

    def test_connection_lost(self) -> None:
        """What has no PING is sent again like all that is not confirmed, and then has one."""
        self.begin()
        self.publish_alone("2")
        self.publish_alone("3")
        self.disconnect()
        self.clock.advance(MAX_PING_DELAY)
        self.assertEqual((self.link.sent(), self.link.pings), (b"", []))
        self.connect()
        self.assertEqual((self.link.sent(), len(self.link.pings)), (pub("2") + pub("3"), 1))
        self.pong()
        self.assertEqual(self.counts(), (4, 4, 2, 0))

    def test_connection_lost_in_the_turn(self) -> None:
        self.begin()
        self.assertEqual(self.publish("2"), pub("2"))
        self.disconnect()
        self.connect()
        self.turn()
        self.assertEqual(len(self.link.pings), 1)
        self.pong()
        self.assertEqual(self.counts(), (3, 3, 1, 0))

    def test_policy_fail(self) -> None:
        """Its Deferred is needed to know that it may not be sent twice, so its PING is not late."""
        self.begin()
        self.publisher.publish("a", b"2", policy="fail")
        self.turn()
        self.assertEqual(len(self.link.pings), 1)
        self.disconnect()
        self.connect()
        self.assertEqual(self.counts(), (3, 2, 0, 1))

    def test_refused(self) -> None:
        """The server answers in order, so it is certain which of the messages is at fault."""
        self.begin()
        self.publish_alone("2")
        self.assertEqual(self.publish("x"), pub("x"))
        kept = self.publisher.publish("b", b"3")
        self.assertEqual(self.link.sent(), b"")
        self.turn()
        self.refuse('Permissions Violation for Publish to "b"')
        self.pong()
        self.failureResultOf(kept, PermissionsError)
        self.assertEqual(self.counts(), (5, 4, 0, 1))

    def test_pool(self) -> None:
        """A payload that the pool makes is not written alone, and messages behind it wait for it."""
        self.begin()
        self.publish_alone("2")
        self.publisher.publish("a", lambda: b"3")
        self.assertEqual(self.turn(), b"")
        self.assertEqual(self.publish("4"), b"")
        self.turn()
        self.clock.advance(MAX_PING_DELAY)
        self.assertEqual(len(self.link.pings), 1)
        self.link.sent()
        self.pool.run_next()
        self.turn()
        while self.link.pings:
            self.pong()
        self.assertEqual(self.counts(), (5, 5, 0, 0))

    def test_reconnected_without_a_word(self) -> None:
        """As when the link was stopped: the worker sees the connection of the next life only."""
        self.begin()
        self.publish_alone("2")
        self.link.info = None
        for ping in self.link.pings:
            ping.errback(ConnectionLostError("stopped"))
        self.link.pings.clear()
        self.connect()
        self.assertEqual((self.link.sent(), len(self.link.pings)), (pub("2"), 1))
        self.pong()
        self.assertEqual(self.counts(), (3, 3, 1, 0))


class ExpiryTests(PublisherTestCase):
    limits = PublishLimits(max_age=0.001, resend_window=0.0)

    def test_expires_before_its_ping(self) -> None:
        """It fails, and its PONG confirms nothing."""
        for payload in (b"0", b"1"):
            self.publisher.publish("a", payload)
            self.turn()
            self.pong()
            self.clock.advance(GAP)
        self.publisher.publish("a", b"2")
        self.turn()
        self.assertEqual(self.link.pings, [])
        self.clock.advance(0.001)
        self.assertEqual((self.counts(), self.link.pings), ((3, 2, 0, 1), []))
        self.clock.advance(MAX_PING_DELAY)
        self.pong()
        self.assertEqual(self.counts(), (3, 2, 0, 1))
