"""Key-value buckets on a real server"""

from __future__ import annotations

import attrs

from natsroute import NatsrouteService
from natsroute.errors import NatsrouteError
from natsroute.jetstream.errors import (
    BucketNotFoundError,
    JetStreamError,
    JetStreamUnavailableError,
    KeyExistsError,
    KeyNotFoundError,
    MessageTtlError,
    StreamFullError,
    WrongLastSequenceError,
)
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.key_value.key_value import KeyValue
from natsroute.jetstream.management.streams import create_stream, delete_stream
from tests.support.server_case import OneServerTestCase


class BucketTests(OneServerTestCase):
    """What can be done with a bucket; tests.test_key_value has the same in memory."""

    config = "jetstream: {}"

    async def asked(self, service: NatsrouteService, method: str, **request: object) -> dict[str, object]:
        """What the JetStream API answers."""
        return await service._sending.jetstream_api.call(method, request or None)

    async def test_no_bucket(self) -> None:
        """Nothing is created unless it was asked for."""
        service = await self.connect_service()
        kv = service.key_value("calls")
        for call in (kv.get("a"), kv.put("a", b""), kv.create("a", b""), kv.delete("a"), kv.status(), kv.open()):
            with self.assertRaisesRegex(BucketNotFoundError, "nats kv add calls"):
                await call
        service.key_value("calls", create=True)
        self.assertEqual(await kv.put("a", b"1"), 1)

    async def test_values(self) -> None:
        """Both ways to read: from any server that has the bucket, and from its leader."""
        service = await self.connect_service()
        for bucket in ("direct", "leader"):
            kv = service.key_value(bucket, BucketConfig(history=3))
            await kv.open()
            if bucket == "leader":
                config = attrs.evolve((await kv.status()).stream, allow_direct=False)
                await self.asked(service, f"STREAM.UPDATE.KV_{bucket}", **config.to_json())
                kv._bucket._opened = None
            self.assertEqual((await kv.status()).allows_direct, bucket == "direct")
            began = self.reactor.seconds()
            first = await kv.put("a.b", {"n": 1})
            second = await kv.put("a.b", b"\x00\xff")
            entry = await kv.get("a.b")
            self.assertEqual((entry.key, entry.value, entry.revision), ("a.b", b"\x00\xff", second))
            self.assertLess(abs(entry.created.timestamp() - began), 60)
            self.assertEqual((await kv.get("a.b", first)).json(), {"n": 1})
            with self.assertRaises(KeyNotFoundError):
                await kv.get("other")
            with self.assertRaises(KeyNotFoundError):
                await kv.get("a.b", 99)
            await kv.put("empty", b"")
            self.assertEqual((await kv.get("empty")).value, b"")
            deleted = await kv.delete("a.b")
            with self.assertRaises(KeyNotFoundError) as caught:
                await kv.get("a.b")
            self.assertEqual(caught.exception.revision, deleted)
            self.assertEqual((await kv.get("a.b", second)).value, b"\x00\xff")
            await kv.purge("a.b")
            with self.assertRaises(KeyNotFoundError):
                await kv.get("a.b", second)

    async def test_revisions(self) -> None:
        service = await self.connect_service()
        kv = service.key_value("calls", create=True)
        first = await kv.create("a", b"1")
        with self.assertRaises(KeyExistsError) as caught:
            await kv.create("a", b"2")
        self.assertEqual(caught.exception.revision, first)
        second = await kv.update("a", b"2", first)
        for late in (kv.update("a", b"3", first), kv.delete("a", first), kv.purge("a", first)):
            with self.assertRaises(WrongLastSequenceError):
                await late
        await kv.delete("a", second)
        self.assertGreater(await kv.create("a", b"4"), second)
        await kv.purge("a")
        await kv.create("a", b"5")
        self.assertEqual((await kv.get("a")).text(), "5")

    async def test_order(self) -> None:
        """Changes of one key are stored in the order of the calls, the first ones before the bucket is there."""
        service = self.start_service(nats_url=self.url)
        kv = service.key_value("calls", BucketConfig(history=64))
        stored = [kv.put("a", str(number)) for number in range(50)]
        self.assertEqual([await one for one in stored], list(range(1, 51)))
        self.assertEqual((await kv.get("a")).text(), "49")

    async def test_ttl(self) -> None:
        """The server removes the value, and what was there before does not come back."""
        service = await self.connect_service()
        kv = service.key_value("calls", BucketConfig(history=5, limit_marker_ttl=1))
        await kv.put("a", b"old", ttl=600)
        self.assertEqual((await kv.get("a")).ttl, 600.0)
        await kv.put("a", b"new", ttl=2)
        await kv.create("b", b"", ttl=1)
        for key in ("a", "b"):
            with self.assertRaises(KeyNotFoundError):
                while True:
                    await kv.get(key)

    async def test_refusals_of_the_server(self) -> None:
        service = await self.connect_service()
        kv = service.key_value("calls", BucketConfig(max_value_size=2, max_bytes=200))
        with self.assertRaises(JetStreamError):
            await kv.put("a", b"123")
        with self.assertRaises(StreamFullError):
            for number in range(20):
                await kv.put(f"k{number}", b"12")
        config = BucketConfig().stream("plain")
        await self.asked(service, "STREAM.CREATE.KV_plain", **attrs.evolve(config, allow_msg_ttl=False).to_json())
        with self.assertRaises(MessageTtlError):
            await service.key_value("plain").put("a", b"", ttl=5)

    async def test_a_bucket_that_is_deleted_meanwhile(self) -> None:
        """It is an error; or it is created again, if it was created before."""
        service = await self.connect_service()
        ours, found = service.key_value("ours", create=True), service.key_value("found")
        await ours.put("a", b"")
        await self.asked(service, "STREAM.CREATE.KV_found", **BucketConfig().stream("found").to_json())
        await found.put("a", b"")
        for bucket in ("ours", "found"):
            await self.asked(service, f"STREAM.DELETE.KV_{bucket}")
        for call in (found.get("a"), found.put("a", b"")):
            with self.assertRaises(BucketNotFoundError):
                await call
        with self.assertRaises(NatsrouteError):
            await ours.put("a", b"")
        self.assertEqual(await ours.put("a", b""), 1)

    async def test_a_bucket_that_is_configured_otherwise(self) -> None:
        """It stays as it is."""
        service = await self.connect_service()
        await service.key_value("calls", BucketConfig(history=2)).open()
        other = await self.connect_service()
        await other.key_value("calls", BucketConfig(history=3)).open()
        self.assertEqual((await other.key_value("calls").status()).history, 2)

    async def test_outage(self) -> None:
        """Buckets are there again when the server is."""
        service = await self.connect_service()
        kv = service.key_value("calls", create=True)
        await kv.put("a", b"1")
        await self.server.stop()
        await self.server.start()
        await self.until(lambda: service.connected)
        self.assertEqual((await kv.get("a")).text(), "1")


