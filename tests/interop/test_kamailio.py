"""natsroute together with the real Kamailio and with SIP calls of SIPp; each message is counted at each stop"""

from __future__ import annotations

import json
import os
import signal

from twisted.internet.defer import gatherResults

from natsroute import Event, EventRoutes, NatsrouteService
from tests.support.kamailio import Kamailio, KamailioTestCase, requests_of

#: Kamailio publishes a SIP request as JSON.
REPORT_REQUEST = (
    r'nats_publish("sip.request", "{\"Event-Package\":\"dialog\",\"Call-ID\":\"$ci\",\"Method\":\"$rm\"}");'
)


class Arrivals:
    """
    An event route that records what arrives.

    :ivar payloads: the payloads in the order in which they arrived.
    """

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def __call__(self, event: Event) -> None:
        self.payloads.append(event.data)

    def __len__(self) -> int:
        return len(self.payloads)

    def requests(self) -> list[tuple[str, str]]:
        """Call-ID and method of each SIP request, sorted."""
        return sorted((request["Call-ID"], request["Method"]) for request in map(json.loads, self.payloads))


class InteropTestCase(KamailioTestCase):
    """A test that counts messages."""

    async def stop_kamailio(
        self, kamailio: Kamailio, service: NatsrouteService, subject: str, arrivals: Arrivals
    ) -> None:
        """Stop Kamailio, and wait until everything that it has published to the subject has arrived."""
        await kamailio.stop()
        await service.publish(subject, b"the end")
        await self.until(lambda: arrivals.payloads[-1:] == [b"the end"])
        del arrivals.payloads[-1]


class SipEventTests(InteropTestCase):
    """SIP requests that become events."""

    async def test_each_sip_request_arrives_once(self) -> None:
        """SIPp calls Kamailio, Kamailio publishes each request, and natsroute's event route gets each of them once."""
        calls = 300
        event_route, arrivals = EventRoutes(), Arrivals()
        event_route("nats:sip.request")(arrivals)
        kamailio = await self.start_kamailio(on_request=REPORT_REQUEST)
        service = await self.connect_service(event_route, subject_queue_group="sip.request:natsroute")
        self.assertEqual(await self.place_calls(kamailio, calls, rate=150), 0)
        await self.until(lambda: len(arrivals) >= len(requests_of(calls)))
        await self.stop_kamailio(kamailio, service, "sip.request", arrivals)
        self.assertEqual(arrivals.requests(), requests_of(calls))

    async def test_full_circle(self) -> None:
        """
        SIPp -> Kamailio -> natsroute -> Kamailio's event route -> natsroute: each stop counts each request once.
        """
        calls = 200
        event_route, requests, back = EventRoutes(), Arrivals(), Arrivals()

        @event_route("nats:sip.request")
        async def relay(event: Event) -> None:
            requests(event)
            await event.publish("circle", event.data)

        event_route("nats:back")(back)
        kamailio = await self.start_kamailio(
            {
                "circle:kamailio": 'xlog("L_NOTICE", "circle $(natsData{json.parse,Call-ID}) '
                '$(natsData{json.parse,Method})\\n"); nats_publish("back", "$natsData");'
            },
            on_request=REPORT_REQUEST,
        )
        service = await self.connect_service(
            event_route, subject_queue_group=["sip.request:natsroute", "back:natsroute"]
        )
        self.assertEqual(await self.place_calls(kamailio, calls, rate=100), 0)
        expected = requests_of(calls)
        await self.until(lambda: len(back) >= len(expected))
        await self.stop_kamailio(kamailio, service, "back", back)
        self.assertEqual(requests.requests(), expected)
        circled = sorted(tuple(line.split()[1:]) for line in kamailio.logged() if line.startswith("circle "))
        self.assertEqual(circled, expected)
        self.assertEqual(back.requests(), expected)


