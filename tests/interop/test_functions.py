"""The functions of a script: the same calls in the real Kamailio and in natsroute, with the same results."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest

from natsroute import Event, EventRoutes
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.cfg.start_values import service_variables
from natsroute.kamailio.differences import DIFFERENCES
from natsroute.kamailio.evaluation import ConsumerVariables
from natsroute.kamailio.event_expressions import EventExpressions
from natsroute.kamailio.script.compiler import compile_script
from natsroute.ledger import RouteCounters
from natsroute.routes.event import EventContext
from natsroute.routes.results import as_deferred
from natsroute.wire.frames import Address
from tests.support.judge.address_calls import address_calls
from tests.support.judge.avp_calls import avp_calls
from tests.support.judge.calls import Assignment, Call, all_calls
from tests.support.judge.random_calls import random_calls
from tests.support.kamailio import REQUIRE, START_TIMEOUTS, find, reserve_udp_port
from tests.support.log_recorder import LogRecorder
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase

#: Calls that may differ, by the names that the differences have in :mod:`natsroute.kamailio.differences`.
ALLOWED: dict[str, Callable[[Call], bool]] = {
    "result-of-log": lambda call: call.name == "log",
    "malformed-mask": lambda call: call.name == "is_in_subnet" and str(call.arguments[1]).endswith(("/", "x")),
    "negative-copies": lambda call: (
        call.name == "avp_copy"
        and "s" in str(call.arguments[1]).partition("/")[2]
        and any(isinstance(one, Assignment) and one.value == -3 for one in call.before)
    ),
    "ignoring-case": lambda call: call.name == "fnmatch" and call.arguments[2:] == ("i",),
}

#: Another seed for the random calls.
SEED = int(os.environ.get("NATSROUTE_JUDGE_SEED", "1"))

#: Seconds for all calls.
TIMEOUT = 180.0

#: Between the values of an answer.
SEPARATOR = b" |~| "

CONFIGURATION = """\
#!KAMAILIO
debug={debug}
log_stderror=yes
disable_core_dump=yes
disable_tcp=yes
children=1
pv_cache_limit=1000000
listen=udp:127.0.0.1:{port}

loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "xlog.so"
loadmodule "json.so"
loadmodule "jansson.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
loadmodule "siputils.so"
loadmodule "cfgutils.so"
loadmodule "htable.so"
loadmodule "ipops.so"
loadmodule "avpops.so"
loadmodule "uuid.so"
loadmodule "nats.so"

modparam("cfgutils", "lock_set_size", 6)
modparam("htable", "htable", "t=>size=4;")
modparam("htable", "htable", "one=>size=4;")
modparam("htable", "htable", "i=>size=4;initval=3;")
modparam("htable", "htable", "e=>size=4;autoexpire=60;")
modparam("nats", "nats_url", "{url}")
modparam("nats", "num_publish_workers", 1)
modparam("nats", "subject_queue_group", "call:kamailio")

request_route {{ exit; }}

event_route[nats:call] {{
    $var(name) = "CALL_" + $natsData;
    route($var(name));
}}

