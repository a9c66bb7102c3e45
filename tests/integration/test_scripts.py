"""Event routes of a kamailio.cfg on a real nats-server"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import gatherResults

from natsroute import Event, EventRoutes, NatsrouteService
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase

RELAY = """
event_route[nats:in] { nats_publish("out", "$natsData"); }
"""

COUNTING = """
modparam("htable", "htable", "seen=>size=4;initval=0;")
request_route { t_relay(); }
route[COUNT] { $sht(seen=>all) = $sht(seen=>all) + 1; return($sht(seen=>all)); }
event_route[nats:in] {
    if ($(natsData{json.parse,Event-Package}) != "dialog") { exit; }
    route(COUNT);
    nats_publish("out", "$rc $(natsData{json.parse,From})", "answers.$rc");
}
event_route[nats:connected] { nats_publish("events", "connected"); }
"""


class ScriptTests(OneServerTestCase):
    """A service whose event routes are in a ``kamailio.cfg``."""

    async def run_script(self, script: str, **settings: Any) -> NatsrouteService:
        """A service with a script and the entry ``in:q``."""
        path = Path(self.mktemp()).with_suffix(".cfg").resolve()
        path.write_text(script, encoding="utf-8")
        return await self.connect_service(kamailio_cfg=str(path), subject_queue_group=["in:q"], **settings)

    async def listen(self, *subjects: str) -> tuple[NatsrouteService, list[Event]]:
        """A service that publishes for the test and collects what comes on these subjects."""
        event_route, seen = EventRoutes(), list[Event]()
        for subject in subjects:
            event_route(f"nats:{subject}")(seen.append)
        return await self.connect_service(event_route, subject_queue_group=subjects), seen

    async def test_relay_keeps_every_message_in_order(self) -> None:
        """20,000 numbered messages go through a script that publishes them again. None is lost or out of order."""
        service, seen = await self.listen("out")
        relay = await self.run_script(RELAY)
        sent = [b"%d" % number for number in range(20_000)]
        await gatherResults([service.publish("in", number) for number in sent])
        await self.until(lambda: len(seen) >= len(sent))
        self.assertEqual([event.data for event in seen], sent)
        await self.until(lambda: relay.ledger().publisher.confirmed >= len(sent))
        self.assertEqual(relay.ledger().publisher.confirmed, len(sent))

    async def test_what_a_script_does(self) -> None:
        """It calls a route, counts in a hash table, and publishes with a reply subject."""
        recorder = LogRecorder(self)
        service, seen = await self.listen("out", "events")
        await self.run_script(COUNTING)
        self.assertEqual(len(recorder.matching("natsroute does not run these blocks of")), 1)
        for package in ("dialog", "other", "dialog"):
            await service.publish("in", {"Event-Package": package, "From": "sip:al@ex.org"})
        await self.until(lambda: sum(event.subject == "out" for event in seen) == 2)
        answers = [(event.data, event.reply) for event in seen if event.subject == "out"]
        self.assertEqual(answers, [(b"1 sip:al@ex.org", "answers.1"), (b"2 sip:al@ex.org", "answers.2")])
