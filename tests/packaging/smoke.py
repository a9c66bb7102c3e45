"""
``python smoke.py compiled`` fails if natsroute, as it is installed, does not run with the compiled hot path.

``python smoke.py pure`` fails if it does not run with the one in Python. Both route a message. This needs neither a
server nor anything else that the tests share: wheels are tested with it, on each platform.
"""

from __future__ import annotations

import sys

from natsroute import Event, EventRoutes, hot
from natsroute.testing import RouteTester


def main() -> None:
    """Check what the argument says."""
    [expected] = sys.argv[1:]
    print(f"Python {sys.version.split()[0]}: {hot.describe()}")
    if expected != hot.IMPLEMENTATION:
        sys.exit(f"error: natsroute does not run with the {expected} hot path")
    event_route = EventRoutes()

    @event_route("nats:greetings.*")
    async def greet(event: Event) -> None:
        await event.publish("answers", {"hello": event.text()})

    tester = RouteTester(event_route)
    tester.deliver("greetings.en", b"world")
    published = [(one.subject, one.data) for one in tester.published]
    if published != [("answers", b'{"hello":"world"}')]:
        sys.exit(f"error: {published} was published")


if __name__ == "__main__":
    main()