class DomainTests(OneServerTestCase):
    """A bucket in a JetStream domain."""

    config = "jetstream: {domain: hub}"

    async def test_domain(self) -> None:
        service = await self.connect_service(jetstream_domain="hub")
        kv = service.key_value("calls", create=True)
        await kv.put("a", b"1")
        self.assertEqual((await kv.get("a")).text(), "1")
        other = await self.connect_service(jetstream_domain="spoke")
        with self.assertRaises(JetStreamUnavailableError):
            await other.key_value("calls").get("a")


class WithoutJetStreamTests(OneServerTestCase):
    """A server without JetStream."""

    async def test_error(self) -> None:
        service = await self.connect_service()
        with self.assertRaises(JetStreamUnavailableError):
            await service.key_value("calls").get("a")


class WatchTests(OneServerTestCase):
    """Watches of a bucket; tests.test_key_value_watch has the same in memory."""

    config = "jetstream: {}"

    async def started(self) -> tuple[KeyValue, KeyValue]:
        """A bucket, as two services see it."""
        config = BucketConfig(history=5)
        self.services = [await self.connect_service(), await self.connect_service()]
        ours, theirs = (service.key_value("calls", config) for service in self.services)
        return ours, theirs

    async def test_watch(self) -> None:
        """It begins with what is there, and ends at its stop."""
        ours, theirs = await self.started()
        await ours.put("a.x", "1")
        await ours.put("a.x", "2")
        await ours.put("b", "3")
        await ours.delete("b")
        entries: list[Entry] = []
        watch = theirs.watch(entries.append)
        await watch.caught_up()
        self.assertEqual(_shown(entries), [("a.x", "2", "put"), ("b", "", "delete")])
        self.assertEqual([entry.delta for entry in entries], [1, 0])
        await ours.put("c", "4")
        await ours.purge("a.x")
        await self.until(lambda: len(entries) == 4)
        self.assertEqual(_shown(entries[2:]), [("c", "4", "put"), ("a.x", "", "purge")])
        found = await ours.get("c")
        self.assertEqual(found, entries[2])
        watch.stop()
        revision = await ours.put("d", "5")
        await theirs.get("d", revision)
        self.assertEqual(len(entries), 4)

    async def test_options(self) -> None:
        ours, theirs = await self.started()
        for value in ("1", "2"):
            await ours.put("a.x", value)
        await ours.put("b", "3")
        await ours.delete("b")
        history: list[Entry] = []
        await theirs.watch(history.append, "a.*", history=True).caught_up()
        self.assertEqual(_shown(history), [("a.x", "1", "put"), ("a.x", "2", "put")])
        meta: list[Entry] = []
        await theirs.watch(meta.append, "a.*", "b", meta_only=True, ignore_deletes=True).caught_up()
        self.assertEqual(_shown(meta), [("a.x", "", "put")])
        updates: list[Entry] = []
        await theirs.watch(updates.append, updates_only=True).caught_up()
        await ours.put("c", "4")
        await self.until(lambda: updates)
        self.assertEqual(_shown(updates), [("c", "4", "put")])

    async def test_keys_and_history(self) -> None:
        ours, theirs = await self.started()
        self.assertEqual(await theirs.keys(), [])
        with self.assertRaises(KeyNotFoundError):
            await theirs.history("a")
        for key in ("a", "b", "c.x", "a"):
            await ours.put(key, key)
        await ours.delete("b")
        self.assertEqual(await theirs.keys(), ["c.x", "a"])
        self.assertEqual(await theirs.keys("c.*"), ["c.x"])
        self.assertEqual(_shown(await theirs.history("b")), [("b", "b", "put"), ("b", "", "delete")])

    async def test_restarts_of_the_server(self) -> None:
        """No change is missing, and none comes twice."""
        ours, theirs = await self.started()
        await ours.open()
        entries: list[Entry] = []
        await theirs.watch(entries.append).caught_up()
        for turn in range(2):
            for number in range(50):
                await ours.put(f"k{number}", f"{turn}")
            await self.server.stop()
            await self.server.start()
            await _stored(ours, f"after-{turn}")
        await self.until(lambda: len(entries) >= 102)
        self.assertEqual([entry.revision for entry in entries], list(range(1, 103)))

    async def test_a_bucket_that_is_created_again(self) -> None:
        """The watch begins anew with it."""
        ours, theirs = await self.started()
        for number in range(5):
            await ours.put("a", str(number))
        entries: list[Entry] = []
        await theirs.watch(entries.append).caught_up()
        api = self.services[0]._sending.jetstream_api
        await delete_stream(api, "KV_calls")
        await create_stream(api, BucketConfig(history=5).stream("calls"))
        await ours.put("a", "new")
        await self.until(lambda: len(entries) == 2)
        self.assertEqual([(entry.text(), entry.revision) for entry in entries], [("4", 5), ("new", 1)])

    async def test_no_bucket(self) -> None:
        """The watch ends, and says why."""
        kv = (await self.connect_service()).key_value("nothing")
        with self.assertRaises(BucketNotFoundError):
            await kv.watch(lambda entry: None).caught_up()
        with self.assertRaises(BucketNotFoundError):
            await kv.keys()

    async def test_before_the_server(self) -> None:
        """A watch waits for a connection."""
        await self.server.stop()
        service = self.start_service(nats_url=self.url)
        entries: list[Entry] = []
        kv = service.key_value("calls", create=True)
        watch = kv.watch(entries.append)
        await self.server.start()
        await watch.caught_up()
        await kv.put("a", "1")
        await self.until(lambda: entries)


def _shown(entries: list[Entry]) -> list[tuple[str, str, str]]:
    return [(entry.key, entry.text(), entry.operation) for entry in entries]


async def _stored(kv: KeyValue, key: str) -> None:
    """Put a key as soon as the server is there again."""
    while True:
        try:
            await kv.create(key, "x")
            return
        except KeyExistsError:
            return
        except NatsrouteError:
            pass
