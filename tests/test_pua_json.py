"""natsroute.kamailio.pua_json"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, EventRoutes, Settings
from natsroute.errors import MisuseError
from natsroute.kamailio.pua_json import pua_json_publish
from natsroute.testing import RouteTester
from tests.support.route_cases import an_event


class PuaJsonPublishTests(SynchronousTestCase):
    """pua_json_publish()"""

    def published(self, *payload: object, settings: Settings = Settings()) -> list[tuple[str, bytes]]:
        """What a route publishes that hands a payload back."""
        event_route = EventRoutes()

        @event_route("nats:Kamailio-World")
        async def dialog(event: Event) -> None:
            await pua_json_publish(event, *payload)

        tester = RouteTester(event_route, settings)
        self.successResultOf(tester.deliver("Kamailio-World", b'{"as": "it is"}'))
        return [(message.subject, message.data) for message in tester.published]

    def test_the_events_payload(self) -> None:
        self.assertEqual(self.published(), [("pua_json", b'{"as": "it is"}')])

    def test_another_payload(self) -> None:
        """In any form that ``event.publish()`` takes; an empty one too."""
        self.assertEqual(self.published({"State": "early"}), [("pua_json", b'{"State":"early"}')])
        self.assertEqual(self.published(b""), [("pua_json", b"")])

    def test_subject(self) -> None:
        self.assertEqual(self.published(b"x", settings=Settings(pua_json_subject="blf")), [("blf", b"x")])

    def test_event_of_no_service(self) -> None:
        """It has no settings."""
        self.assertRaises(MisuseError, pua_json_publish, an_event())