{routes}
"""

ROUTE = """\
route[CALL_{number}] {{
{script}
nats_publish("answer", "{answer}");
{after}
}}
"""


def route(call: Call, number: int) -> str:
    """The route that makes a call and answers."""
    answer = SEPARATOR.decode().join([str(number), "$var(rc)", *call.shows])
    after = "\n".join(one.written() for one in call.after)
    return ROUTE.format(number=number, script=call.script(), answer=answer, after=after)


def natsroute_answers(script: Path, count: int) -> list[list[bytes]]:
    """What natsroute answers when it runs the same script."""
    cfg = read_cfg(str(script), {})
    expressions = EventExpressions(ConsumerVariables(service_variables(cfg)))
    answers: dict[bytes, list[bytes]] = {}

    def publish(subject: str, payload: bytes, *more: object) -> Deferred[None]:
        number, *rest = payload.split(SEPARATOR)
        answers[number] = rest
        return succeed(None)

    context = EventContext(publish, Clock(), RouteCounters("nats:call"), "kamailio", expressions=expressions)
    (event_route,) = compile_script(cfg).event_routes
    for number in range(count):
        ended = as_deferred(event_route.function(Event.of_message(context, Address("call", 1), b"%d" % number)))
        assert ended is None or ended.called, number
    return [answers[b"%d" % number] for number in range(count)]


#: Calls that log, and what is behind the level on the line.
LOGGING = (
    *(Call(name, (f"{name}: $rm $null $$ é\n",)) for name in ("xalert", "xbug", "xcrit", "xerr", "xwarn", "xnotice")),
    *(Call("xlog", (level, f"level {level}\n")) for level in ("L_ALERT", "L_BUG", "L_CRIT2", "L_CRIT", "L_ERR")),
    *(Call("xlog", (level, f"level {level}\n")) for level in ("L_WARN", "L_NOTICE", "L_INFO", "L_Illegible", "X_E")),
    Call("xlog", ("an error\n",)),
    Call("xlog", ("$var(level)", "from a variable\n"), (Assignment("$var(level)", 0),)),
    Call("xlog", ("$var(level)", "no number\n"), (Assignment("$var(level)", "L_INFO"),)),
    Call("xlog", ("LOG_LOCAL0", "L_WARN", "with a facility\n")),
    Call("xlogm", ("L_ERR", "never\n")),
    Call("xdbg", ("not shown\n",)),
    Call("xinfo", ("$(rm{s.tolower})\n",)),
    Call("log", (2, "not expanded: $rm\n")),
    Call("log", ("not shown\n",)),
)

#: The first words of Kamailio's lines.
LEVELS = {
    "ALERT": ("L_ALERT",),
    "BUG": ("L_BUG",),
    "CRITICAL": ("L_CRIT2", "L_CRIT"),
    "ERROR": ("L_ERR",),
    "WARNING": ("L_WARN",),
    "NOTICE": ("L_NOTICE",),
    "INFO": ("L_INFO",),
}
_LINE = re.compile(r" *[0-9]+\([0-9]+\) (\w+): (?:\{.*?\} )?<script>: (.*)")


def _different(calls: Sequence[Call], theirs: list[list[bytes]], ours: list[list[bytes]]) -> list[str]:
    """The calls with other answers, unless they are among the differences."""
    return [
        f"{call.script()}\n    Kamailio  {their}\n    natsroute {our}"
        for call, their, our in zip(calls, theirs, ours)
        if their != our and not any(may_differ(call) for may_differ in ALLOWED.values())
    ]


class FunctionTests(OneServerTestCase):
    """All calls of the tables."""

    def setUp(self) -> Deferred[Any]:
        if find("kamailio") is None:
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        return super().setUp()

    async def kamailio_answers(self, calls: Sequence[Call], debug: int = -1) -> tuple[Path, list[list[bytes]]]:
        """A script that makes all calls, and what Kamailio answers to each of them."""
        for seconds in START_TIMEOUTS:
            folder = Path(self.mktemp()).resolve()
            folder.mkdir(parents=True)
            reserved = reserve_udp_port()
            self.addCleanup(reserved.close)
            routes = "\n".join(route(call, number) for number, call in enumerate(calls))
            script = folder / "kamailio.cfg"
            probe = 'route[CALL_probe] { nats_publish("answer", "probe"); }\n'
            port = reserved.getsockname()[1]
            script.write_text(
                CONFIGURATION.format(port=port, url=self.url, routes=probe + routes, debug=debug), "utf-8"
            )
            command = [find("kamailio") or "kamailio", "-f", str(script), "-w", str(folder), "-Y", str(folder)]
            kamailio = self.kamailio = Program(self.reactor, [*command, "-DD", "-E", "-m", "64", "-M", "64"], folder)
            self.addCleanup(kamailio.stop)
            answers = await self._ask(kamailio, len(calls), seconds)
            if answers is not None:
                return script, answers
            if kamailio.status is not None:
                self.fail("\n".join(["Kamailio did not start; is its jansson module there?", *kamailio.lines[-40:]]))
            await kamailio.stop()
        raise AssertionError(f"of {len(START_TIMEOUTS)} Kamailios none was ready in {START_TIMEOUTS[-1]} s")

    async def _ask(self, kamailio: Program, count: int, seconds: float) -> list[list[bytes]] | None:
        event_route = EventRoutes()
        answers: dict[bytes, list[bytes]] = {}

        @event_route("nats:answer")
        def answered(event: Event) -> None:
            number, *rest = event.data.split(SEPARATOR)
            answers[number] = rest

        service = await self.connect_service(event_route, subject_queue_group="answer")
        give_up = self.reactor.seconds() + seconds

        def has_ended() -> bool:
            return kamailio.status is not None or any("exited by a signal" in line for line in kamailio.lines)

        def is_ready() -> bool:
            service.publish("call", "probe")
            return b"probe" in answers or has_ended() or self.reactor.seconds() > give_up

        await self.until(is_ready)
        if b"probe" not in answers:
            return None
        for number in range(count):
            service.publish("call", str(number))
        await self.until(lambda: len(answers) > count or has_ended(), timeout=TIMEOUT)
        missing = [number for number in range(count) if b"%d" % number not in answers]
        if missing:
            raise AssertionError(f"no answers to {missing[:20]}")
        return [answers[b"%d" % number] for number in range(count)]

    def test_allowed(self) -> None:
        """Each is listed."""
        self.assertLess(set(ALLOWED), {difference.name for difference in DIFFERENCES})

    async def compare(self, calls: Sequence[Call]) -> None:
        """Make calls in both, and compare the results and what the variables hold."""
        calls = [call.numbered(number) for number, call in enumerate(calls)]
        script, theirs = await self.kamailio_answers(calls)
        different = _different(calls, theirs, natsroute_answers(script, len(calls)))
        if different:
            self.fail("\n\n".join([f"{len(different)} of {len(calls)} differ:", *different]))

    async def test_table(self) -> None:
        """More than 2800 calls."""
        calls = [*all_calls(), *address_calls(), *avp_calls()]
        self.assertGreater(len(calls), 2800)
        await self.compare(calls)

    async def test_random(self) -> None:
        """More than 1000 random calls; NATSROUTE_JUDGE_SEED gives others."""
        calls = random_calls(100, SEED)
        self.assertGreater(len(calls), 1000)
        await self.compare(calls)

    async def test_log(self) -> None:
        """The same lines, with the same levels."""
        script, theirs = await self.kamailio_answers(LOGGING, debug=2)
        found = [match for match in map(_LINE.fullmatch, self.kamailio.lines) if match is not None]
        recorder = LogRecorder(self)
        self.assertEqual(_different(LOGGING, theirs, natsroute_answers(script, len(LOGGING))), [])
        lines = [(event["kamailio_level"], event["text"]) for event in recorder.events if "kamailio_level" in event]
        lines = [line for line in lines if line[0] != "L_DBG"]
        self.assertEqual([text for _, text in lines], [match[2] for match in found])
        self.assertGreater(len(lines), len(LOGGING) - 5)
        for (level, text), match in zip(lines, found):
            self.assertIn(level, LEVELS.get(match[1], ()), text)
