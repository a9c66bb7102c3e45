"""Key-value buckets: nats-py reads what natsroute writes, natsroute reads what nats-py writes, and both watch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.js.client import JetStreamContext
from nats.js.errors import KeyNotFoundError as NatsPyKeyNotFoundError
from nats.js.errors import KeyWrongLastSequenceError
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from natsroute.jetstream.errors import KeyExistsError, KeyNotFoundError, WrongLastSequenceError
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.jetstream.management.streams import stream_info
from tests.support.server_case import OneServerTestCase

#: What the ``nats`` tool and nats-py say of operations, and what natsroute says.
_OPERATIONS = {None: "put", "DEL": "delete", "PURGE": "purge"}


class KeyValueTests(OneServerTestCase):
    """One bucket, and both clients."""

    config = "jetstream: {}"

    async def ours(self, bucket: str = "b", config: BucketConfig | None = None) -> KeyValue:
        """The bucket, as natsroute has it."""
        self.service = await self.connect_service()
        return self.service.key_value(bucket, config)

    async def with_nats_py(self, run: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
        """What a coroutine function returns that uses nats-py."""

        async def connected() -> Any:
            client = await nats.connect(self.url)
            try:
                return await run(client.jetstream(timeout=120))
            finally:
                await client.close()

        return await deferToThread(asyncio.run, connected())

    async def test_configuration(self) -> None:
        """The streams of both are the same."""
        for number, (options, config) in enumerate(
            (
                ({}, BucketConfig()),
                ({"history": 5, "ttl": 60.0}, BucketConfig(history=5, ttl=60)),
                ({"max_bytes": 1 << 20, "max_value_size": 1024, "description": "x"},
                 BucketConfig(max_bytes=1 << 20, max_value_size=1024, description="x")),
                ({"storage": "memory", "limit_marker_ttl": 5.0}, BucketConfig(storage="memory", limit_marker_ttl=5)),
            )
        ):  # fmt: skip
            theirs = f"theirs{number}"

            async def create(js: JetStreamContext, theirs: str = theirs, options: Any = options) -> None:
                await js.create_key_value(bucket=theirs, direct=True, **options)

            await self.with_nats_py(create)
            kv = await self.ours(f"ours{number}", config)
            await kv.open()
            api = self.service._sending.jetstream_api
            configs = [(await stream_info(api, f"KV_{bucket}")).config.to_json() for bucket in (theirs, kv.bucket)]
            for one in configs:
                del one["name"], one["subjects"]
            self.assertEqual(configs[0], configs[1])

    async def test_theirs_read_here(self) -> None:
        async def write(js: JetStreamContext) -> None:
            kv = await js.create_key_value(bucket="b", history=5)
            for value in (b"1", b"2"):
                await kv.put("a.x", value)
            await kv.put("deleted", b"3")
            await kv.delete("deleted")
            await kv.put("purged", b"4")
            await kv.purge("purged")
            await kv.create("short", b"5", msg_ttl=60)

        await self.with_nats_py(write)
        kv = await self.ours()
        entry = await kv.get("a.x")
        self.assertEqual((entry.value, entry.revision), (b"2", 2))
        self.assertEqual((await kv.get("a.x", 1)).value, b"1")
        self.assertEqual((await kv.get("short")).ttl, 60.0)
        for key in ("deleted", "purged"):
            with self.assertRaises(KeyNotFoundError):
                await kv.get(key)
        self.assertEqual(await kv.keys(), ["a.x", "short"])
        self.assertEqual([one.operation for one in await kv.history("deleted")], ["put", "delete"])
        self.assertEqual([one.operation for one in await kv.history("purged")], ["purge"])
        status = await kv.status()
        self.assertEqual((status.history, status.values, status.allows_ttl), (5, 6, True))

    async def test_ours_read_there(self) -> None:
        kv = await self.ours(config=BucketConfig(history=5))
        for value in ("1", "2"):
            await kv.put("a.x", value)
        await kv.put("deleted", "3")
        await kv.delete("deleted")
        await kv.put("purged", "4")
        await kv.purge("purged")
        await kv.create("short", "5", ttl=60)

        async def read(js: JetStreamContext) -> Any:
            theirs = await js.key_value("b")
            found: list[Any] = [(await theirs.get("a.x")).value, (await theirs.get("a.x", revision=1)).value]
            for key in ("deleted", "purged"):
                try:
                    await theirs.get(key)
                except NatsPyKeyNotFoundError:
                    found.append("not found")
            found.append(sorted(await theirs.keys()))
            found.append([one.operation for one in await theirs.history("deleted")])
            status = await theirs.status()
            return [*found, status.history, status.values]

        self.assertEqual(
            await self.with_nats_py(read),
            [b"2", b"1", "not found", "not found", ["a.x", "short"], [None, "DEL"], 5, 6],
        )

    async def test_revisions(self) -> None:
        """Neither overwrites what the other has changed."""
        kv = await self.ours(config=BucketConfig())
        first = await kv.put("a", "1")

        async def change(js: JetStreamContext) -> int:
            theirs = await js.key_value("b")
            return await theirs.update("a", b"2", last=first)

        second = await self.with_nats_py(change)
        with self.assertRaises(WrongLastSequenceError):
            await kv.update("a", "3", first)
        with self.assertRaises(KeyExistsError):
            await kv.create("a", "3")
        await kv.update("a", "4", second)

        async def fail(js: JetStreamContext) -> None:
            theirs = await js.key_value("b")
            await theirs.update("a", b"5", last=second)

        with self.assertRaises(KeyWrongLastSequenceError):
            await self.with_nats_py(fail)
        await kv.delete("a")

        async def create(js: JetStreamContext) -> None:
            theirs = await js.key_value("b")
            await theirs.create("a", b"6")
            await theirs.delete("a")

        await self.with_nats_py(create)
        await kv.create("a", "7")

    async def test_watches(self) -> None:
        """Each sees the changes of both, in one order."""
        kv = await self.ours(config=BucketConfig(history=5))
        await kv.put("before", "1")
        seen_here: list[Entry] = []
        await kv.watch(seen_here.append).caught_up()
        seen_there: list[tuple[str, bytes | None, str]] = []
        watching = threading.Event()

        async def watch(js: JetStreamContext) -> None:
            theirs = await js.key_value("b")
            watcher = await theirs.watchall()
            await theirs.put("theirs", b"2")
            async for entry in watcher:
                if entry is None:
                    watching.set()
                    continue
                seen_there.append((entry.key, entry.value or b"", _OPERATIONS[entry.operation]))
                if entry.key == "last":
                    break
            await theirs.delete("theirs")

        running = Deferred.fromCoroutine(self.with_nats_py(watch))
        await self.until(watching.is_set)
        await kv.put("ours", "3")
        # A purge removes what a watcher has not had yet.
        await self.until(lambda: seen_here[-1].key == "ours" and seen_there[-1][0] == "ours")
        await kv.purge("ours")
        await kv.put("last", "4")
        await running
        await self.until(lambda: len(seen_here) == 6)
        here = [(entry.key, entry.value, entry.operation) for entry in seen_here]
        self.assertEqual(here[:-1], seen_there)
        self.assertEqual(here[-1], ("theirs", b"", "delete"))
