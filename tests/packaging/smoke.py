"""
``python smoke.py compiled`` fails if natsroute, as it is installed, does not run with the compiled hot path.

``python smoke.py pure`` fails if it does not run with the one in Python. Both parse messages and route one. This needs
neither a server nor anything else that the tests share: wheels are tested with it, on each platform.
"""

from __future__ import annotations

import sys

from natsroute import Event, EventRoutes, hot
from natsroute.testing import RouteTester
from natsroute.wire.frames import Msg, Signal
from natsroute.wire.parser import Parser

STREAM = (
    b"MSG a.b 1 5\r\nhello\r\nMSG a.b 1 answers 2\r\nhi\r\nHMSG c 2 12 13\r\nNATS/1.0\r\n\r\n!\r\n"
    b"PING\r\nMSG a.b 1 5\r\nhe"
)


def parse() -> tuple[list[Msg], list[object]]:
    """What is received from a server, and the other frames."""
    received: list[Msg] = []
    parser = Parser(receivers={1: received.append, 2: received.append})
    return received, [*parser.feed(STREAM), *parser.feed(b"llo\r\n")]


def main() -> None:
    """Check what the argument says."""
    [expected] = sys.argv[1:]
    print(f"Python {sys.version.split()[0]}: {hot.describe()}")
    if expected != hot.IMPLEMENTATION:
        sys.exit(f"error: natsroute does not run with the {expected} hot path")
    messages, frames = parse()
    found = [(message.subject, message.reply, message.data) for message in messages]
    expected_messages = [("a.b", None, b"hello"), ("a.b", "answers", b"hi"), ("c", None, b"!"), ("a.b", None, b"hello")]
    if (found, frames) != (expected_messages, [Signal.PING]):
        sys.exit(f"error: {found} and {frames} was parsed")
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
