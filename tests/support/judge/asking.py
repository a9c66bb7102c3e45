"""A Kamailio that answers: each message to ``call`` makes it publish to ``answer``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from natsroute import EventRoutes
from tests.support.kamailio import REQUIRE, START_TIMEOUTS, find, reserve_udp_port
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase

#: Questions that are answered with themselves: until Kamailio answers, and behind all others.
PROBE, LAST = b"probe", b"last"

#: Seconds for all questions.
TIMEOUT = 180.0


class AskingTestCase(OneServerTestCase):
    """A test that asks Kamailio. Without Kamailio it is skipped."""

    def setUp(self) -> Deferred[Any]:
        if find("kamailio") is None:
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        return super().setUp()

    async def ask(
        self, configuration: Callable[[str, int], str], questions: Sequence[str]
    ) -> tuple[list[bytes], list[str]]:
        """
        Start a Kamailio, and ask it.

        :param configuration: gives its ``kamailio.cfg``, for the URL of the nats-server and a UDP port. It has one
            publish worker and one consumer, so that the answers are in order, and answers :data:`PROBE` and
            :data:`LAST`.
        :return: all that it published to ``answer``, and the lines that it logged.
        """
        for seconds in START_TIMEOUTS:
            folder = Path(self.mktemp()).resolve()
            folder.mkdir(parents=True)
            reserved = reserve_udp_port()
            self.addCleanup(reserved.close)
            script = folder / "kamailio.cfg"
            script.write_text(configuration(self.url, reserved.getsockname()[1]), "utf-8")
            command = [find("kamailio") or "kamailio", "-f", str(script), "-w", str(folder), "-Y", str(folder)]
            kamailio = Program(self.reactor, [*command, "-DD", "-E", "-m", "64", "-M", "256"], folder)
            self.addCleanup(kamailio.stop)
            answers = await self._ask(kamailio, questions, seconds)
            ended_by_itself = kamailio.status is not None
            await kamailio.stop()
            if answers is not None:
                return answers, kamailio.lines
            if ended_by_itself:
                self.fail("\n".join(["Kamailio did not start; are all its modules there?", *kamailio.lines[-40:]]))
            print(f"Kamailio was not ready after {seconds} s; starting another one", file=sys.stderr)
        raise AssertionError(f"none of {len(START_TIMEOUTS)} Kamailios was ready within {START_TIMEOUTS[-1]} s")

    async def _ask(self, kamailio: Program, questions: Sequence[str], seconds: float) -> list[bytes] | None:
        """All answers; None if there is none at all."""
        event_route = EventRoutes()
        answers: list[bytes] = []
        event_route("nats:answer")(lambda event: answers.append(event.data))
        service = await self.connect_service(event_route, subject_queue_group="answer")
        give_up = self.reactor.seconds() + seconds

        def has_ended() -> bool:
            return kamailio.status is not None or any("exited by a signal" in line for line in kamailio.lines)

        def is_ready() -> bool:
            service.publish("call", PROBE)
            return PROBE in answers or has_ended() or self.reactor.seconds() > give_up

        await self.until(is_ready)
        if PROBE not in answers:
            return None
        for question in (*questions, LAST):
            service.publish("call", question)
        await self.until(lambda: LAST in answers or has_ended(), timeout=TIMEOUT)
        if LAST not in answers:
            raise AssertionError(f"Kamailio ended; its last answer is {answers[-1]!r}")
        await service.stopService()
        return [answer for answer in answers if answer not in (PROBE, LAST)]
