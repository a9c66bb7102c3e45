"""natsroute.publishing.resend_window"""

from __future__ import annotations

from natsroute.errors import PermissionsError, PublisherStoppedError, server_error
from natsroute.publishing.options import PublishLimits
from tests.support.memory_publisher import PublisherTestCase


class ResendWindowTests(PublisherTestCase):
    """A server that is killed may have confirmed what it had not yet passed on."""

    limits = PublishLimits(messages=100, bytes=400, resend_window=0.25)

    def confirm(self, *subjects: str) -> None:
        for subject in subjects:
            self.publisher.publish(subject, b"x")
        self.flush()
        self.pong()

    def test_confirmed_a_moment_ago(self) -> None:
        """Sent again, before what was not confirmed, and counted as that; nobody hears of it twice."""
        self.confirm("a", "b")
        waiting = self.publisher.publish("c", b"x")
        self.flush()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\nPUB b 1\r\nx\r\nPUB c 1\r\nx\r\n")
        self.assertNoResult(waiting)
        self.pong()
        self.pong()
        self.successResultOf(waiting)
        self.assertEqual(self.counts(), (3, 3, 3, 0))

    def test_a_server_that_was_left_in_order(self) -> None:
        """It has passed on what it confirmed."""
        self.confirm("a")
        self.link.max_payload = None
        self.worker.disconnected(cleanly=True)
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_confirmed_before(self) -> None:
        self.confirm("a")
        self.clock.advance(0.2)
        self.confirm("b")
        self.clock.advance(0.1)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB b 1\r\nx\r\n")

    def test_a_reactor_that_was_busy(self) -> None:
        """The connection was lost right behind the PONG, and the news of it had to wait."""
        self.confirm("a")
        self.clock.rightNow += 1.0
        for call in self.clock.getDelayedCalls():
            if call.getTime() <= self.clock.seconds():
                self.clock.calls.remove(call)
                call.called = 1
                call.func(*call.args)  # the reactor's timers come before its sockets
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")

    def test_nothing_is_kept_for_longer(self) -> None:
        """Though nothing follows it; and no timer is left."""
        self.confirm("a")
        self.clock.advance(0.1)
        self.confirm("b")
        self.clock.advance(0.3)
        self.assertEqual(list(self.worker._settling._settled), [])
        self.assertEqual([call.getTime() for call in self.clock.getDelayedCalls() if call.getTime() < 60], [])

    def test_lost_again_and_again(self) -> None:
        """What was sent again and not confirmed is sent once more, not twice."""
        self.confirm("a")
        for _ in range(3):
            self.disconnect()
            self.connect()
            self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")
        self.pong()
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"")

    def test_bounded(self) -> None:
        """By a quarter of the bytes that may wait."""
        for number in range(20):
            self.confirm(f"a{number % 10}")
        self.disconnect()
        self.connect()
        sent = self.link.sent()
        self.assertLessEqual(len(sent), 100)
        self.assertGreater(len(sent), 80)

    def test_a_server_with_a_smaller_max_payload(self) -> None:
        """Nothing is sent that would end the connection, and the rest is."""
        self.publisher.publish("a", b"x" * 60)
        self.confirm("b")
        self.disconnect()
        self.connect(max_payload=50)
        self.assertEqual(self.link.sent(), b"PUB b 1\r\nx\r\n")

    def test_beside_one_that_was_refused(self) -> None:
        """The others of its batch were confirmed."""
        refused = self.publisher.publish("secret", b"x")
        self.publisher.publish("a", b"x")
        self.flush()
        self.worker.refused(server_error('Permissions Violation for Publish to "secret"'))  # type: ignore[arg-type]
        self.pong()
        self.failureResultOf(refused, PermissionsError)
        self.disconnect()
        self.connect()
        self.assertEqual(self.link.sent(), b"PUB a 1\r\nx\r\n")

    def test_the_end_while_a_server_is_being_left(self) -> None:
        """What is written will be confirmed still."""
        last = self.publisher.publish("a", b"x")
        self.flush()
        self.link.max_payload = None
        stopped = self.publisher.stop(5.0)
        self.assertNoResult(stopped)
        self.pong()
        self.successResultOf(last)
        self.successResultOf(stopped)

    def test_a_pong_after_the_end_of_patience(self) -> None:
        late = self.publisher.publish("a", b"x")
        self.flush()
        stopped = self.publisher.stop(5.0)
        self.clock.advance(5.0)
        self.failureResultOf(late, PublisherStoppedError)
        self.successResultOf(stopped)
        self.pong()
        self.assertEqual(self.counts(), (1, 0, 0, 1))

    def test_the_end_does_not_wait_for_it(self) -> None:
        self.confirm("a")
        self.disconnect()
        self.successResultOf(self.publisher.stop(1.0))
        self.assertEqual(self.counts(), (1, 1, 0, 0))
