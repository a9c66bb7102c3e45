"""A Kamailio that runs a configuration of ours, and answers RPC requests over NATS."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall

from natsroute import Event, EventRoutes, NatsrouteService
from tests.support.kamailio import START_TIMEOUTS, KamailioTestCase, find, reserve_udp_port
from tests.support.program import Program
from tests.support.waiting import TIMEOUT

#: What is added to the configuration: requests of JSON-RPC come in on ``rpc``, answers go out on ``rpc-answer``.
ADDED = """\
#!KAMAILIO
include_file "{configuration}"
loadmodule "jsonrpcs.so"
modparam("jsonrpcs", "transport", 2)   # no socket: the path to it would be too long
modparam("nats", "subject_queue_group", "rpc:kamailio")
{more}
event_route[nats:rpc] {{ async_task_data("RPC", "$natsData"); }}
route[RPC] {{
    jsonrpc_exec("$async(data)");
    nats_publish("rpc-answer", "$jsonrpl(body)");
}}
"""


#: If one of the publish workers does not run, see :data:`~tests.support.kamailio.START_TIMEOUTS`, one of this number of
#: answers is missing.
ANSWERS = 16


class RpcKamailio(Program):
    """
    Kamailio with a configuration that has async workers, and the modules ``nats`` and ``async``.

    :ivar port: the UDP port of the loopback interface that it listens on.
    :ivar service: a natsroute service that asks it.

    :param configuration: the path of the configuration. It takes ``NATS_URL`` and ``LISTEN`` from the command line.
    :param defines: what else the command line defines.
    :param more: what else is added to the configuration.
    """

    service: NatsrouteService

    def __init__(
        self, reactor: Any, url: str, configuration: Path, folder: Path, defines: Mapping[str, str], more: str
    ) -> None:
        self._numbers = count(1)
        self._answers: dict[int, Any] = {}
        self._reserved = reserve_udp_port()
        self.port: int = self._reserved.getsockname()[1]
        path = folder / "kamailio.cfg"
        path.write_text(ADDED.format(configuration=configuration, more=more), "utf-8")
        command = [find("kamailio") or "kamailio", "-f", str(path), "-w", str(folder), "-Y", str(folder)]
        for name, value in {"NATS_URL": f'"{url}"', "LISTEN": f"udp:127.0.0.1:{self.port}", **defines}.items():
            command += ["-A", f"{name}={value}"]
        super().__init__(reactor, [*command, "-DD", "-E", "-T", "-m", "128", "-M", "16"], folder)

    def processEnded(self, reason: Any) -> None:
        self._reserved.close()
        super().processEnded(reason)

    def ask(self, method: str) -> int:
        """Send an RPC request; returns its number."""
        number = next(self._numbers)
        self.service.publish("rpc", {"jsonrpc": "2.0", "method": method, "id": number})
        return number

    def on_answer(self, event: Event) -> None:
        """Take an answer of Kamailio's."""
        answer = event.json()
        self._answers[answer["id"]] = answer

    def answer(self, number: int) -> Any:
        """The result for a request; None before there is one."""
        answer = self._answers.get(number)
        return None if answer is None else answer["result"]


class RpcKamailioTestCase(KamailioTestCase):
    """A test with a Kamailio that runs a configuration of ours."""

    async def start_rpc_kamailio(
        self, configuration: Path, probes: Mapping[str, str], *, more: str = "", **defines: str
    ) -> RpcKamailio:
        """
        Start a Kamailio, and wait until it has all subscriptions.

        :param configuration: see :class:`RpcKamailio`.
        :param probes: for each subject that it consumes, what it logs for the payload ``probe``.
        :param more: see :class:`RpcKamailio`.
        :param defines: see :class:`RpcKamailio`.
        """
        for seconds in START_TIMEOUTS:
            kamailio = RpcKamailio(self.reactor, self.url, configuration, self.make_folder(), defines, more)
            self.addCleanup(kamailio.stop)
            if await self._has_subscribed(kamailio, probes, seconds):
                return kamailio
            if kamailio.status is not None:
                self.fail("\n".join(["Kamailio did not start:", *kamailio.lines]))
            print(f"Kamailio was not ready after {seconds} s; starting another one", file=sys.stderr)
            await kamailio.stop()
        raise AssertionError(f"none of {len(START_TIMEOUTS)} Kamailios was ready within {START_TIMEOUTS[-1]} s")

    async def _has_subscribed(self, kamailio: RpcKamailio, probes: Mapping[str, str], seconds: float) -> bool:
        """Ask until it has answered, and then until each publish worker has; False if it ends or takes too long."""
        event_route = EventRoutes()
        event_route("nats:rpc-answer")(kamailio.on_answer)
        kamailio.service = await self.connect_service(event_route, subject_queue_group="rpc-answer")
        asked: list[int] = []

        def probe() -> None:
            asked.append(kamailio.ask("core.version"))
            for subject in probes:
                kamailio.service.publish(subject, b"probe")

        def ready() -> bool:
            return any(kamailio.answer(number) for number in asked) and all(
                any(logged in line for line in kamailio.lines) for logged in probes.values()
            )

        probing = LoopingCall(probe)
        probed = probing.start(0.1)
        give_up = self.reactor.seconds() + seconds

        def is_over() -> bool:
            return kamailio.status is not None or self.reactor.seconds() > give_up

        await self.until(lambda: ready() or is_over())
        probing.stop()
        await probed
        # Each process of Kamailio gives what it publishes to the publish workers in turn.
        more = [kamailio.ask("core.version") for _ in range(ANSWERS if ready() else 0)]

        def all_answered() -> bool:
            return all(kamailio.answer(number) for number in more)

        await self.until(lambda: all_answered() or is_over())
        return ready() and all_answered()

    async def rpc(self, kamailio: RpcKamailio, method: str) -> Any:
        """The result of an RPC command."""
        number = kamailio.ask(method)
        await self.until(lambda: kamailio.answer(number) is not None)
        return kamailio.answer(number)

    async def until_no_transaction(self, kamailio: RpcKamailio) -> dict[str, int]:
        """Wait until Kamailio's ``tm`` has no transaction in memory; returns its ``tm.stats``."""
        give_up = self.reactor.seconds() + TIMEOUT
        while True:
            stats: dict[str, int] = await self.rpc(kamailio, "tm.stats")
            if stats["current"] == 0:
                return stats
            if self.reactor.seconds() > give_up:
                self.fail(f"transactions are left after {TIMEOUT} s: {stats}")
