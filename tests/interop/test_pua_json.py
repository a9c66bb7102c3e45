"""Back to Kamailio: ``pua_json_publish`` here, and the real one in a Kamailio whose presence SIPp watches."""

from __future__ import annotations

from typing import Any

from natsroute import Event, EventRoutes
from natsroute.kamailio.pua_json import pua_json_publish
from tests.support import ROOT
from tests.support.rpc_kamailio import RpcKamailioTestCase
from tests.support.sipp import Sipp

#: A dialog's state, as Kamailio's ``pua_json`` takes it.
DIALOG = {
    "Event-Name": "update",
    "Event-Package": "dialog",
    "Call-ID": "7@calls.test",
    "From": "sip:alice@example.com",
    "From-User": "alice",
    "From-Realm": "example.com",
    "From-Tag": "a",
    "To": "sip:bob@example.com",
    "To-User": "bob",
    "To-Tag": "b",
    "Direction": "initiator",
    "Expires": 600,
}


#: The same event route for Kamailio and for natsroute.
SCRIPT = """\
loadmodule "json.so"
loadmodule "pua_json.so"
loadmodule "nats.so"
event_route[nats:Kamailio-World] {
    if ($(natsData{json.parse,Event-Package}) == "dialog") {
        pua_json_publish($natsData);
    }
}
"""


class PuaJsonTests(RpcKamailioTestCase):
    """``examples/presence_server.cfg``, and natsroute, which hands it dialog states."""

    async def check(self, routes: EventRoutes | None = None, **settings: Any) -> None:
        """A phone that watches a user gets a NOTIFY for each state that comes in through natsroute."""
        kamailio = await self.start_rpc_kamailio(
            ROOT / "examples" / "presence_server.cfg", {"pua_json": "not published: probe"}
        )
        service = await self.connect_service(routes, subject_queue_group="Kamailio-World:2021", **settings)
        sipp = Sipp(
            self.reactor,
            self.make_folder(),
            "watched",
            kamailio.port,
            "alice",
            words={"SECOND": "&lt;state>confirmed&lt;/state>", "THIRD": "&lt;state>terminated&lt;/state>"},
        )
        self.addCleanup(sipp.stop)
        await self.until(lambda: sipp.logged() or sipp.status is not None)
        await service.publish("Kamailio-World", {**DIALOG, "State": "confirmed"})
        await self.until(lambda: len(sipp.logged()) == 2 or sipp.status is not None)
        await service.publish("Kamailio-World", {**DIALOG, "State": "terminated"})
        self.assertEqual(await sipp.ended(), 0)
        self.assertEqual(
            sipp.logged(), ["subscribed", "second <state>confirmed</state>", "third <state>terminated</state>"]
        )

    async def test_python(self) -> None:
        """In a Python event route."""
        event_route = EventRoutes()

        @event_route("nats:Kamailio-World")
        async def dialog(event: Event) -> None:
            await pua_json_publish(event)

        await self.check(event_route)

    async def test_native_script(self) -> None:
        """In an event route of a ``kamailio.cfg``, as it is written for Kamailio."""
        path = self.make_folder() / "kamailio.cfg"
        path.write_text(SCRIPT, "utf-8")
        await self.check(kamailio_cfg=str(path))
