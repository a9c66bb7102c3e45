"""A nats-server that can be killed, a proxy before it, and a witness beside it."""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.chaos.messages import ASKED, WATCHED
from tests.chaos.outages import Outage
from tests.chaos.proxy import Proxy
from tests.support.cases import until
from tests.support.nats_servers import ConfiguredServer
from tests.support.plain_client import conversation
from tests.support.program import ROOT, Program


def module(name: str, *arguments: object) -> list[str]:
    """The command of a program of this package."""
    return [sys.executable, "-m", f"tests.chaos.{name}", *map(str, arguments)]


class Witness(Program):
    """:mod:`tests.chaos.witness`, seen from outside."""

    def __init__(self, reactor: Any, port: int, path: Path) -> None:
        self._port = port
        self._path = path
        self._questions = count()
        super().__init__(reactor, module("witness", port, WATCHED, path), ROOT)

    @property
    def subscriptions(self) -> int:
        """How often it has subscribed."""
        return sum("subscribed" in json.loads(line) for line in self.printed)

    async def subscribed(self, times: int) -> None:
        """Wait until it has, so many times."""
        await until(lambda: self.subscriptions >= times, self.reactor)

    async def sightings(self) -> list[tuple[str, int]]:
        """Subject and number of each message that it has seen by now, in order."""
        question = next(self._questions)
        await deferToThread(self._ask, b"%d" % question)
        await until(lambda: json.dumps({"asked": question}) in self.printed, self.reactor)
        with self._path.open() as file:
            pairs = [line.split() for line in file if not line.startswith("#")]
        return [(subject, int(number)) for subject, number in pairs]

    def _ask(self, question: bytes) -> None:
        with conversation(self._port) as talk:
            talk.send(b"PUB %b %d\r\n%b\r\nPING\r\n" % (ASKED.encode(), len(question), question))
            talk.until(b"PONG")
            talk.until(b"PONG")


class Stage:
    """
    What every run needs. Publishers connect to :attr:`proxy`.

    :param folder: for the files of the run.
    :param config: of nats-server.
    """

    def __init__(self, reactor: Any, folder: Path, config: str = "") -> None:
        self.server = ConfiguredServer(reactor, config)
        self.folder = folder
        self.restarts = 0
        self.reactor = reactor
        self._ends: list[Any] = []

    async def start(self) -> None:
        """All of it."""
        self._ends.append(self.server.stop)
        await self.server.start()
        self.witness = Witness(self.reactor, self.server.port, self.folder / "sightings")
        self._ends.append(self.witness.stop)
        await self.witness.subscribed(1)
        self.proxy = Proxy(self.reactor, self.server.port)
        self.proxy.start()
        self._ends.append(self.proxy.stop)

    async def stop(self) -> None:
        """All of it."""
        while self._ends:
            await self._ends.pop()()

    async def restart(self, lasts: float) -> None:
        """
        Kill nats-server, and start it again after so many seconds.

        Nobody gets through the proxy before the witness has subscribed again, so that it sees whatever is published
        through the proxy, as far as nats-server passes it on at all.
        """
        subscriptions = self.witness.subscriptions
        self.proxy.refuse()
        await self.server.kill()
        await deferLater(self.reactor, lasts)
        await self.server.start()
        self.restarts += 1
        await self.witness.subscribed(subscriptions + 1)
        self.proxy.accept()

    async def sightings(self) -> list[tuple[str, int]]:
        """
        Subject and number of each message that the witness has seen by now, in order.

        :raises AssertionError: it was away while nats-server was there.
        """
        away = self.witness.subscriptions - self.restarts - 1
        assert not away, f"the witness lost its connection {away} times, other than by a restart"
        return await self.witness.sightings()

    async def play(self, outages: list[Outage]) -> None:
        """One outage after the other, each at its time, counted from now."""
        began = self.reactor.seconds()
        for outage in outages:
            await deferLater(self.reactor, max(0.0, began + outage.at - self.reactor.seconds()))
            await self.restart(outage.lasts)
