"""natsroute.daemon.consuming.jetstream_consumer; tests.integration.test_jetstream_routes has it with a real server."""

from __future__ import annotations

from threading import Thread
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes
from natsroute.client.state import State
from natsroute.client.subscription import PendingLimits
from natsroute.daemon.consuming import jetstream_consumer
from natsroute.daemon.consuming.jetstream_consumer import FLUSH_TIMEOUT, JetStreamConsumer, StreamParts
from natsroute.daemon.settings.jetstream_entries import ConsumerEntry
from natsroute.errors import ConnectionLostError
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import ConsumerNotFoundError
from natsroute.jetstream.management.configs import ConsumerConfig
from natsroute.routes.in_flight import CallsInFlight
from natsroute.routes.runner import Runner, RunnerContext
from natsroute.routes.table import RouteTable
from tests.support.stream_events import MemoryAcks, stream_event


class MemoryPull:
    """A pull consumer: hands over what the test gives it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.args = args
        self.on_msg = args[5]
        self.received = self.dropped = 0
        self.info: Any = None
        self.problem: Any = None
        self.num_pending: int | None = None
        self.waiting: list[Event] = []
        self.log: list[str] = []

    @property
    def pending(self) -> int:
        return len(self.waiting)

    @property
    def pending_subjects(self) -> list[str]:
        return [event.subject for event in self.waiting]

    def take_pending(self) -> list[Event]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def hand_to(self, on_msg: Any, *ways: Any, **more: Any) -> None:
        self.on_msg = on_msg

    def start(self) -> None:
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    def drain(self) -> Deferred[None]:
        self.log.append("drain")
        return succeed(None)


class MemoryAcksOfConnection(MemoryAcks):
    """Acknowledgements over a connection."""

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.flushed: Deferred[None] = Deferred()

    def flush(self) -> Deferred[None]:
        return self.flushed


class JetStreamConsumerTests(SynchronousTestCase):
    """A consumer of a stream whose routes answer when the test says so."""

    def setUp(self) -> None:
        self.patch(jetstream_consumer, "PullConsumer", MemoryPull)
        self.patch(jetstream_consumer, "Acks", MemoryAcksOfConnection)
        self.patch(jetstream_consumer, "Requests", lambda connection, clock, inbox_prefix: None)
        self.clock: Any = Clock()
        self.clock.callFromThread = lambda function, *arguments: function(*arguments)
        self.in_flight = CallsInFlight(self.clock)
        self.closed = 0
        self.connection: Any = SimpleNamespace(
            state=State.CONNECTED, status=lambda: SimpleNamespace(unclaimed=0), stopService=self.close
        )
        entry = ConsumerEntry.parse("CALLS:billing=>batch=7")
        api: Any = "the API"
        parts = StreamParts(self.connection, api, self.in_flight, self.clock, PullOptions(**entry.pull), "_IN")
        publish: Any = None
        in_thread: Any = None
        context = RunnerContext(publish, self.clock, in_thread, self.in_flight, stream=parts.stream)
        event_route = EventRoutes()
        self.running: list[Deferred[None]] = []
        event_route("nats:calls.*", key=lambda event: 1)(self.route)
        runner = Runner(RouteTable(event_route).find, context, subject=entry.event_name, queue_group=None)
        self.consumer = parts.consumer(entry, self.connection, runner, PendingLimits(), lambda error: None)

    def route(self, event: Event) -> Deferred[None]:
        self.running.append(Deferred())
        return self.running[-1]

    def close(self) -> Deferred[None]:
        self.closed += 1
        return succeed(None)

    @property
    def pull(self) -> Any:
        return self.consumer.pull

    @property
    def acks(self) -> Any:
        return self.consumer.acks

    def start(self) -> JetStreamConsumer:
        self.consumer.start()
        return self.consumer

    def receive(self, *sequences: int) -> None:
        """The server delivers messages."""
        for sequence in sequences:
            self.pull.received += 1
            self.pull.on_msg(stream_event(sequence=sequence))

    def test_what_is_asked_for(self) -> None:
        _, api, acks, stream, durable, _, options = self.start().pull.args  # type: ignore[attr-defined]
        self.assertEqual((api, acks, stream, durable), ("the API", self.acks, "CALLS", "billing"))
        self.assertEqual((options.batch, self.pull.log), (7, ["start"]))

    def test_account(self) -> None:
        """It adds up while one call runs and messages wait for it, and in the source."""
        self.start()
        self.receive(1, 2)
        self.pull.waiting = [stream_event(sequence=3)]
        self.pull.received += 1
        self.pull.num_pending = 12
        account = self.consumer.account()
        self.assertEqual((account.name, account.received, account.lag), ("CALLS:billing", 3, 12))
        self.assertEqual((account.in_progress, account.waiting, account.handed_back), (1, 2, 0))

    def test_problem(self) -> None:
        """Until the consumer was found, and whenever it cannot be used."""
        self.start()
        self.assertEqual(self.consumer.problem, "has not found its consumer yet")
        self.pull.info = SimpleNamespace(config=ConsumerConfig(ack_wait=8.0, max_deliver=None, backoff=()))
        self.assertIsNone(self.consumer.problem)
        self.pull.problem = ConsumerNotFoundError("consumer not found", 404, 10014)
        self.assertEqual(self.consumer.problem, f"consumes nothing: {self.pull.problem}")

    def test_the_rules(self) -> None:
        """Are those of the consumer, as the server tells them."""
        self.start()
        self.assertEqual(self.consumer.stream.rules().max_deliver, 0)
        self.assertEqual(self.consumer.stream.rules().ack_wait, 1.0)  # a short one, until it is known
        self.pull.info = SimpleNamespace(config=ConsumerConfig(ack_wait=8.0, max_deliver=5, backoff=(1.0, 2.0)))
        rules = self.consumer.stream.rules()
        self.assertEqual((rules.ack_wait, rules.max_deliver, rules.backoff), (8.0, 5, (1.0, 2.0)))

    def test_a_long_call(self) -> None:
        """Is reported."""
        self.start()
        self.pull.info = SimpleNamespace(config=ConsumerConfig(ack_wait=8.0, max_deliver=None, backoff=()))
        self.receive(1)
        self.clock.pump([0.25, 2.0])
        self.assertEqual(self.acks.written, [(1, "in progress")])

    def test_cut_off(self) -> None:
        """What waits is for other processes: in the source, and behind the call that is cancelled."""
        self.start()
        self.receive(1, 2)
        self.pull.waiting = [stream_event(sequence=3)]
        self.pull.received += 1
        self.in_flight.stop()
        self.consumer.hand_back()
        self.assertEqual(sorted(self.acks.written), [(n, "nak", None) for n in (1, 2, 3)])
        account = self.consumer.account()
        self.assertEqual((account.received, account.handed_back, account.waiting, account.in_progress), (3, 3, 0, 0))

    def test_another_receiver(self) -> None:
        """The runner may ask for one, as it does to trace messages."""
        self.consumer.runner._hand_to(print, {})
        self.assertIs(self.pull.on_msg, print)

    def test_started_in_another_thread(self) -> None:
        """A service may be made in one thread, and its reactor run in another one: that one writes."""
        thread = Thread(target=self.start)
        thread.start()
        thread.join()
        later: list[Any] = []
        self.consumer.stream._call_from_thread = lambda *call: later.append(call)
        self.consumer.stream.write(self.acks.ack, b"$JS.ACK.CALLS.billing.1.1.1.1.0")
        self.assertEqual((self.acks.written, len(later)), ([], 1))

    def test_drain(self) -> None:
        """The connection stays."""
        self.start()
        self.successResultOf(self.consumer.drain())
        self.assertEqual((self.pull.log, self.closed), (["start", "drain"], 0))

    def test_close(self) -> None:
        """The server has the acknowledgements first. Nothing is left in the reactor."""
        self.start()
        closed = self.consumer.close()
        self.assertEqual((self.pull.log, self.closed), (["start", "stop"], 0))
        self.acks.flushed.callback(None)
        self.successResultOf(closed)
        self.assertEqual((self.closed, self.clock.getDelayedCalls()), (1, []))

    def test_close_at_a_server_that_refuses_a_subscription(self) -> None:
        """It takes the acknowledgements all the same."""
        self.start()
        self.connection.state = State.REFUSED
        closed = self.consumer.close()
        self.assertNoResult(closed)
        self.acks.flushed.callback(None)
        self.successResultOf(closed)

    def test_close_without_a_server(self) -> None:
        """There is nothing to wait for."""
        self.start()
        self.connection.state = State.WAITING
        self.successResultOf(self.consumer.close())

    def test_a_server_that_does_not_answer(self) -> None:
        """Is not waited for longer than that; one that is lost not at all."""
        self.start()
        closed = self.consumer.close()
        self.assertNoResult(closed)
        self.clock.advance(FLUSH_TIMEOUT)
        self.successResultOf(closed)
        self.acks.flushed.errback(ConnectionLostError("too late"))
        self.acks.flushed = Deferred()
        closed = self.consumer.close()
        self.acks.flushed.errback(ConnectionLostError("lost"))
        self.successResultOf(closed)