class EventRouteTests(InteropTestCase):
    """Messages of natsroute in Kamailio's event routes, and messages that both get."""

    async def test_kamailio_reads_what_natsroute_publishes(self) -> None:
        """Kamailio's event route logs a field of each message, in the order in which natsroute published them."""
        kamailio = await self.start_kamailio(
            {"events:kamailio": 'xlog("L_NOTICE", "seen $(natsData{json.parse,Event-Package})\\n");'}
        )
        service = await self.connect_service()
        names = [f"dialog-{number}" for number in range(1_000)]
        await gatherResults([service.publish("events", {"Event-Package": name}) for name in names])
        expected = [f"seen {name}" for name in names]
        await self.until(lambda: expected[-1] in kamailio.logged())
        self.assertEqual([line for line in kamailio.logged() if line.startswith("seen ")], expected)

    async def test_queue_group_is_shared(self) -> None:
        """Kamailio and natsroute in one queue group: each message comes to one of them."""
        event_route, natsroute_got, kamailio_got = EventRoutes(), Arrivals(), Arrivals()
        event_route("nats:work")(natsroute_got)
        event_route("nats:done.kamailio")(kamailio_got)
        kamailio = await self.start_kamailio({"work:crew": 'nats_publish("done.kamailio", "$natsData");'})
        service = await self.connect_service(event_route, subject_queue_group=["work:crew", "done.kamailio"])
        sent = sorted(b"%d" % number for number in range(1_000))
        await gatherResults([service.publish("work", number) for number in sent])
        await self.until(lambda: len(natsroute_got) + len(kamailio_got) >= len(sent))
        await self.stop_kamailio(kamailio, service, "done.kamailio", kamailio_got)
        self.assertEqual(sorted(natsroute_got.payloads + kamailio_got.payloads), sent)
        self.assertGreater(len(natsroute_got), 0)
        self.assertGreater(len(kamailio_got), 0)

    async def test_binary_payload_is_whole(self) -> None:
        """Kamailio's $natsData ends at the first NUL byte. natsroute's route gets the whole payload."""
        event_route, whole, cut = EventRoutes(), Arrivals(), Arrivals()
        event_route("nats:binary")(whole)
        event_route("nats:cut")(cut)
        await self.start_kamailio({"binary:kamailio": 'nats_publish("cut", "$natsData");'})
        service = await self.connect_service(event_route, subject_queue_group=["binary:natsroute", "cut:natsroute"])
        payload = b"before\0after " + bytes(range(256))
        await service.publish("binary", payload)
        await self.until(lambda: len(whole) and len(cut))
        self.assertEqual(whole.payloads, [payload])
        self.assertEqual(cut.payloads, [b"before"])

    async def test_relay_keeps_order(self) -> None:
        """
        Kamailio and natsroute publish the same numbered messages again. Neither loses one. natsroute keeps their order,
        which Kamailio with its two publish workers does not guarantee.
        """
        event_route, by_natsroute, by_kamailio = EventRoutes(), Arrivals(), Arrivals()

        @event_route("nats:numbers")
        def relay(event: Event) -> None:
            event.publish("by.natsroute", event.data)

        event_route("nats:by.natsroute")(by_natsroute)
        event_route("nats:by.kamailio")(by_kamailio)
        await self.start_kamailio({"numbers:kamailio": 'nats_publish("by.kamailio", "$natsData");'})
        entries = ["numbers:natsroute", "by.natsroute", "by.kamailio"]
        service = await self.connect_service(event_route, subject_queue_group=entries)
        sent = [b"%05d" % number for number in range(10_000)]
        await gatherResults([service.publish("numbers", number) for number in sent])
        await self.until(lambda: len(by_natsroute) >= len(sent) and len(by_kamailio) >= len(sent))
        self.assertEqual(by_natsroute.payloads, sent)
        self.assertEqual(sorted(by_kamailio.payloads), sent)


class StopTests(InteropTestCase):
    """The processes of Kamailio."""

    async def test_nothing_is_left_of_a_killed_kamailio(self) -> None:
        """When the main process of Kamailio is killed, the processes that it has forked end too."""
        kamailio = await self.start_kamailio({"events:kamailio": 'xlog("L_NOTICE", "seen\\n");'})
        os.kill(kamailio.pid, signal.SIGKILL)
        self.assertEqual(await kamailio.ended(), 128 + signal.SIGKILL)
