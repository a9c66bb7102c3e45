"""htables of Kamailio scripts that several services share by a key-value bucket"""

from __future__ import annotations

from typing import Any

from natsroute import NatsrouteService
from natsroute.jetstream.key_value.config import BucketConfig
from natsroute.kamailio.tables import TableStore
from tests.support.server_case import OneServerTestCase

_CFG = """
loadmodule "htable.so"
loadmodule "nats.so"
modparam("htable", "htable", "calls=>size=8")
modparam("htable", "htable", "own=>size=8")
modparam("natsroute", "kamailio_htable", "calls=shared-calls")
modparam("natsroute", "jetstream_create", 1)

event_route[nats:set] {
    $sht(calls=>$natsData) = "text of " + $natsData;
    $sht(calls=>count) = $sht(calls=>count) + 1;
    $sht(own=>$natsData) = 1;
}

event_route[nats:get] {
    nats_publish("got", "$sht(calls=>$natsData)");
}

event_route[nats:remove] {
    sht_rm("calls", "$natsData");
}
"""


class SharedHtableTests(OneServerTestCase):
    """Two services with one htable."""

    config = "jetstream: {}"

    async def instance(self, **settings: Any) -> NatsrouteService:
        """A service that is ready."""
        self.folder = self.mktemp()
        with open(self.folder, "w") as file:
            file.write(_CFG)
        service = self.start_service(kamailio_cfg=self.folder, nats_url=self.url, **settings)
        await service.ready()
        return service

    def table(self, service: NatsrouteService, name: bytes = b"calls") -> TableStore:
        """A table of its scripts."""
        return service.program.variables.tables[name]

    def entries(self, service: NatsrouteService) -> dict[bytes, int | bytes]:
        """What the shared table has."""
        return dict(self.table(service).entries())

    async def test_scripts(self) -> None:
        """What the script of one sets, the script of the other has; so has one that starts later."""
        one, other = await self.instance(subject_queue_group="set"), await self.instance(subject_queue_group="remove")
        self.table(one).set(b"count", 0)
        await one.publish("set", "sip:a@b")
        expected = {b"sip:a@b": b"text of sip:a@b", b"count": 1}
        await self.until(lambda: self.entries(other) == expected)
        later = await self.instance()
        self.assertEqual(self.entries(later), expected)
        self.assertEqual(self.table(later, b"own").entries(), [])
        await one.publish("remove", "sip:a@b")
        for service in (one, other, later):
            await self.until(lambda service=service: self.entries(service) == {b"count": 1})

    async def test_outage(self) -> None:
        """Both go on in memory. The last change that is stored wins, and all have the same in the end."""
        services = [await self.instance(), await self.instance()]
        one, other = services
        self.table(one).set(b"a", 1)
        await self.until(lambda: self.entries(other) == {b"a": 1})
        await self.server.stop()
        await self.until(lambda: not one.connected and not other.connected)
        self.table(one).set(b"a", 2)
        self.table(one).set(b"b", b"one")
        self.table(other).set(b"b", b"other")
        self.table(other).set(b"c", 3)
        self.assertEqual(self.entries(one), {b"a": 2, b"b": b"one"})
        await self.server.start()
        await self.until(lambda: self.entries(one) == self.entries(other) and len(self.entries(one)) == 3)
        self.assertEqual((self.entries(one)[b"a"], self.entries(one)[b"c"]), (2, 3))
        kv = one.key_value("shared-calls")
        for name in ("a", "b", "c"):
            value = self.entries(other)[name.encode()]
            self.assertEqual((await kv.get(name)).text(), value.decode() if isinstance(value, bytes) else str(value))

    async def test_many_changes_by_both(self) -> None:
        """However they overlap, all have the same in the end: what the bucket has."""
        one, other = await self.instance(), await self.instance()
        for number in range(2000):
            self.table(one if number % 2 else other).set(b"k%d" % (number % 7), number)
        await self.until(lambda: not any(h.unwritten for s in (one, other) for h in s._sending.htables))
        kv = one.key_value("shared-calls")
        stored = {key.encode(): int((await kv.get(key)).text()) for key in await kv.keys()}
        await self.until(lambda: self.entries(one) == self.entries(other) == stored)
        self.assertEqual(len(stored), 7)

    async def test_changes_before_the_stop(self) -> None:
        """They are written before the service has stopped."""
        one, other = await self.instance(), await self.instance()
        for number in range(500):
            self.table(one).set(b"%d" % number, number)
        await one.stopService()
        await self.until(lambda: len(self.entries(other)) == 500)
        self.table(other).delete(b"0")
        await self.until(lambda: not any(htable.unwritten for htable in other._sending.htables))
        one.startService()
        await one.ready()
        self.assertEqual(len(self.entries(one)), 499)

    async def test_no_bucket(self) -> None:
        """The service starts when there is one."""
        service = self.start_service(
            nats_url=self.url, kamailio_cfg=await self._written(), kamailio_htable="calls=later", jetstream_create=False
        )
        await self.until(lambda: any(htable.problem for htable in service._sending.htables))
        reasons = [str(reason) for reason in service.overview().reasons]
        self.assertTrue(any("there is no bucket 'later'" in reason for reason in reasons), reasons)
        other = await self.connect_service()
        await other.key_value("later", BucketConfig()).put("a", b"1")
        await service.ready()
        self.assertEqual(self.entries(service), {b"a": b"1"})

    async def _written(self) -> str:
        path = self.mktemp()
        with open(path, "w") as file:
            file.write(_CFG)
        return path
