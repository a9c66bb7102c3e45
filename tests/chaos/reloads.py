"""
The code is loaded anew again and again under a steady load, with routes that change their answer.

Four consumers get numbered messages: one with a plain route, one with ``concurrency``, one with a ``key``, and one with
a KEMI script. Each answer has the number of its message and the version that answered. An independent subscriber writes
the answers down.
"""

from __future__ import annotations

import json
import os
import random
import signal
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall, deferLater

from natsroute import NatsrouteService, Settings
from tests.chaos.ledger_auditor import LedgerAuditor
from tests.chaos.outcome import Outcome
from tests.chaos.publishers import QUICK
from tests.chaos.testbed import Testbed, module_command
from tests.support import ROOT
from tests.support.program import Program
from tests.support.waiting import TIMEOUT, until

ROUTES = """
from natsroute import EventRoutes
from twisted.internet import reactor
from twisted.internet.task import deferLater

VERSION = b"{version}"
event_route = EventRoutes()

@event_route("nats:feed.plain")
def plain(event):
    event.publish("chaos.plain", event.data + b":" + VERSION)

@event_route("nats:feed.parallel", concurrency=50)
async def parallel(event):
    await deferLater(reactor, 0.005)
    event.publish("chaos.parallel", event.data + b":" + VERSION)

@event_route("nats:feed.keyed", key=lambda event: int(event.data) % {keys}, concurrency={keys})
async def keyed(event):
    await deferLater(reactor, 0.005)
    event.publish("chaos.keyed", event.data + b":" + VERSION)
"""

SCRIPT = """
import KSR

def on_event(name):
    if name == "nats:feed.script":
        KSR.nats.publish("chaos.script", KSR.pv.get("$natsData") + ":{version}")
"""

#: Of 20 messages, how many go to each consumer.
SHARES = {"plain": 16, "parallel": 1, "keyed": 1, "script": 2}

#: Messages with the same remainder have the same key.
KEYS = 10

#: Seconds between two reloads: the maximum.
MAX_PAUSE = 0.3


async def run(reactor: Any, folder: Path, seed: int, reloads: int, rate: float) -> Outcome:
    """
    Reload that often.

    :param folder: a new folder for the files of the run.
    :param rate: messages a second in all.
    """
    folder.mkdir(parents=True)
    testbed = Testbed(reactor, folder)
    try:
        await testbed.start()
        return await _Run(testbed, random.Random(seed), rate).run(reloads)
    finally:
        await testbed.stop()


