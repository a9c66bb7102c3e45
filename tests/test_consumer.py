"""natsroute.daemon.consuming.consumer"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.client.connection import Connection
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import Server
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming.consumer import Consumer, Consumers
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import PendingLimitError
from natsroute.routes.calls import CallsInFlight
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.routes.table import RouteTable
from natsroute.turns import MAX_TURN, SharedTurns
from tests.support.memory_network import MemoryNetwork


class ConsumerTestCase(SynchronousTestCase):
    """Consumers of ``nats:a`` and ``nats:b``, whose route answers when the test says so."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.turns = SharedTurns(self.network.clock)
        self.in_flight = CallsInFlight(self.network.clock)
        self.consumers = Consumers(self.in_flight, self.turns)
        self.calls: list[tuple[Event, Deferred[object]]] = []
        self.overflows: list[PendingLimitError] = []
        self.duration = 0.0  # seconds that the route takes; if not 0, it does not wait for an answer

    def add(self, text: str, limits: PendingLimits = PendingLimits()) -> Consumer:
        """A connected consumer."""
        event_route = EventRoutes()

        @event_route("nats:>")
        def route(event: Event) -> Deferred[object] | None:
            self.calls.append((event, Deferred()))
            self.network.clock.rightNow += self.duration
            return None if self.duration else self.calls[-1][1]

        entry = QueueEntry.parse(text)
        connection = Connection(
            self.network.clock,
            ServerPool([Server("a")], Backoff(2.0, 10.0, 0.0)),
            endpoint_for=self.network.endpoint_for,
            message_type=Event,
            turns=self.turns,
        )
        publish: Any = None
        in_thread: Any = None
        context = RunnerContext(publish, self.network.clock, in_thread, self.in_flight)
        runner = Runner(RouteTable(event_route).find, context, subject=entry.subject, queue_group=entry.queue_group)
        self.consumers.add(Consumer.subscribe(entry, connection, runner, limits, self.overflows.append))
        connection.startService()
        self.network.clock.advance(0)
        self.network.link.shake_hands()
        return self.consumers[-1]

    def receive(self, *payloads: bytes, index: int = -1) -> None:
        """The server sends messages."""
        for payload in payloads:
            self.network.links[index].receive(b"MSG a 1 %d\r\n%s\r\n" % (len(payload), payload))

    @property
    def called(self) -> list[bytes]:
        return [event.data for event, _ in self.calls]


class ConsumerTests(ConsumerTestCase):
    """One ``subject_queue_group``"""

    def test_subscribe(self) -> None:
        """A message runs its route, and the event has the queue group."""
        consumer = self.add("a:q")
        self.assertEqual((str(consumer.entry), consumer.source.queue_group), ("a:q", "q"))
        self.receive(b"1")
        self.assertEqual(self.called, [b"1"])
        self.assertEqual(self.calls[0][0].queue_group, "q")

    def test_account(self) -> None:
        """It adds up while one call runs and one message waits."""
        consumer = self.add("a")
        self.receive(b"1", b"2", b"3")
        self.calls[0][1].callback(None)
        account = consumer.account()
        self.assertEqual((account.name, account.received, account.succeeded), ("a", 3, 1))
        self.assertEqual((account.in_progress, account.pending, account.dropped), (1, 1, 0))

    def test_a_subject_needs_no_start(self) -> None:
        """And there is nothing to give back."""
        consumer = self.add("a")
        consumer.start()
        self.receive(b"1", b"2")
        consumer.hand_back()
        self.assertEqual((consumer.source.pending, consumer.problem), (1, None))

    def test_on_overflow(self) -> None:
        consumer = self.add("a", PendingLimits(messages=1))
        self.receive(b"1", b"2", b"3")
        [error] = self.overflows
        self.assertEqual((error.subject, error.messages, consumer.source.pending), ("a", 2, 2))


