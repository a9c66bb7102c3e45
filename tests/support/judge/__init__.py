"""The real Kamailio as the judge of pseudo-variables: it evaluates any expression on any payload."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SkipTest

from natsroute import Event, EventRoutes, NatsrouteService
from tests.support.kamailio import REQUIRE, START_TIMEOUTS, find, reserve_udp_port
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase

HERE = Path(__file__).parent

#: What an expression can give, or a variable be set to.
Value = int | bytes | None
#: Variables and what they are set to.
Assignments = Sequence[tuple[str, Value]]

#: What ``judge.cfg`` defines.
DEFINITIONS = {b"JUDGE_TEXT": b'"of the judge"', b"JUDGE_WORD": b"bare", b"JUDGE_NUMBER": b"42", b"JUDGE_EMPTY": b""}

#: Seconds for one question, however many expressions it asks for.
TIMEOUT = 180.0


def to_bytes(text: str) -> bytes:
    """The bytes of an expression, which may hold surrogate escapes."""
    return text.encode("utf-8", "surrogateescape")


def _encode_assignment(variable: str, value: Value) -> str:
    kind, text = ("n", b"") if value is None else ("i", b"%d" % value) if isinstance(value, int) else ("s", value)
    return f"{to_bytes(variable).hex()}:{kind}:{text.hex()}"


def _decode(answer: str) -> Value:
    kind, _, text = answer.partition(":")
    return None if kind == "nil" else int(text) if kind == "i" else bytes.fromhex(text)


class Judge:
    """
    Puts questions to a Kamailio that runs ``judge.cfg``.

    :param service: connected to the judge's nats-server.
    """

    _numbers = count(1)

    def __init__(self, kamailio: Program, testcase: JudgeTestCase) -> None:
        self.kamailio = kamailio
        self._testcase = testcase
        self._answers: dict[int, list[list[Value]]] = {}
        self._service: NatsrouteService | None = None

    async def open(self, seconds: float) -> bool:
        """Connect, and wait until Kamailio answers; False if it ends or takes too long."""
        event_route = EventRoutes()
        event_route("nats:judge.answer")(self._on_answer)
        service = self._service = await self._testcase.connect_service(event_route, subject_queue_group="judge.answer")
        number = next(self._numbers)
        received = self._answers[number] = []

        def probe() -> None:
            service.publish("judge", self._question(number, 1, ["$rm"], ()))
            service.publish("judge", b"a payload")

        probing = LoopingCall(probe)
        probed = probing.start(0.1)
        give_up = self._testcase.reactor.seconds() + seconds
        ended = self.has_ended
        await self._testcase.until(lambda: received or ended() or self._testcase.reactor.seconds() > give_up)
        probing.stop()
        await probed
        return bool(received) and not ended()

    def has_ended(self) -> bool:
        """True if Kamailio, or the process that answers, has ended."""
        return self.kamailio.status is not None or any("exited by a signal" in line for line in self.kamailio.lines)

    def _question(self, number: int, payloads: int, expressions: Sequence[str], assignments: Assignments) -> str:
        to_set = ",".join(_encode_assignment(variable, value) for variable, value in assignments)
        to_evaluate = ",".join(to_bytes(expression).hex() for expression in expressions)
        return f"{number};{payloads};{to_set};{to_evaluate}"

    async def ask(
        self, payloads: Sequence[bytes], expressions: Sequence[str], assignments: Assignments = ()
    ) -> list[list[Value]]:
        """
        What Kamailio gives for each expression on each payload.

        :param assignments: carried out before the expressions, for each payload.
        """
        assert self._service is not None
        number = next(self._numbers)
        received = self._answers[number] = []
        self._service.publish("judge", self._question(number, len(payloads), expressions, assignments))
        for payload in payloads:
            self._service.publish("judge", payload)
        await self._testcase.until(lambda: len(received) == len(payloads) or self.has_ended(), timeout=TIMEOUT)
        if len(received) < len(payloads):
            raise AssertionError(f"Kamailio ended at payload {payloads[len(received)]!r}")
        del self._answers[number]
        return received

    def _on_answer(self, event: Event) -> None:
        number, _, values = event.text().partition(";")
        if int(number) in self._answers:
            self._answers[int(number)].append([_decode(value) for value in values.split(",")])


class JudgeTestCase(OneServerTestCase):
    """A test with a judge at hand. Without Kamailio it is skipped."""

    def setUp(self) -> Deferred[Any]:
        if find("kamailio") is None:
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        return super().setUp()

    async def start_judge(self) -> Judge:
        """A judge that ends with the test."""
        for seconds in START_TIMEOUTS:
            folder = Path(self.mktemp()).resolve()
            folder.mkdir(parents=True)
            reserved = reserve_udp_port()
            self.addCleanup(reserved.close)
            command = [
                find("kamailio") or "kamailio",
                "-f",
                str(HERE / "judge.cfg"),
                "-w",
                str(HERE),
                "-Y",
                str(folder),
            ]
            command += ["-A", f'NATS_URL="{self.url}"', "-A", f"SIP_PORT={reserved.getsockname()[1]}"]
            kamailio = Program(self.reactor, [*command, "-DD", "-E", "-m", "64", "-M", "64"], folder)
            self.addCleanup(kamailio.stop)
            judge = Judge(kamailio, self)
            if await judge.open(seconds):
                return judge
            if kamailio.status is not None:
                self.fail(
                    "\n".join(["Kamailio did not start; are its Lua, JSON and NATS modules there?", *kamailio.lines])
                )
            print(f"the judge was not ready after {seconds} s; starting another", file=sys.stderr)
            await kamailio.stop()
        raise AssertionError(f"of {len(START_TIMEOUTS)} judges none was ready in {START_TIMEOUTS[-1]} s")
