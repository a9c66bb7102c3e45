"""Pull consumers at a real server: restarts, limits, and priority groups."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from natsroute.client.connection import Connection
from natsroute.client.requests import Requests
from natsroute.client.server_pool import Backoff, ServerPool
from natsroute.client.servers import parse_url
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.consuming.acks import Acks
from natsroute.jetstream.consuming.pull_consumer import PullConsumer
from natsroute.jetstream.consuming.pull_options import PullOptions
from natsroute.jetstream.errors import ConsumerNotFoundError
from natsroute.message import Message
from natsroute.wire.encoder import encode_pub
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase

RETRY = Backoff(0.05, 0.2, 0.0)


class Worker:
    """
    A pull consumer with a connection of its own. It acknowledges each message at once.

    :ivar got: the payloads of its messages.
    :ivar acknowledges: whether it acknowledges.
    :ivar busy: what its receiver returns.
    """

    def __init__(self, case: PullConsumerCase, options: PullOptions) -> None:
        self.got: list[bytes] = []
        self.replies: list[bytes] = []
        self.acknowledges = True
        self.busy: Deferred[None] | None = None
        self.connection = case.connect()
        requests = Requests(self.connection, case.reactor)
        self.acks = Acks(self.connection, requests, case.reactor)
        self.consumer = PullConsumer(
            self.connection, case.api, self.acks, "S", "D", self._on_msg, options, clock=case.reactor, retry=RETRY
        )
        case.addCleanup(self.consumer.stop)
        self.consumer.start()

    def _on_msg(self, msg: Message) -> Deferred[None] | None:
        self.got.append(msg.data)
        assert msg.reply_to is not None
        self.replies.append(msg.reply_to)
        if self.acknowledges:
            self.acks.ack(msg.reply_to)
        return self.busy


class PullConsumerCase(OneServerTestCase):
    """Stream ``S`` with the subjects ``calls.>``, and its consumer ``D``."""

    config = "jetstream: {}"

    def setUp(self) -> Deferred[None]:
        self.log = LogRecorder(self)
        return super().setUp().addCallback(lambda _: self._prepare())

    def _prepare(self) -> None:
        self.control = self.connect()
        self.api = JetStreamApi(Requests(self.control, self.reactor).request)

    def connect(self) -> Connection:
        """A connection that ends with the test."""
        pool = ServerPool([parse_url(self.url)], Backoff(0.05, 0.2, 0.0))
        connection = Connection(self.reactor, pool, message_type=Message)
        connection.startService()
        self.addCleanup(connection.stopService)
        return connection

    async def create(self, **consumer: Any) -> None:
        """Make the stream and its consumer."""
        await self.api.call("STREAM.CREATE.S", {"name": "S", "subjects": ["calls.>"], "storage": "file"})
        await self.create_consumer(**consumer)

    async def create_consumer(self, **more: Any) -> None:
        """Make the consumer."""
        config = {"durable_name": "D", "ack_policy": "explicit", "ack_wait": 30_000_000_000, **more}
        await self.api.call("CONSUMER.CREATE.S.D", {"stream_name": "S", "config": config})

    async def publish(self, *payloads: bytes) -> None:
        """Publish, and wait until the server has it."""
        await self.control.write_and_ping(b"".join(encode_pub("calls.a", payload) for payload in payloads))

    async def settled(self) -> None:
        """Wait until everything is delivered and acknowledged."""
        while True:
            state = await self.api.call("CONSUMER.INFO.S.D")
            if not state["num_pending"] and not state["num_ack_pending"]:
                return


class PullConsumerTests(PullConsumerCase):
    """From the first message to the last."""

    async def test_consumes(self) -> None:
        """Every message once and in order, and each acknowledgement arrives."""
        await self.create()
        worker = Worker(self, PullOptions(batch=50))
        payloads = [b"%d" % number for number in range(1000)]
        await self.publish(*payloads)
        await self.until(lambda: len(worker.got) == 1000)
        self.assertEqual(worker.got, payloads)
        await self.settled()
        self.assertEqual((worker.consumer.num_pending, worker.consumer.problem), (0, None))
        self.assertGreaterEqual(worker.consumer.statistics.pulls, 1000 // 25)

    async def test_confirmed(self) -> None:
        await self.create()
        worker = Worker(self, PullOptions())
        worker.acknowledges = False
        await self.publish(b"1")
        await self.until(lambda: worker.got)
        await worker.acks.ack_confirmed(worker.replies[0], 10.0)
        state = await self.api.call("CONSUMER.INFO.S.D")
        self.assertEqual((state["num_ack_pending"], state["ack_floor"]["stream_seq"]), (0, 1))

    async def test_nak_term_and_progress(self) -> None:
        await self.create()
        worker = Worker(self, PullOptions())
        worker.acknowledges = False
        await self.publish(b"1")
        await self.until(lambda: len(worker.got) == 1)
        for count, delay in ((2, None), (3, 0.05)):
            worker.acks.nak(worker.replies[-1], delay)
            await self.until(lambda count=count: len(worker.got) == count)  # type: ignore[misc]
        worker.acks.in_progress(worker.replies[-1])
        worker.acks.term(worker.replies[-1], "bad input")
        await self.settled()
        self.assertEqual(worker.consumer.statistics.redelivered, 2)

    async def test_restart(self) -> None:
        """The server is killed in the middle: consuming goes on, and what it did not read is delivered again."""
        await self.create(ack_wait=1_000_000_000)
        worker = Worker(self, PullOptions(batch=20))
        await self.publish(*(b"%d" % number for number in range(100)))
        await self.until(lambda: len(worker.got) >= 100)
        await self.server.kill()
        await self.until(lambda: not worker.connection.state.is_connected)
        await self.server.start()
        await self.until(lambda: self.control.state.is_connected)
        await self.publish(*(b"%d" % number for number in range(100, 200)))
        await self.until(lambda: len(set(worker.got)) == 200)
        await self.settled()
        self.assertIsNone(worker.consumer.problem)

    async def test_deleted_and_made_again(self) -> None:
        await self.create()
        worker = Worker(self, PullOptions())
        await self.publish(b"1")
        await self.until(lambda: worker.got == [b"1"])
        await self.api.call("CONSUMER.DELETE.S.D")
        await self.until(lambda: worker.consumer.problem)
        self.assertIsInstance(worker.consumer.problem, ConsumerNotFoundError)
        await self.create_consumer(deliver_policy="new")
        await self.publish(b"2")
        await self.until(lambda: worker.got == [b"1", b"2"])
        self.assertIsNone(worker.consumer.problem)

    async def test_made_after_the_start(self) -> None:
        worker = Worker(self, PullOptions())
        await self.until(lambda: worker.consumer.problem)
        await self.create()
        await self.publish(b"1")
        await self.until(lambda: worker.got)

    async def test_stream_deleted_and_made_again(self) -> None:
        await self.create()
        worker = Worker(self, PullOptions())
        await self.publish(b"1")
        await self.until(lambda: worker.got == [b"1"])
        await self.api.call("STREAM.DELETE.S")
        await self.until(lambda: worker.consumer.problem)
        await self.create()
        await self.publish(b"2")
        await self.until(lambda: worker.got == [b"1", b"2"])

    async def test_max_ack_pending(self) -> None:
        """No more comes until something is acknowledged."""
        await self.create(max_ack_pending=5)
        worker = Worker(self, PullOptions(batch=100))
        worker.acknowledges = False
        await self.publish(*(b"%d" % number for number in range(12)))
        await self.until(lambda: len(worker.got) == 5)
        state = await self.api.call("CONSUMER.INFO.S.D")
        while state["num_pending"] < 7:  # the server stores messages after it has answered a PING behind them
            state = await self.api.call("CONSUMER.INFO.S.D")
        self.assertEqual((len(worker.got), state["num_ack_pending"], state["num_pending"]), (5, 5, 7))
        self.assertEqual(len(self.log.matching("it allows a batch of 5")), 1)
        worker.acknowledges = True
        for reply_to in worker.replies[:5]:
            worker.acks.ack(reply_to)
        await self.until(lambda: len(worker.got) == 12)
        await self.settled()

    async def test_limits_of_a_pull(self) -> None:
        """Those that the consumer has, and those that are changed while it is consumed from."""
        await self.create(max_batch=7, max_expires=20_000_000_000)
        worker = Worker(self, PullOptions(batch=100))
        await self.publish(*(b"%d" % number for number in range(50)))
        await self.until(lambda: len(worker.got) == 50)
        await self.settled()
        await self.create_consumer(max_batch=3, max_bytes=2000)
        await self.publish(*(b"x" * 300 for _ in range(50)))
        await self.until(lambda: len(worker.got) == 100)
        await self.settled()
        self.assertIsNone(worker.consumer.problem)
        self.assertTrue(self.log.matching("Exceeded MaxRequestBatch of 3"))

    async def test_large_messages(self) -> None:
        """A message larger than max_bytes, and then many that fill a pull by their bytes."""
        await self.create()
        worker = Worker(self, PullOptions(batch=100, max_bytes=10_000))
        await self.publish(b"x" * 30_000, *(b"%d" % number for number in range(300)))
        await self.until(lambda: len(worker.got) == 301)
        self.assertTrue(self.log.matching("it has messages of more than"))
        await self.publish(*(b"y" * size for size in range(5_000, 6_000, 10)))
        await self.until(lambda: len(worker.got) == 401)
        await self.settled()

    async def test_short_pulls(self) -> None:
        """Pulls that expire all the time, while messages come now and then."""
        await self.create()
        worker = Worker(self, PullOptions(batch=10, expires=0.2))
        for number in range(5):
            pulls = worker.consumer.statistics.pulls
            await self.until(lambda pulls=pulls: worker.consumer.statistics.pulls > pulls)  # type: ignore[misc]
            await self.publish(b"%d" % number)
        await self.until(lambda: len(worker.got) == 5)
        self.assertIsNone(worker.consumer.problem)

    async def test_slow_receiver(self) -> None:
        """It takes longer than ack_wait: what waits is in progress, and comes once."""
        await self.at_best(self.take_long)

    async def take_long(self) -> None:
        """A receiver that takes longer than ack_wait, at a server of its own."""
        await self.server.stop()
        await self._start_server()
        self._prepare()
        await self.create(ack_wait=1_000_000_000)
        worker = Worker(self, PullOptions(batch=10))
        await self.until(lambda: worker.consumer.info)
        worker.busy = Deferred()
        await self.publish(b"1", b"2", b"3")
        await self.until(lambda: worker.consumer.pending == 2)
        begin = self.reactor.seconds()
        await self.until(lambda: self.reactor.seconds() > begin + 2.5)
        busy, worker.busy = worker.busy, None
        busy.callback(None)
        await self.until(lambda: len(worker.got) == 3)
        await self.settled()
        self.assertEqual((worker.got, worker.consumer.statistics.redelivered), ([b"1", b"2", b"3"], 0))

    async def test_pinned(self) -> None:
        """One client gets all messages; when it is gone, the other one."""
        await self.create(priority_policy="pinned_client", priority_groups=["jobs"], priority_timeout=5_000_000_000)
        options = PullOptions(batch=10, group="jobs", expires=2.0)
        first, second = Worker(self, options), Worker(self, options)
        workers = [first, second]
        await self.until(lambda: all(worker.consumer.statistics.pulls for worker in workers))
        await self.publish(*(b"%d" % number for number in range(100)))
        await self.until(lambda: sum(len(worker.got) for worker in workers) == 100)
        pinned, other = workers if first.got else reversed(workers)
        self.assertEqual((len(pinned.got), len(other.got)), (100, 0))
        await pinned.consumer.drain()
        await pinned.connection.stopService()
        await self.publish(*(b"%d" % number for number in range(100)))
        await self.until(lambda: len(other.got) == 100)
        self.assertIsNone(other.consumer.problem)

    async def test_pin_is_taken_away(self) -> None:
        """The pinned client loses the pin, and one of them gets it anew."""
        await self.create(priority_policy="pinned_client", priority_groups=["jobs"], priority_timeout=60_000_000_000)
        options = PullOptions(batch=10, group="jobs", expires=2.0)
        workers = [Worker(self, options), Worker(self, options)]
        for total in (50, 100, 150):
            await self.publish(*(b"x" for _ in range(50)))
            await self.until(lambda total=total: sum(len(worker.got) for worker in workers) == total)  # type: ignore[misc]
            await self.api.call("CONSUMER.UNPIN.S.D", {"group": "jobs"})
        await self.settled()

    async def test_overflow(self) -> None:
        """A client with min_pending gets messages only while so many wait."""
        await self.create(priority_policy="overflow", priority_groups=["jobs"])
        helper = Worker(self, PullOptions(batch=10, group="jobs", min_pending=50, expires=2.0))
        await self.publish(*(b"x" for _ in range(100)))
        await self.until(lambda: len(helper.got) >= 50)
        main = Worker(self, PullOptions(batch=10, group="jobs"))
        await self.until(lambda: len(helper.got) + len(main.got) == 100)
        self.assertGreaterEqual(len(main.got), 49)

    async def test_prioritized(self) -> None:
        """While a client with a lower number pulls, it gets all messages."""
        await self.create(priority_policy="prioritized", priority_groups=["jobs"])
        high = Worker(self, PullOptions(batch=100, group="jobs", priority=1))
        low = Worker(self, PullOptions(batch=100, group="jobs", priority=5))
        while (await self.api.call("CONSUMER.INFO.S.D"))["num_waiting"] < 2:
            pass
        await self.publish(*(b"x" for _ in range(20)))
        await self.until(lambda: len(high.got) + len(low.got) == 20)
        self.assertEqual(len(high.got), 20)
        await high.consumer.drain()
        await high.connection.stopService()
        await self.publish(*(b"x" for _ in range(20)))
        await self.until(lambda: len(low.got) == 20)

    async def test_wrong_group(self) -> None:
        """The problem says what to do, and is over when the group exists."""
        await self.create(priority_policy="overflow", priority_groups=["jobs"])
        worker = Worker(self, PullOptions(group="tasks"))
        await self.until(lambda: worker.consumer.problem)
        self.assertIn("Set the priority group to one of the consumer: jobs", str(worker.consumer.problem))
        self.assertEqual(worker.got, [])

    async def test_push_consumer(self) -> None:
        await self.create(deliver_subject="push")
        worker = Worker(self, PullOptions())
        await self.until(lambda: worker.consumer.problem)
        self.assertIn("create one without deliver_subject", str(worker.consumer.problem))


class OtherAckSubjectsTests(PullConsumerCase):
    """The longer form of the ack subject, which newer servers may use."""

    config = "jetstream: {}\nfeature_flags: {js_ack_fc_v2: true}"

    async def test_form(self) -> None:
        """It is read, and written back as it came."""
        await self.create()
        worker = Worker(self, PullOptions())
        await self.publish(b"1", b"2")
        await self.until(lambda: len(worker.got) == 2)
        self.assertTrue(worker.replies[0].startswith(b"$JS.ACK._."), worker.replies)
        await self.settled()
        self.assertEqual((worker.consumer.num_pending, worker.consumer.statistics.redelivered), (0, 0))
