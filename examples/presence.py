"""
Turn the dialog events that Kamailio publishes into presence.

There is no need for a Kamailio: once natsroute is connected, ``play_kamailio`` publishes the states of a call, one
every half second.
"""

from twisted.internet.task import deferLater
from twisted.logger import Logger

from natsroute import Event, EventRoutes

event_route = EventRoutes()
log = Logger()


@event_route("nats:Kamailio-World")
async def dialog(event: Event) -> None:
    update = event.json()
    if update["Event-Package"] == "dialog":
        log.info("received dialog update for {From}: {State}", **update)
        await event.publish("presence." + update["State"], event.data)


@event_route("nats:presence.*")
def presence(event: Event) -> None:
    log.info("{subject} for {caller}", subject=event.subject, caller=event.json()["From"])


@event_route("nats:connected")
async def play_kamailio(event: Event) -> None:
    if event.queue_group != "2021":
        return  # this event runs for every connection, and one call is enough
    await deferLater(event.clock, 0.5)  # by then the other connections are ready too
    for state in ("trying", "early", "confirmed", "terminated"):
        call = {"Event-Package": "dialog", "From": "sip:alice@example.com", "State": state}
        await event.publish("Kamailio-World", call)
        await deferLater(event.clock, 0.5)
    log.info("the call is over; press Ctrl-C to stop natsroute")
