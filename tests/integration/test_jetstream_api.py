"""The JetStream API of a real server: streams, consumers, single messages, and what the server refuses"""

from __future__ import annotations

from typing import Any

from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import (
    ConsumerExistsError,
    ConsumerNotFoundError,
    InvalidConfigError,
    JetStreamLimitError,
    JetStreamPermissionError,
    JetStreamUnavailableError,
    MessageNotFoundError,
    StoreError,
    StreamExistsError,
    StreamNotFoundError,
    StreamSealedError,
)
from natsroute.jetstream.management.configs import ConsumerConfig, StreamConfig
from natsroute.jetstream.management.consumers import consumer_info, consumer_names, create_consumer, delete_consumer
from natsroute.jetstream.management.stored_messages import (
    delete_message,
    get_last_message,
    get_last_message_direct,
    get_message,
    get_message_direct,
)
from natsroute.jetstream.management.streams import (
    create_stream,
    delete_stream,
    purge_stream,
    stream_info,
    stream_names,
    stream_subjects,
    update_stream,
)
from tests.support.server_case import OneServerTestCase

CALLS = StreamConfig(name="calls", subjects=("calls.>",), max_age=3600.0, duplicate_window=60.0)


class ApiTestCase(OneServerTestCase):
    """A service, and the API that it asks."""

    config = "jetstream: {}"

    async def connect_api(self, **settings: Any) -> JetStreamApi:
        """The API of a service that is connected."""
        self.service = await self.connect_service(**settings)
        return self.service._sending.jetstream_api


class StreamTests(ApiTestCase):
    """Streams."""

    async def test_life(self) -> None:
        """A stream is created, found, changed, purged and deleted."""
        api = await self.connect_api()
        created = await create_stream(api, CALLS)
        self.assertEqual(CALLS.differences(created.config), [])
        self.assertEqual((await create_stream(api, CALLS)).created, created.created)
        self.assertEqual((await stream_names(api), await stream_names(api, "other")), (["calls"], []))
        for number in range(5):
            await self.service.publish(f"calls.{number % 2}", b"x", stream=True)
        info = await stream_info(api, "calls")
        self.assertEqual((info.messages, info.first_sequence, info.last_sequence), (5, 1, 5))
        self.assertEqual(await stream_subjects(api, "calls"), {"calls.0": 3, "calls.1": 2})
        changed = await update_stream(api, StreamConfig(name="calls", max_age=60.0).over(info.config))
        self.assertEqual((changed.config.max_age, changed.config.duplicate_window), (60.0, 60.0))
        self.assertEqual(await purge_stream(api, "calls", subject="calls.1"), 2)
        self.assertEqual(await purge_stream(api, "calls", keep=1), 2)
        await delete_stream(api, "calls")
        with self.assertRaises(StreamNotFoundError):
            await stream_info(api, "calls")

    async def test_refused(self) -> None:
        """Each refusal has a class."""
        api = await self.connect_api()
        await create_stream(api, CALLS)
        for config, expected in (
            (StreamConfig(name="calls", subjects=("calls.>",), max_msgs=7), StreamExistsError),
            (StreamConfig(name="other", subjects=("calls.x",)), StreamExistsError),
            (StreamConfig(name="other", subjects=("other",), num_replicas=3), InvalidConfigError),
            (StreamConfig(name="other", subjects=("a..b",)), InvalidConfigError),
        ):
            with self.assertRaises(expected):
                await create_stream(api, config)
        with self.assertRaises(InvalidConfigError):
            await update_stream(api, StreamConfig(name="calls", storage="memory"))
        with self.assertRaises(StreamNotFoundError):
            await update_stream(api, StreamConfig(name="other", subjects=("other",)))

    async def test_sealed(self) -> None:
        api = await self.connect_api()
        info = await create_stream(api, CALLS)
        await self.service.publish("calls.1", b"x", stream=True)
        await update_stream(api, StreamConfig(name="calls", sealed=True, max_age=0.0).over(info.config))
        with self.assertRaises(StreamSealedError):
            await delete_message(api, "calls", 1)


