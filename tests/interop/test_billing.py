"""
``examples/billing``: each call is billed exactly once by its Call-ID, while everything is killed.

Kamailio, SIPp, nats-server and natsroute are the real ones, each in processes of its own.
"""

from __future__ import annotations

import base64
import json
import os
import signal
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from natsroute import EventRoutes, NatsrouteService
from natsroute.errors import NatsrouteError
from tests.support import ROOT
from tests.support.callee import Callee
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.rpc_kamailio import RpcKamailio, RpcKamailioTestCase
from tests.support.sipp import Sipp
from tests.support.waiting import TIMEOUT

EXAMPLE = ROOT / "examples" / "billing"
#: The calls before Kamailio is killed, and after it.
CALLS, MORE = 80, 10
#: Calls that SIPp begins in a second.
RATE = 15
#: How often natsroute and the server are killed while there are calls.
KILLS, SERVER_KILLS = 3, 2

#: Kamailio publishes what is not billed each second; and it answers RPC requests of the test.
RESEND = '"name=resend;interval=1;mode=1;"'
ASYNC = 'loadmodule "async.so"\nasync_workers=1\n'


class BillingTests(RpcKamailioTestCase):
    """Calls of SIPp through a Kamailio."""

    config = "jetstream: {}"
    settings = {"drain_timeout": 1.0, "reconnect_wait": 0.1}

    async def start(self) -> RpcKamailio:
        """Start Kamailio."""
        return await self.start_rpc_kamailio(
            EXAMPLE / "kamailio.cfg",
            {},
            more=ASYNC,
            NEXT_HOP=f'"sip:127.0.0.1:{self.callee.port}"',
            RESEND_EVERY=RESEND,
        )

    def start_natsroute(self) -> NatsrouteProcess:
        """Start natsroute's side, in a process of its own."""
        program = NatsrouteProcess(
            self.reactor,
            self.make_folder(),
            (EXAMPLE / "routes.py").read_text("utf-8"),
            *("--nats_url", self.url, "--reconnect_wait", "0.1"),
            *("--jetstream_stream", "CALLS=>subjects=calls.*", "--jetstream_create"),
            *("--jetstream_consumer", "CALLS:billing=>ack_wait=2"),
        )
        self.addCleanup(program.stop)
        return program

    async def call(self, kamailio: RpcKamailio, calls: int) -> None:
        """Make calls; each is answered, and ended by the caller."""
        sipp = Sipp(self.reactor, self.make_folder(), "answered", kamailio.port, "bob", calls, rate=RATE)
        self.addCleanup(sipp.stop)
        self.assertEqual(await sipp.ended(), 0)

    async def kill(self, program: NatsrouteProcess, seconds: float) -> None:
        """Kill a natsroute, this long after it has begun to connect."""
        await self.until(lambda: any("Consumer CALLS:billing" in line for line in program.output))
        await deferLater(self.reactor, seconds)
        os.kill(program.pid, signal.SIGKILL)
        await program.ended()

    async def kill_all_the_time(self) -> NatsrouteProcess:
        """Kill natsroute and the server at random moments; returns the natsroute that lives."""
        chance = Random(int(os.environ.get("NATSROUTE_KILL_SEED", "1")))
        program = self.start_natsroute()
        victims = ["natsroute"] * KILLS + ["server"] * SERVER_KILLS
        chance.shuffle(victims)
        for victim in victims:
            if victim == "server":
                await deferLater(self.reactor, chance.uniform(0.3, 0.8))
                await self.server.kill()
                await deferLater(self.reactor, chance.uniform(0.0, 0.3))
                await self.server.start()
            else:
                await self.kill(program, chance.uniform(0.0, 0.3))
                program = self.start_natsroute()
        return program

    async def api(self, service: NatsrouteService, method: str, payload: object = b"") -> Any:
        """The answer of JetStream, once the server gives one."""
        give_up = self.reactor.seconds() + TIMEOUT
        while True:
            try:
                return (await service.request(f"$JS.API.{method}", payload, timeout=10.0)).json()
            except NatsrouteError:
                if self.reactor.seconds() > give_up:
                    raise
                await deferLater(self.reactor, 0.05)

    async def last_sequence(self, service: NatsrouteService, stream: str) -> int:
        """How many messages a stream has ever had; 0 if it is not there yet."""
        answer = await self.api(service, f"STREAM.INFO.{stream}")
        return int(answer["state"]["last_seq"]) if "state" in answer else 0

    async def bills(self, service: NatsrouteService) -> list[str]:
        """The Call-ID of each bill that was ever written; fails if one was written over or deleted."""
        found = []
        for sequence in range(1, await self.last_sequence(service, "KV_bills") + 1):
            answer = await self.api(service, "STREAM.MSG.GET.KV_bills", {"seq": sequence})
            self.assertIn("message", answer, f"bill {sequence} was written over or deleted")
            found.append(json.loads(base64.b64decode(answer["message"]["data"]))["call_id"])
        return found

    async def all_billed(self, service: NatsrouteService, calls: int) -> None:
        """Wait for a bill for each call that the phone has seen. None has two."""
        give_up = self.reactor.seconds() + TIMEOUT
        while await self.last_sequence(service, "KV_bills") < calls and self.reactor.seconds() < give_up:
            await deferLater(self.reactor, 0.05)
        billed = await self.bills(service)
        self.assertEqual(len(self.callee.ended), calls)
        self.assertEqual((sorted(billed), len(billed)), (sorted(self.callee.ended), calls))

    async def test_everything_is_killed(self) -> None:
        """natsroute and the server while there are calls, and Kamailio once its calls are billed."""
        self.callee = Callee()
        port = self.reactor.listenUDP(0, self.callee, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        kamailio = await self.start()
        service = kamailio.service
        calling = Deferred.fromCoroutine(self.call(kamailio, CALLS))
        await gatherResults([calling, Deferred.fromCoroutine(self.kill_all_the_time())], consumeErrors=True)
        await self.all_billed(service, CALLS)

        await kamailio.stop()
        kamailio = await self.start()
        await self.call(kamailio, MORE)
        await self.all_billed(service, CALLS + MORE)

        # A call that is published once more is handled, and there is no second bill.
        told: list[str] = []
        event_route = EventRoutes()
        event_route("nats:calls-billed")(lambda event: told.append(event.text()))
        watching = await self.connect_service(event_route, subject_queue_group="calls-billed")
        again = next(iter(self.callee.ended))
        await watching.publish("calls.ended", {"call_id": again, "from": "sip:a", "to": "sip:b", "seconds": 600})
        await self.until(lambda: again in told)
        await self.all_billed(service, CALLS + MORE)
        published = await self.last_sequence(service, "CALLS")
        print(f"{published} messages in the stream, {len(self.callee.ended)} calls and bills", end=" ")