class ConsumersTests(ConsumerTestCase):
    """All of them"""

    def test_sequence(self) -> None:
        first, second = self.add("a"), self.add("b")
        self.assertEqual((len(self.consumers), list(self.consumers)), (2, [first, second]))
        self.assertEqual((self.consumers[0], self.consumers[-1:]), (first, [second]))

    def test_problems(self) -> None:
        """Of those that are connected; of the others, the connection is the problem."""

        class Stuck(Consumer):
            problem = "consumes nothing"  # type: ignore[assignment]

        first, second = self.add("a"), self.add("b")
        self.assertEqual(list(self.consumers.problems), [])
        for one in (first, second):
            self.consumers.add(Stuck(one.entry, one.connection, one.runner, one.source))
        second.connection.stopService()
        self.assertEqual(list(self.consumers.problems), [("consumer a", "consumes nothing")])

    def test_empty(self) -> None:
        """A service may only publish."""
        self.assertTrue(self.consumers.idle)
        self.successResultOf(self.consumers.drain())
        self.successResultOf(self.consumers.close())
        self.consumers.cut_off()
        self.consumers.resume()

    def test_hold_and_release(self) -> None:
        """As often released as held."""
        self.add("a")
        self.consumers.hold()
        self.consumers.hold()
        self.receive(b"1")
        self.consumers.release()
        self.assertEqual(self.called, [])
        self.consumers.release()
        self.assertEqual(self.called, [b"1"])

    def test_a_backlog_of_each(self) -> None:
        """Together they take no longer than one of them would. Each has its share of every turn."""
        self.duration = 0.001
        names = "abcdefgh"
        for name in names:
            self.add(f"{name}:q")
        self.consumers.hold()
        for index in range(len(names)):
            self.receive(*(b"%d.%d" % (index, number) for number in range(40)), index=index)
        clock = self.network.clock
        before = clock.seconds()
        self.consumers.release()
        self.assertLessEqual(clock.seconds() - before, MAX_TURN + 0.0015)
        turns: list[list[bytes]] = []
        while len(self.calls) < 40 * len(names):
            due = [call for call in clock.getDelayedCalls() if call.getTime() <= clock.seconds()]
            seen, before = len(self.calls), clock.seconds()
            for call in due:  # those that are scheduled meanwhile run in the next turn
                clock.calls.remove(call)
                call.called = True
                call.func(*call.args, **call.kw)
            # Each loop does one message at least, and one more than its share.
            self.assertLessEqual(clock.seconds() - before, 2 * MAX_TURN + 0.002 * len(names))
            turns.append(self.called[seen:])
        busy = [len({data.split(b".")[0] for data in turn}) for turn in turns]
        self.assertEqual(max(busy), len(names), "all of them have their share of a turn")
        for index in range(len(names)):
            got = [data for data in self.called if data.startswith(b"%d." % index)]
            self.assertEqual(got, [b"%d.%d" % (index, number) for number in range(40)])

    def test_held_between_two_turns(self) -> None:
        """A consumer that has not been released yet is not released twice, and not less than the others."""
        self.duration = 0.01
        for name in "abc":
            self.add(f"{name}:q")
        self.consumers.hold()
        for index in range(3):
            self.receive(*[b"%d" % index] * 3, index=index)
        self.consumers.release()
        self.assertNotIn(b"2", self.called)
        self.consumers.hold()
        seen = self.called
        self.network.clock.advance(0)
        self.assertEqual(self.called, seen)
        self.consumers.release()
        self.network.clock.advance(0)
        self.assertEqual(sorted(self.called), sorted([b"0", b"1", b"2"] * 3))

    def test_idle_and_unfinished(self) -> None:
        """A message that waits, and one whose call runs, are not finished."""
        self.add("a")
        self.assertEqual((self.consumers.idle, self.consumers.unfinished), (True, []))
        self.receive(b"1", b"2")
        self.assertEqual((self.consumers.idle, self.consumers.unfinished), (False, ["a", "a"]))
        self.calls[0][1].callback(None)
        self.assertEqual((self.consumers.idle, self.consumers.unfinished), (False, ["a"]))
        self.calls[1][1].callback(None)
        self.assertEqual((self.consumers.idle, self.consumers.unfinished), (True, []))

    def test_unclaimed(self) -> None:
        """Messages that arrive after the subscription has ended are received and dropped."""
        consumer = self.add("a")
        self.receive(b"1")
        consumer.source.unsubscribe()
        self.receive(b"2", b"3")
        account = consumer.account()
        self.assertEqual((account.received, account.unclaimed, account.dropped, account.in_progress), (3, 2, 2, 1))
        self.assertEqual(consumer.connection.status().messages_in, 3)

    def test_cut_off_and_resume(self) -> None:
        """The call is cancelled, what waits is kept; it is handled after resume()."""
        self.add("a")
        self.receive(b"1", b"2")
        self.assertFalse(self.consumers.is_cut_off)
        self.consumers.cut_off()
        self.assertTrue(self.consumers.is_cut_off)
        self.assertEqual((self.called, self.consumers.unfinished), ([b"1"], ["a"]))
        self.assertEqual(self.consumers[0].account().failed, 1)
        self.consumers.resume()
        self.assertEqual((self.called, self.consumers.is_cut_off), ([b"1", b"2"], False))

    def test_resume_without_cut_off(self) -> None:
        """At the first start nothing is released that nobody holds."""
        self.add("a")
        self.consumers.resume()
        self.consumers.hold()
        self.receive(b"1")
        self.assertEqual(self.called, [])

    def test_drain(self) -> None:
        """It fires when each server has answered."""
        self.add("a")
        self.add("b")
        drained = self.consumers.drain()
        for link in self.network.links:
            self.assertNoResult(drained)
            self.assertIn(b"UNSUB 1\r\n", link.answer_pings())
        self.successResultOf(drained)

    def test_close(self) -> None:
        """It fires when each connection has ended."""
        self.add("a")
        self.add("b")
        closed = self.consumers.close()
        for link in self.network.links:
            self.assertNoResult(closed)
            link.lose()
        self.successResultOf(closed)
