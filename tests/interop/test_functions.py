"""The functions of a script: the same calls in the real Kamailio and in natsroute, with the same results."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SkipTest

from natsroute import Event, EventRoutes
from natsroute.kamailio.differences import DIFFERENCES
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression, compile_format
from natsroute.kamailio.tables import HashTable
from tests.support import functions
from tests.support.expressions import make_event
from tests.support.judge.calls import Assignment, Bare, Call, all_calls
from tests.support.kamailio import MAX_STARTS, REQUIRE, START_TIMEOUT, find, reserve_udp_port
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase

#: Calls that may differ, by the names that the differences have in :mod:`natsroute.kamailio.differences`.
ALLOWED: dict[str, Callable[[Call], bool]] = {
    "ignoring-case": lambda call: call.name == "fnmatch" and call.arguments[2:] == ("i",),
}

#: Seconds for all calls.
TIMEOUT = 120.0

#: Between the values of an answer.
SEPARATOR = b" |~| "

CONFIGURATION = """\
#!KAMAILIO
debug=-1
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


def natsroute_answer(call: Call) -> list[bytes]:
    """What natsroute answers: the result, and what is shown."""
    tables = {b"t": HashTable(), b"one": HashTable(), b"i": HashTable(initial=3), b"e": HashTable(expire=60)}
    evaluation = Evaluation(make_event(b"payload"), EventVariables(ConsumerVariables(ServiceVariables(tables=tables))))
    for one in call.before:
        if isinstance(one, Assignment):
            value = one.value.encode() if isinstance(one.value, str) else one.value
            compile_expression(one.variable).assign(evaluation, value)
        else:
            _made(evaluation, one)
    result = _made(evaluation, call)
    return [b"%d" % result, *(compile_format(text).evaluate(evaluation) for text in call.shows)]


def _made(evaluation: Evaluation, call: Call) -> int:
    arguments = [functions.Bare(one.text) if isinstance(one, Bare) else one for one in call.arguments]
    result = functions.call(evaluation, call.name, *arguments)
    evaluation.own.return_code = result
    return result


class FunctionTests(OneServerTestCase):
    """All calls of the table."""

    def setUp(self) -> Deferred[Any]:
        if find("kamailio") is None:
            if os.environ.get(REQUIRE) == "1":
                self.fail(f"kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        return super().setUp()

    async def kamailio_answers(self, calls: Sequence[Call]) -> list[list[bytes]]:
        """What Kamailio answers to each of these calls."""
        for _ in range(MAX_STARTS):
            folder = Path(self.mktemp()).resolve()
            folder.mkdir(parents=True)
            reserved = reserve_udp_port()
            self.addCleanup(reserved.close)
            routes = "\n".join(route(call, number) for number, call in enumerate(calls))
            script = folder / "kamailio.cfg"
            probe = 'route[CALL_probe] { nats_publish("answer", "probe"); }\n'
            script.write_text(
                CONFIGURATION.format(port=reserved.getsockname()[1], url=self.url, routes=probe + routes), "utf-8"
            )
            command = [find("kamailio") or "kamailio", "-f", str(script), "-w", str(folder), "-Y", str(folder)]
            kamailio = Program(self.reactor, [*command, "-DD", "-E", "-m", "64", "-M", "64"], folder)
            self.addCleanup(kamailio.stop)
            answers = await self._ask(kamailio, len(calls))
            if answers is not None:
                return answers
            if kamailio.status is not None:
                self.fail("\n".join(["Kamailio did not start; is its jansson module there?", *kamailio.lines[-40:]]))
            await kamailio.stop()
        raise AssertionError(f"of {MAX_STARTS} Kamailios none was ready in {START_TIMEOUT} s")

    async def _ask(self, kamailio: Program, count: int) -> list[list[bytes]] | None:
        event_route = EventRoutes()
        answers: dict[bytes, list[bytes]] = {}

        @event_route("nats:answer")
        def answered(event: Event) -> None:
            number, *rest = event.data.split(SEPARATOR)
            answers[number] = rest

        service = await self.connect_service(event_route, subject_queue_group="answer")
        give_up = self.reactor.seconds() + START_TIMEOUT

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

    async def test_table(self) -> None:
        """More than 1000 calls give the same result, and leave the same in the variables."""
        calls = all_calls()
        self.assertGreater(len(calls), 1000)
        theirs = await self.kamailio_answers(calls)
        different = [
            f"{call.script()}\n    Kamailio  {their}\n    natsroute {our}"
            for call, their, our in zip(calls, theirs, map(natsroute_answer, calls))
            if their != our and not any(may_differ(call) for may_differ in ALLOWED.values())
        ]
        if different:
            self.fail("\n\n".join([f"{len(different)} of {len(calls)} differ:", *different]))
