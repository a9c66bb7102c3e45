"""
natsroute's side of the transaction bridge: decide over the calls that Kamailio has suspended.

Run it beside a Kamailio with ``kamailio.cfg``: ``twistd -n natsroute --subject_queue_group sip-decide:natsroute
--event_routes examples/transaction_bridge/routes.py``. ``rules`` stands for a database that is asked.
"""

from __future__ import annotations

from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes
from natsroute.kamailio.transactions import Decision, SipTransaction, answer_transactions

event_route = EventRoutes()

#: What becomes of calls to a user.
rules = {
    "busy": Decision.refuse(486, "Busy Here"),
    "moved": Decision.redirect("sip:carol@example.net"),
    "sales": Decision.accept("sip:desk7@example.com"),
}

# Kamailio waits for 3 seconds, and after that refuses the call itself.
answers = answer_transactions(Decision.refuse(503, "No Decision"), timeout=2.0)


@event_route("nats:sip-decide", concurrency=500, middleware=[answers])
async def decide(event: Event) -> Decision:
    call = SipTransaction.of(event)
    user = call["request_uri"].removeprefix("sip:").partition("@")[0]
    return await look_up(user, event)


async def look_up(user: str, event: Event) -> Decision:
    await deferLater(event.clock, 60.0 if user == "slow" else 0.01)
    return rules.get(user, Decision.accept())