class ConsumerTests(ApiTestCase):
    """Consumers."""

    async def test_life(self) -> None:
        """A consumer is created, found, changed and deleted, whatever its filters are."""
        api = await self.connect_api()
        await create_stream(api, CALLS)
        filters: tuple[tuple[str, ...] | None, ...] = (None, ("calls.*",), ("calls.c",), ("calls.a", "calls.b"))
        for number, filter_subjects in enumerate(filters):
            config = ConsumerConfig(
                durable_name=f"billing-{number}",
                ack_policy="explicit",
                max_deliver=5,
                backoff=(0.5, 2.0),
                filter_subjects=filter_subjects,
            )
            created = await create_consumer(api, "calls", config)
            self.assertEqual(config.differences(created.config), [])
            found = await consumer_info(api, "calls", f"billing-{number}")
            self.assertEqual((found.config, found.is_push), (created.config, False))
            changed = ConsumerConfig(max_ack_pending=7).over(found.config)
            self.assertEqual((await create_consumer(api, "calls", changed, action="update")).config.max_ack_pending, 7)
        self.assertEqual(sorted(await consumer_names(api, "calls")), [f"billing-{number}" for number in range(4)])
        await delete_consumer(api, "calls", "billing-1")
        with self.assertRaises(ConsumerNotFoundError):
            await consumer_info(api, "calls", "billing-1")

    async def test_refused(self) -> None:
        api = await self.connect_api()
        config = ConsumerConfig(durable_name="billing", ack_policy="explicit")
        with self.assertRaises(StreamNotFoundError):
            await create_consumer(api, "calls", config)
        await create_stream(api, StreamConfig(name="calls", subjects=("calls.>",), max_consumers=1))
        with self.assertRaises(ConsumerNotFoundError):
            await create_consumer(api, "calls", config, action="update")
        await create_consumer(api, "calls", config)
        with self.assertRaises(ConsumerExistsError):
            await create_consumer(api, "calls", ConsumerConfig(max_deliver=7).over(config))
        with self.assertRaises(InvalidConfigError):
            await create_consumer(api, "calls", ConsumerConfig(ack_policy="none").over(config), action="update")
        with self.assertRaises(JetStreamLimitError):
            await create_consumer(api, "calls", ConsumerConfig(durable_name="other", ack_policy="explicit"))


class MessageTests(ApiTestCase):
    """Single messages."""

    async def test_messages(self) -> None:
        api = await self.connect_api()
        await create_stream(api, CALLS)
        await self.service.publish("calls.1", b"\0\xff", headers={"A": "1"}, stream=True)
        await self.service.publish("calls.1", b"", stream=True)
        with self.assertRaisesRegex(JetStreamUnavailableError, "allow_direct"):
            await get_message_direct(api, "calls", 1)
        await update_stream(api, StreamConfig(name="calls", allow_direct=True).over(CALLS))
        first, direct = await get_message(api, "calls", 1), await get_message_direct(api, "calls", 1)
        self.assertEqual((first.data, first.headers["A"], first.subject), (b"\0\xff", "1", "calls.1"))
        self.assertEqual((first, first.headers["A"]), (direct, direct.headers["A"]))
        last, last_direct = (
            await get_last_message(api, "calls", "calls.*"),
            await get_last_message_direct(api, "calls", "calls.1"),
        )
        self.assertEqual((last.sequence, last.data), (2, b""))
        self.assertEqual(last, last_direct)
        await delete_message(api, "calls", 1, erase=True)
        for asking in (
            get_message(api, "calls", 1),
            get_message_direct(api, "calls", 1),
            get_last_message(api, "calls", "calls.7"),
            get_last_message_direct(api, "calls", "calls.7"),
        ):
            with self.assertRaises(MessageNotFoundError):
                await asking


ACCOUNTS = """
jetstream: {}
accounts {
  with: { jetstream: {max_file: 2048, max_streams: 2}, users: [
    {user: with, password: x},
    {user: bound, password: x, permissions: {publish: {deny: "$JS.API.STREAM.CREATE.>"}}}] }
  without: { users: [{user: without, password: x}] }
}
"""


class AccountTests(ApiTestCase):
    """Accounts that may not do everything."""

    config = ACCOUNTS

    async def test_not_enabled(self) -> None:
        api = await self.connect_api(user="without", password="x")
        with self.assertRaisesRegex(JetStreamUnavailableError, "for the account"):
            await api.account_info()

    async def test_no_permission(self) -> None:
        """The error says it at once."""
        api = await self.connect_api(user="bound", password="x")
        self.assertEqual((await api.account_info())["streams"], 0)
        with self.assertRaisesRegex(JetStreamPermissionError, "Permissions Violation.*Allow the user"):
            await create_stream(api, CALLS)

    async def test_limits(self) -> None:
        """Of streams, and of storage."""
        api = await self.connect_api(user="with", password="x")
        with self.assertRaises((StoreError, JetStreamLimitError)):
            await create_stream(api, StreamConfig(name="big", subjects=("big",), max_bytes=1024 * 1024))
        await create_stream(api, StreamConfig(name="a", subjects=("a",)))
        await create_stream(api, StreamConfig(name="b", subjects=("b",)))
        with self.assertRaises(JetStreamLimitError):
            await create_stream(api, StreamConfig(name="c", subjects=("c",)))


class DomainTests(ApiTestCase):
    """A server with a JetStream domain."""

    config = "jetstream: {domain: hub}"

    async def test_domain(self) -> None:
        """Its API answers there, and at the usual subjects; nothing answers for another domain."""
        api = await self.connect_api(jetstream_domain="hub")
        self.assertEqual((await create_stream(api, CALLS)).config.name, "calls")
        usual = await self.connect_api()
        self.assertEqual(await stream_names(usual), ["calls"])
        other = await self.connect_api(jetstream_domain="leaf")
        with self.assertRaisesRegex(JetStreamUnavailableError, r"^\$JS.leaf.API.INFO.*jetstream_domain"):
            await other.account_info()
