"""
Kamailio publishes the dialogs of its calls; this turns them into presence.

Without a Kamailio at hand it plays one: when natsroute is connected, a call goes through its states, one every half
second, and the event routes below follow it.
"""

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.logger import Logger

from natsroute import EventRoutes

event_route = EventRoutes()
log = Logger()


@event_route("nats:Kamailio-World")
async def dialog(event):
    update = event.json()
    if update["Event-Package"] == "dialog":
        log.info("received dialog update for {From}: {State}", **update)
        await event.publish("presence." + update["State"], event.data)


@event_route("nats:presence.*")
def presence(event):
    log.info("{subject} for {caller}", subject=event.subject, caller=event.json()["From"])


@event_route("nats:connected")
async def play_kamailio(event):
    if event.queue_group != "2021":
        return  # this event comes for each connection; one call is enough
    await deferLater(reactor, 0.5)  # until the other connections are there too
    for state in ("trying", "early", "confirmed", "terminated"):
        call = {"Event-Package": "dialog", "From": "sip:alice@example.com", "State": state}
        await event.publish("Kamailio-World", call)
        await deferLater(reactor, 0.5)
