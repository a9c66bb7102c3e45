"""``examples/location``: a real Kamailio's location table, in a key-value bucket."""

from __future__ import annotations

from typing import Any

from natsroute.jetstream.errors import JetStreamError
from natsroute.jetstream.key_value.entry import Entry
from natsroute.jetstream.key_value.key_value import KeyValue
from tests.support import ROOT
from tests.support.examples import load_example
from tests.support.phone import Phone
from tests.support.rpc_kamailio import RpcKamailioTestCase
from tests.support.waiting import TIMEOUT

EXAMPLE = ROOT / "examples" / "location"
ASYNC = 'loadmodule "async.so"\nasync_workers=1\n'

#: The settings in the head of the routes file.
SETTINGS = {
    "jetstream_stream": "LOCATION=>subjects=location.*",
    "jetstream_consumer": "LOCATION:mirror",
    "jetstream_create": True,
}


class LocationTests(RpcKamailioTestCase):
    """A phone registers and unregisters; the bucket has what the registrar has."""

    config = "jetstream: {}"

    async def register(self, user: str, contact: str, expires: int) -> None:
        """Register, and wait for the answer."""
        number = self.phone.register(user, contact, expires)
        await self.until(lambda: number in self.phone.registered)

    async def contacts(self, bucket: KeyValue, user: str) -> list[str] | None:
        """The addresses that the bucket has for a user; None if it has no entry."""
        try:
            return self.addresses(await bucket.get(f"{user}=40example=2Ecom"))
        except JetStreamError:
            return None

    def addresses(self, entry: Entry) -> list[str]:
        """The addresses in an entry; none if it is gone."""
        return [] if entry.is_deleted else sorted(contact["address"] for contact in entry.json()["contacts"])

    async def until_contacts(self, bucket: KeyValue, user: str, *expected: str, gone: bool = False) -> None:
        """Wait until the bucket has these."""
        wanted = None if gone else sorted(expected)
        give_up = self.reactor.seconds() + TIMEOUT
        while (found := await self.contacts(bucket, user)) != wanted:
            self.assertLess(self.reactor.seconds(), give_up, f"{found}, not {wanted}")

    async def test_mirror(self) -> None:
        kamailio = await self.start_rpc_kamailio(EXAMPLE / "kamailio.cfg", {}, more=ASYNC)
        settings: dict[str, Any] = SETTINGS
        service = await self.connect_service(load_example(EXAMPLE / "routes.py")["event_route"], **settings)
        await self.until(
            lambda: service.overview().ready
        )  # the stream is there: it keeps what is published from now on
        self.phone = Phone(kamailio.port)
        port = self.reactor.listenUDP(0, self.phone, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        bucket = service.key_value("location")

        await self.register("alice", "sip:10.0.0.1:5060", 600)
        await self.until_contacts(bucket, "alice", "sip:10.0.0.1:5060")
        await self.register("alice", "sip:10.0.0.2:5060", 600)
        await self.until_contacts(bucket, "alice", "sip:10.0.0.1:5060", "sip:10.0.0.2:5060")
        await self.register("alice", "sip:10.0.0.1:5060", 0)
        await self.until_contacts(bucket, "alice", "sip:10.0.0.2:5060")
        await self.register("alice", "sip:10.0.0.2:5060", 0)
        await self.until_contacts(bucket, "alice")
        # The server removes the entry of a phone that does not register again. A busy machine may ask for the entry too
        # late, so a watch sees it.
        seen: list[Entry] = []
        watch = bucket.watch(seen.append)
        await watch.caught_up()
        await self.register("bob", "sip:10.0.0.3:5060", 4)
        await self.until(lambda: any(self.addresses(entry) == ["sip:10.0.0.3:5060"] for entry in seen))
        await self.until_contacts(bucket, "bob", gone=True)
        watch.stop()
        # Meanwhile, many users at once: each has its last state.
        numbers = [
            self.phone.register(f"user{user}", f"sip:10.0.0.{contact}:5060", 600)
            for contact in range(1, 4)
            for user in range(20)
        ]
        await self.until(lambda: self.phone.registered.issuperset(numbers))
        for user in range(20):
            await self.until_contacts(bucket, f"user{user}", *(f"sip:10.0.0.{contact}:5060" for contact in range(1, 4)))