class _Run:
    def __init__(self, testbed: Testbed, chance: random.Random, rate: float) -> None:
        self._testbed = testbed
        self._reactor = testbed.reactor
        self._chance = chance
        self._rate = rate
        self._routes, self._script = testbed.folder / "reload_routes.py", testbed.folder / "reload_script.py"
        self._write(0)
        self._service = NatsrouteService(
            Settings(
                nats_url=testbed.server.url,
                subject_queue_group=[f"feed.{kind}:crew" for kind in SHARES],
                event_routes=str(self._routes),
                kemi_script=str(self._script),
                event_callback="on_event",
                reload_timeout=TIMEOUT,
                **QUICK,
            )
        )
        self._auditor = LedgerAuditor(self._reactor, self._service)
        self._auditing = LoopingCall(self._auditor.check)  # what a script's thread handles is no call in flight
        self._seconds: list[float] = []
        self._received: dict[str, list[int]] = {kind: [0] for kind in SHARES}

    def _write(self, version: int) -> None:
        self._routes.write_text(ROUTES.format(version=version, keys=KEYS), encoding="utf-8")
        self._script.write_text(SCRIPT.format(version=version), encoding="utf-8")

    async def run(self, reloads: int) -> Outcome:
        self._service.startService()
        try:
            await self._service.ready()
            self._auditing.start(0.005)
            feeder = Program(
                self._reactor,
                module_command(
                    "paced_feeder",
                    self._testbed.server.url,
                    self._rate,
                    *(f"feed.{kind}:{share}" for kind, share in SHARES.items()),
                ),
                ROOT,
            )
            try:
                await until(lambda: feeder.printed and self._counts()["plain"], self._reactor)
                for version in range(1, reloads + 1):
                    await self._reload(version)
                    await deferLater(self._reactor, self._chance.uniform(0.0, MAX_PAUSE))
                os.kill(json.loads(feeder.printed[0])["pid"], signal.SIGUSR1)
                await until(lambda: len(feeder.printed) > 1, self._reactor)
                facts = json.loads(feeder.printed[1])
            finally:
                await feeder.stop()
            sent = {kind: facts["sent"][f"feed.{kind}"] for kind in SHARES}
            await until(lambda: self._ended() == sum(sent.values()), self._reactor)
            await self._service.flush()
            self._auditing.stop()
            return await self._outcome(reloads, sent, facts["seconds"])
        finally:
            if self._auditing.running:
                self._auditing.stop()
            await self._service.stopService()

    async def _reload(self, version: int) -> None:
        self._write(version)
        reloaded = await self._service.reload()
        self._seconds.append(reloaded.seconds)
        for kind, count in self._counts().items():
            self._received[kind].append(count)

    def _counts(self) -> dict[str, int]:
        """How many messages each consumer has received."""
        return {kind: one.source.received for kind, one in zip(SHARES, self._service.consumers)}

    def _ended(self) -> int:
        return sum(one.succeeded + one.failed for one in self._service.ledger().consumers)

    async def _outcome(self, reloads: int, sent: dict[str, int], seconds: float) -> Outcome:
        await self._testbed.subscriber.written()
        answers = Answers(sent, self._received)
        for subject, text in self._testbed.subscriber.recorded():
            answers.add(subject.removeprefix("chaos."), text)
        total = sum(sent.values())
        times = sorted(self._seconds)
        return Outcome(
            [*self._auditor.differences, *answers.violations()],
            {
                "reloads": reloads,
                "messages": f"{total:,} in {seconds:.0f} s, {total / seconds:,.0f} a second",
                "answered exactly once": answers.once,
                "answered by the version before, after a reload": answers.by_the_version_before,
                "seconds of a reload": f"{times[len(times) // 2]:.2f} (median), {times[-1]:.2f} (maximum)",
                "the ledger was checked": self._auditor.samples,
                "most messages waiting": self._auditor.max_waiting,
            },
        )


class Answers:
    """
    What was answered, by which version.

    :ivar once: messages that were answered exactly once.
    :ivar by_the_version_before: answers of messages that arrived before a reload was over, and were answered by the
        version before it afterwards.

    :param sent: how many messages were sent, by kind.
    :param received: for each kind, how many messages had been received when each version was loaded.
    """

    def __init__(self, sent: dict[str, int], received: dict[str, list[int]]) -> None:
        self.by_the_version_before = 0
        self._received = received
        self._versions = {kind: array("h", [-1]) * count for kind, count in sent.items()}
        self._twice = 0
        self._order: dict[tuple[str, int], tuple[int, int]] = {}
        self._newest = 0
        self._wrong: dict[str, int] = {}

    def add(self, kind: str, text: str) -> None:
        """An answer: the number of the message, and the version."""
        number, version = map(int, text.split(":"))
        versions = self._versions[kind]
        if versions[number] >= 0:
            self._twice += 1
        versions[number] = version
        if version < self._newest:
            self.by_the_version_before += 1
        self._newest = max(self._newest, version)
        if kind != "parallel":
            key = kind, number % KEYS if kind == "keyed" else 0
            last_number, last_version = self._order.get(key, (-1, 0))
            if number <= last_number:
                self._count(f"{kind}: answered before an earlier message")
            if version < last_version:
                self._count(f"{kind}: answered by an earlier version than the message before")
            self._order[key] = number, version

    def _count(self, what: str) -> None:
        self._wrong[what] = self._wrong.get(what, 0) + 1

    @property
    def once(self) -> int:
        """Messages that were answered exactly once."""
        return sum(len(versions) - versions.count(-1) for versions in self._versions.values()) - self._twice

    def violations(self) -> Iterator[str]:
        """What must not happen."""
        for kind, versions in self._versions.items():
            unanswered = versions.count(-1)
            if unanswered:
                yield f"{kind}: {unanswered} messages were not answered, the first of them {versions.index(-1)}"
            received = self._received[kind]
            late = sum(
                0 <= version < loaded
                for loaded, (first, end) in enumerate(zip(received, [*received[1:], len(versions)]))
                for version in versions[first:end]
            )
            if late:
                yield f"{kind}: {late} messages that came after a reload were answered by an earlier version"
        if self._twice:
            yield f"{self._twice} answers too many"
        for what, count in self._wrong.items():
            yield f"{what}: {count} times"
