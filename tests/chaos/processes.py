"""
natsroute with ``--processes 2`` under a steady load: its processes are replaced by new versions, or killed.

Each message is answered with the version and the process that answered it, and an independent subscriber records the
answers. For the kills, nats-server's own counts tell how many messages each process was given.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from natsroute.daemon.processes.supervisor import STABLE
from tests.chaos.outcome import Outcome
from tests.chaos.testbed import Subscriber, module_command
from tests.support import ROOT
from tests.support.nats_server import NatsServer
from tests.support.natsroute_process import NatsrouteProcess
from tests.support.program import Program
from tests.support.waiting import TIMEOUT, until

PROCESSES = 2
#: A subject with a queue group and one without, which runs in the first process only.
SHARED, ALONE = "load.shared", "load.alone"
#: Seconds within which all processes have to be ready again after a kill.
READY_WITHIN = 1.0

ROUTES = """
import os
from natsroute import EventRoutes

event_route = EventRoutes()
SUBJECT = f"chaos.VERSION.{os.getpid()}."

@event_route("nats:load.>")
def answer(event):
    kind = event.subject[5:]
    assert event.queue_group == {"shared": "q", "alone": None}[kind]
    event.publish(SUBJECT + kind, event.data)
"""


class Setup:
    """
    A nats-server, natsroute with several processes, a feeder, and a subscriber that records the answers.

    :ivar sent: how many messages were sent to each subject; their numbers begin with 0. Known after :meth:`finish`.
    :ivar rate: messages a second that were sent. Known after :meth:`finish`.
    """

    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.sent: dict[str, int] = {}
        self.rate = 0.0
        self._folder = folder
        self._server = NatsServer(reactor, 'http: "127.0.0.1:-1"')
        self._stops: list[Any] = []
        self._sockets = tempfile.TemporaryDirectory(prefix="natsroute-")  # the path of a socket must be short
        self._socket = f"{self._sockets.name}/admin.sock"

    async def start(self, rate: float, *subjects: str) -> None:
        """Start everything, and feed."""
        self._folder.mkdir(parents=True)
        self._stops.append(self._server.stop)
        await self._server.start()
        self.subscriber = Subscriber(self.reactor, self._server.url, self._folder / "answers")
        self._stops.append(self.subscriber.stop)
        await self.subscriber.subscribed(1)
        entries = [f"--subject_queue_group={SHARED}:q", *(f"--subject_queue_group={ALONE}" for _ in subjects[1:])]
        self.write_version(0)
        self.natsroute = NatsrouteProcess(
            self.reactor, self._folder, self._routes(0), "--processes", str(PROCESSES), "--nats_url", self._server.url,
            "--num_publish_workers", "1", "--admin_socket", self._socket, *entries,
        )  # fmt: skip
        self._stops.append(self.natsroute.stop)
        await self.ready()
        self._feeder = Program(
            self.reactor,
            module_command("paced_feeder", self._server.url, rate, *(f"{subject}:1" for subject in subjects)),
            ROOT,
        )
        self._stops.append(self._feeder.stop)
        await until(lambda: self._feeder.printed, self.reactor)

    async def stop(self) -> None:
        """Stop all that was started."""
        while self._stops:
            await self._stops.pop()()
        self._sockets.cleanup()

    def write_version(self, version: int) -> None:
        """The version of the routes that a process loads from now on."""
        (self._folder / "routes.py").write_text(self._routes(version), encoding="utf-8")

    def _routes(self, version: int) -> str:
        return ROUTES.replace("VERSION", str(version))

    async def reload(self, version: int) -> None:
        """
        Replace the processes by those of a new version.

        :raises AssertionError: the reload failed.
        """
        self.write_version(version)
        answer = await deferToThread(self._admin, "reload")
        assert "result" in answer, f"reload {version}: {answer['error']['message']}"

    async def overview(self) -> dict[str, Any]:
        """The overview of natsroute; its ``ready`` is False while there is none."""
        try:
            answer = await deferToThread(self._admin, "overview")
        except (OSError, ValueError):  # it does not listen yet
            return {"ready": False}
        found: dict[str, Any] = answer["result"]
        return found

    async def ready(self) -> dict[str, Any]:
        """Wait until all processes are ready; returns the overview."""
        give_up = time.monotonic() + TIMEOUT
        while not (found := await self.overview())["ready"]:
            waits = time.monotonic() < give_up and self.natsroute.status is None
            assert waits, "\n".join(["not ready:", *self.natsroute.lines[-50:]])
            await deferLater(self.reactor, 0.01)
        return found

    async def finish(self) -> None:
        """Stop feeding, and wait until everything that nats-server has given to natsroute is answered."""
        os.kill(json.loads(self._feeder.printed[0])["pid"], signal.SIGUSR1)
        await until(lambda: len(self._feeder.printed) == 2, self.reactor)
        facts = json.loads(self._feeder.printed[1])
        self.sent, self.rate = facts["sent"], sum(facts["sent"].values()) / facts["seconds"]
        give_up = time.monotonic() + TIMEOUT
        while time.monotonic() < give_up:
            given = await self.delivered(closed=False)  # natsroute may not have read all of it yet
            found = await self.overview()
            succeeded = sum(row["succeeded"] for row in found["consumers"])
            if found["ready"] and succeeded == given and not found["publisher"]["in_progress"]:
                break
            await deferLater(self.reactor, 0.1)
        await deferLater(self.reactor, 0.5)
        await self.subscriber.written()

    def answers(self) -> Iterator[tuple[int, int, str, int]]:
        """Version, process, subject and number of each answer."""
        for subject, number in self.subscriber.recorded():
            _, version, pid, kind = subject.split(".")
            yield int(version), int(pid), f"load.{kind}", int(number)

    async def delivered(self, *, closed: bool) -> int:
        """Messages that nats-server has given to consumers, on connections that are closed or open."""
        state = "closed" if closed else "open"
        found = await deferToThread(self._monitoring, f"/connz?state={state}&limit=10000")
        return sum(
            row["out_msgs"]
            for row in found["connections"]
            if any(f"consumer {subject}" in row.get("name", "") for subject in (SHARED, ALONE))
        )

    def _monitoring(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._server.http_port}{path}", timeout=TIMEOUT) as answer:
            return json.load(answer)

    def _admin(self, method: str) -> Any:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(self._socket)
            client.sendall(json.dumps({"jsonrpc": "2.0", "method": method, "id": 1}).encode() + b"\n")
            return json.loads(client.makefile().readline())


@attrs.frozen
class Answers:
    """
    What became of each message.

    :ivar never: how many were not answered.
    :ivar twice: how many were answered more than once.
    :ivar versions: answers by version.
    :ivar processes: answers by process.
    """

    never: int
    twice: int
    versions: Counter[int]
    processes: Counter[int]

    @classmethod
    def of(cls, sent: dict[str, int], answers: Iterable[tuple[int, int, str, int]]) -> Answers:
        """Count them."""
        times = {subject: bytearray(count) for subject, count in sent.items()}
        versions: Counter[int] = Counter()
        processes: Counter[int] = Counter()
        for version, pid, subject, number in answers:
            times[subject][number] = min(times[subject][number] + 1, 255)
            versions[version] += 1
            processes[pid] += 1
        never = sum(counts.count(0) for counts in times.values())
        once = sum(counts.count(1) for counts in times.values())
        return cls(never, sum(sent.values()) - never - once, versions, processes)


async def reload_again_and_again(reactor: Any, folder: Path, seed: int, reloads: int, rate: float) -> Outcome:
    """
    Replace the processes by new versions, one reload after the other.

    :param rate: messages a second, half of them to a subject without a queue group.
    """
    setup, chance = Setup(reactor, folder), random.Random(seed)
    durations = []
    try:
        await setup.start(rate, SHARED, ALONE)
        for version in range(1, reloads + 1):
            await deferLater(reactor, chance.uniform(0.0, 0.5))
            began = time.monotonic()
            await setup.reload(version)
            durations.append(time.monotonic() - began)
        await deferLater(reactor, 0.5)
        await setup.finish()
        answers = Answers.of(setup.sent, setup.answers())
    finally:
        await setup.stop()
    sent = sum(setup.sent.values())
    without = set(range(reloads + 1)) - answers.versions.keys()
    violations = [
        *([f"{answers.never} messages were not answered"] if answers.never else []),
        *([f"{answers.twice} messages were answered more than once"] if answers.twice else []),
        *([f"versions without an answer: {without}"] if without else []),
        *([line for line in setup.natsroute.output if "ended by itself" in line or "has not stopped" in line]),
    ]
    figures = {
        "reloads": reloads,
        "messages": f"{sent:,}, {setup.rate:,.0f} a second",
        "answered exactly once": f"{sent - answers.never - answers.twice:,}",
        "never": answers.never,
        "more than once": answers.twice,
        "processes that answered": len(answers.processes),
        "seconds for a reload": f"{sum(durations) / len(durations):.1f} on average, {max(durations):.1f} at most",
    }
    return Outcome(violations, figures)


async def kill_again_and_again(
    reactor: Any, folder: Path, seed: int, kills: int, rate: float, *, settle: float = STABLE
) -> Outcome:
    """
    Kill one of the processes, wait until all are ready again, and so on.

    :param rate: messages a second, to a queue group.
    :param settle: seconds from one kill to the next at least. A process that dies sooner after its start counts as one
        that dies again and again, and is not started again at once.
    """
    setup, chance = Setup(reactor, folder), random.Random(seed)
    waits: list[float] = []
    killed: set[int] = set()
    try:
        await setup.start(rate, SHARED)
        for _ in range(kills):
            found = await setup.ready()
            await deferLater(reactor, settle + chance.uniform(0.0, 1.0))
            victim = chance.choice(found["pids"])
            killed.add(victim)
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            while victim in (found := await setup.overview())["pids"] or not found["ready"]:
                await deferLater(reactor, 0.005)
            waits.append(time.monotonic() - began)
        await deferLater(reactor, 0.5)
        await setup.finish()
        found = await setup.ready()
        to_living, to_killed = await setup.delivered(closed=False), await setup.delivered(closed=True)
        answers = Answers.of(setup.sent, setup.answers())
    finally:
        await setup.stop()
    by_killed = sum(count for pid, count in answers.processes.items() if pid in killed)
    by_living = sum(answers.processes.values()) - by_killed
    sent = sum(setup.sent.values())
    received = sum(row["received"] for row in found["consumers"])
    violations = [
        *([f"{answers.twice} messages were answered more than once"] if answers.twice else []),
        *([f"nats-server passed on {to_living + to_killed} of {sent}"] if to_living + to_killed != sent else []),
        *([f"the living were given {to_living}, and answered {by_living}"] if to_living != by_living else []),
        *([f"the living were given {to_living}, and counted {received}"] if to_living != received else []),
        *([f"lost {answers.never}, not {to_killed - by_killed}"] if answers.never != to_killed - by_killed else []),
        *(
            [f"{sum(wait > READY_WITHIN for wait in waits)} times not ready within a second"]
            if max(waits) > READY_WITHIN
            else []
        ),
    ]
    figures = {
        "kills": kills,
        "messages": f"{sent:,}, {setup.rate:,.0f} a second",
        "given to processes that were killed": f"{to_killed:,}; they answered {by_killed:,}",
        "lost": f"{answers.never:,}, {answers.never / kills:.1f} for each kill; all of them in those processes",
        "given to the others": f"{to_living:,}; they answered {by_living:,}, and their ledger has {received:,}",
        "seconds until all were ready": f"{sorted(waits)[len(waits) // 2]:.2f} (median), {max(waits):.2f} at most",
    }
    return Outcome(violations, figures)
