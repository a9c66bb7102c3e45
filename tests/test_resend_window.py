"""natsroute.publishing.resend_window"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import PermissionsError, PublisherStoppedError
from natsroute.publishing.batches import Batch
from natsroute.publishing.options import PublishLimits
from natsroute.publishing.resend_window import ResendWindow
from natsroute.wire.server_errors import server_error
from tests.support.memory_publisher import PublisherTestCase
from tests.support.waiting import run_one_call


class AgeTests(PublisherTestCase):
    """Messages that were confirmed are not sent again when they are older than ``publish_max_age``."""

    limits = PublishLimits(resend_window=0.25, max_age=60.0)

    def test_a_long_outage(self) -> None:
        for outage, sent in ((59.0, b"PUB a 1\r\nx\r\n"), (60.0, b"")):
            self.setUp()
            self.publisher.publish("a", b"x")
            self.turn()
            self.pong()
            self.disconnect()
            self.clock.advance(outage)
            self.connect()
            self.assertEqual(self.link.sent(), sent)


class NoAgeTests(PublisherTestCase):
    """publish_max_age = 0"""

    limits = PublishLimits(resend_window=0.25, max_age=0.0)

    def test_a_long_outage(self) -> None:
        """Nothing is too old."""
        self.publisher.publish("a", b"x")
        self.turn()
        self.pong()
        self.disconnect()
        self.clock.advance(1e6)
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")


class RoundedTests(SynchronousTestCase):
    """Sums of times are rounded."""

    def test_the_window_has_just_ended(self) -> None:
        """The batch is forgotten, instead of looked at for ever on a clock that stands still."""
        clock = Clock()
        window = ResendWindow(clock, 0.25, 1000)
        clock.rightNow = 0.1
        window.add(Batch([], b"PUB a 0\r\n\r\n"))
        clock.rightNow += 0.25
        self.assertLess(clock.rightNow - 0.25, 0.1, "what rounding does")
        for _ in range(2):  # the window ends, and then the reactor has had its turn
            run_one_call(clock)
        self.assertEqual((window.take(), clock.getDelayedCalls()), ([], []))


class ResendWindowTests(PublisherTestCase):
    """A server that is killed may have confirmed messages that it had not yet passed on."""

    limits = PublishLimits(messages=100, bytes=400, resend_window=0.25)

    def confirm(self, *subjects: str) -> None:
        kept = [self.publisher.publish(subject, b"x") for subject in subjects]  # their PINGs do not come later
        self.turn()
        self.pong()
        del kept

    def test_just_confirmed(self) -> None:
        """Sent again, before unconfirmed messages, and counted as resent; the Deferred does not fire again."""
        self.confirm("a", "b")
        waiting = self.publisher.publish("c", b"x")
        self.turn()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\nPUB b 1\r\nx\r\nPUB c 1\r\nx\r\n")
        self.assertNoResult(waiting)
        self.pong()
        self.pong()
        self.successResultOf(waiting)
        self.assertEqual(self.counts(), (3, 3, 3, 0))

    def test_a_clean_disconnect(self) -> None:
        """A server that we left has passed on all that it confirmed."""
        self.confirm("a")
        self.disconnect(cleanly=True)
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_confirmed_before_the_window(self) -> None:
        self.confirm("a")
        self.clock.advance(0.2)
        self.confirm("b")
        self.clock.advance(0.1)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB b 1\r\nx\r\n")

    def test_a_busy_reactor(self) -> None:
        """The connection was lost right after the PONG, but the reactor runs the timers first."""
        self.confirm("a")
        self.clock.rightNow += 1.0
        for call in self.clock.getDelayedCalls():
            if call.getTime() <= self.clock.seconds():
                self.clock.calls.remove(call)
                call.called = 1
                call.func(*call.args)  # the reactor runs timers before it reads sockets
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")

    def test_forgotten_after_the_window(self) -> None:
        """Also if nothing is published after it; and no timer is left."""
        self.confirm("a")
        self.clock.advance(0.1)
        self.confirm("b")
        self.clock.advance(0.3)
        self.assertEqual(list(self.worker._resend_window._confirmed), [])
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() < 60], [])

    def test_connection_lost_several_times(self) -> None:
        """A message that was sent again and not confirmed is sent once over each connection."""
        self.confirm("a")
        for _ in range(3):
            self.disconnect()
            self.connect()
            self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")
        self.pong()
        self.clock.advance(0.25)
        self.clock.advance(0)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_killed_again_after_the_confirmation(self) -> None:
        """The window begins again when a message that was sent again is confirmed."""
        self.confirm("a")
        for _ in range(3):
            self.disconnect()
            self.clock.advance(0.2)
            self.connect()
            self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")
            self.pong()
            self.clock.advance(0.2)
        self.assertEqual(self.counts(), (1, 1, 3, 0))
        self.clock.advance(0.1)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_bytes(self) -> None:
        """Messages that were confirmed do not count for the buffer, and the window counts each once."""
        self.confirm("a", "b")
        size = len(b"PUB a 1\r\nx\r\n")
        self.assertEqual(self.worker._resend_window._bytes, 2 * size)
        self.disconnect()
        self.assertEqual(self.worker._resend_window._bytes, 0)
        self.connect()
        self.pong()
        self.assertEqual((self.worker._resend_window._bytes, self.worker.buffer.bytes), (2 * size, 0))
        self.clock.advance(0.25)
        self.clock.advance(0)
        self.assertEqual(self.worker._resend_window._bytes, 0)

    def test_timers(self) -> None:
        """One at a time: for the oldest, then for the next, and none after a stop."""
        self.confirm("a")
        self.clock.advance(0.1)
        self.confirm("b")
        times = [call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() < 60]
        self.assertEqual(times, [0.25])
        self.clock.advance(0.15)
        self.clock.advance(0)
        [time] = [call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() < 60]
        self.assertAlmostEqual(time, 0.35)
        self.successResultOf(self.publisher.stop(1.0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_unknown_end(self) -> None:
        """Of a connection that the server may have ended: what was just confirmed is sent again."""
        self.confirm("a")
        self.link.info = None
        self.worker.disconnected()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")

    def test_stopped(self) -> None:
        """Nothing from before a stop is sent after it, whether the connection ended before or after the stop."""
        for lost_before in (True, False):
            self.confirm("a")
            if lost_before:
                self.disconnect()
            self.successResultOf(self.publisher.stop(5.0))
            self.publisher.start()
            self.disconnect()
            self.connect()
            self.assertEqual(self.link.sent(), b"")

    def test_bounded(self) -> None:
        """The window holds at most a quarter of the bytes that the worker may hold."""
        for number in range(20):
            self.confirm(f"a{number % 10}")
        self.disconnect()
        self.connect()
        sent = self.link.sent()
        self.assertLessEqual(len(sent), 100)
        self.assertGreater(len(sent), 80)

    def test_a_server_with_a_smaller_max_payload(self) -> None:
        """Messages above it are left out, since the server would end the connection for them."""
        self.publisher.publish("a", b"x" * 60)
        self.confirm("b")
        self.disconnect()
        self.connect(max_payload=50)
        self.assertEqual(self.link.sent(), b"PUB b 1\r\nx\r\n")

    def test_in_a_batch_with_a_refused_message(self) -> None:
        """The other messages of the batch were confirmed."""
        refused = self.publisher.publish("secret", b"x")
        self.publisher.publish("a", b"x")
        self.turn()
        self.worker.refused(server_error('Permissions Violation for Publish to "secret"'))  # type: ignore[arg-type]
        self.pong()
        self.failureResultOf(refused, PermissionsError)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")

    def test_stop_while_we_leave_the_server(self) -> None:
        """The link takes nothing more, but written messages are still confirmed."""
        last = self.publisher.publish("a", b"x")
        self.turn()
        self.link.info = None
        stopped = self.publisher.stop(5.0)
        self.assertNoResult(stopped)
        self.pong()
        self.successResultOf(last)
        self.successResultOf(stopped)

    def test_a_pong_after_the_timeout_of_stop(self) -> None:
        late = self.publisher.publish("a", b"x")
        self.turn()
        stopped = self.publisher.stop(5.0)
        self.clock.advance(5.0)
        self.failureResultOf(late, PublisherStoppedError)
        self.successResultOf(stopped)
        self.pong()
        self.assertEqual(self.counts(), (1, 0, 0, 1))

    def test_stop_does_not_wait_for_the_window(self) -> None:
        self.confirm("a")
        self.disconnect()
        self.successResultOf(self.publisher.stop(1.0))
        self.assertEqual(self.counts(), (1, 1, 0, 0))
