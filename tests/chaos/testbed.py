"""A nats-server that can be killed, a proxy in front of it, and a subscriber that records all messages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.chaos.messages import PATTERN, QUESTION_SUBJECT
from tests.chaos.outages import Outage
from tests.chaos.proxy import Proxy
from tests.support import ROOT
from tests.support.nats_server import NatsServer
from tests.support.plain_client import PlainClient
from tests.support.program import Program
from tests.support.waiting import until


def module_command(name: str, *arguments: object) -> list[str]:
    """The command of a program of this package."""
    return [sys.executable, "-m", f"tests.chaos.{name}", *map(str, arguments)]


class Subscriber(Program):
    """:mod:`tests.chaos.subscriber`, seen from outside."""

    def __init__(self, reactor: Any, url: str, path: Path) -> None:
        self._url = url
        self._path = path
        self._questions = count()
        super().__init__(reactor, module_command("subscriber", url, PATTERN, path), ROOT)

    @property
    def subscriptions(self) -> int:
        """The number of times that it has subscribed."""
        return sum("subscribed" in json.loads(line) for line in self.printed)

    async def subscribed(self, times: int) -> None:
        """Wait until it has subscribed that many times."""
        await until(lambda: self.subscriptions >= times, self.reactor)

    async def sightings(self) -> list[tuple[str, int]]:
        """Subject and number of each message that it has seen so far, in order."""
        await self.written()
        return [(subject, int(number)) for subject, number in self.recorded()]

    async def written(self) -> None:
        """Wait until it has written down each message so far."""
        question = next(self._questions)
        await deferToThread(self._ask, b"%d" % question)
        await until(lambda: json.dumps({"answered": question}) in self.printed, self.reactor)

    def recorded(self) -> Iterator[tuple[str, str]]:
        """Subject and first word of each message that it has written down, in order."""
        with self._path.open() as file:
            for line in file:
                if not line.startswith("#"):
                    subject, word = line.split()
                    yield subject, word

    def _ask(self, question: bytes) -> None:
        with PlainClient(self._url) as client:
            client.publish(QUESTION_SUBJECT, question)


class Testbed:
    """
    What every run needs. Publishers connect to :attr:`proxy`.

    :ivar server: the nats-server.
    :ivar subscriber: sees what is published; once started.
    :ivar proxy: once started.
    :ivar folder: for the files of the run.

    :param config: the configuration of nats-server.
    :param server: a nats-server that is running, for a run that has more than one; None for a new one.
    """

    def __init__(self, reactor: Any, folder: Path, config: str = "", *, server: NatsServer | None = None) -> None:
        self.server = server or NatsServer(reactor, config)
        self.folder = folder
        self.restarts = 0
        self.reactor = reactor
        self._stops: list[Any] = []

    async def start(self) -> None:
        """Start server, subscriber and proxy."""
        self._stops.append(self.server.stop)
        if not self.server.running:
            await self.server.start()
        self.subscriber = Subscriber(self.reactor, self.server.url, self.folder / "sightings")
        self._stops.append(self.subscriber.stop)
        await self.subscriber.subscribed(1)
        self.proxy = Proxy(self.reactor, self.server.port)
        self.proxy.start()
        self._stops.append(self.proxy.stop)

    async def stop(self) -> None:
        """Stop all that was started."""
        while self._stops:
            await self._stops.pop()()

    async def restart(self, duration: float) -> None:
        """
        Kill nats-server, and start it again after that many seconds.

        The proxy refuses connections until the subscriber has subscribed again. So the subscriber sees all that is
        published through the proxy and that nats-server passes on.
        """
        subscriptions = self.subscriber.subscriptions
        self.proxy.refuse()
        await self.server.kill()
        await deferLater(self.reactor, duration)
        await self.server.start()
        self.restarts += 1
        await self.subscriber.subscribed(subscriptions + 1)
        self.proxy.accept()

    async def sightings(self) -> list[tuple[str, int]]:
        """
        Subject and number of each message that the subscriber has seen so far, in order.

        :raises AssertionError: the subscriber lost its connection while nats-server was running.
        """
        lost = self.subscriber.subscriptions - self.restarts - 1
        assert not lost, f"the subscriber lost its connection {lost} times without a restart"
        return await self.subscriber.sightings()

    async def play(self, outages: list[Outage]) -> None:
        """One outage after the other."""
        for outage in outages:
            await deferLater(self.reactor, outage.uptime)
            await self.restart(outage.duration)
