"""Pseudo-variables and transformations: what the real Kamailio gives, and what natsroute gives, value by value."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from natsroute.errors import ExpressionError
from natsroute.kamailio.differences import DIFFERENCES
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.tables import HashTable
from natsroute.ledger import RouteCounters
from natsroute.routes.event import Event, EventContext
from natsroute.wire.frames import Address
from tests.support.judge import DEFINITIONS, TIMEOUT, Assignments, JudgeTestCase, Value
from tests.support.judge.allowed import ALLOWED, difference
from tests.support.judge.chance import RANDOM_EXPRESSIONS, RANDOM_PAYLOADS, draw
from tests.support.judge.table import ASSIGNMENTS, EXPRESSIONS, PAYLOADS

#: Another seed for the random part of the table.
SEED = int(os.environ.get("NATSROUTE_JUDGE_SEED", "1"))

#: A difference is shown up to this often when a test fails.
_SHOWN = 20


#: Two that look at a value as a whole: a difference is easily seen there.
_WHOLE = ("$natsData", "$(natsData{s.len})", "$(natsData{s.md5})", "$(natsData{s.encode.hexa})", "$(natsData{s.trim})")


def service_variables(**more: Any) -> ServiceVariables:
    """What ``judge.cfg`` sets up, here."""
    tables = {b"seen": HashTable(), b"counts": HashTable(initial=0)}
    service = ServiceVariables(tables=tables, definitions=DEFINITIONS, **more)
    service.shared[b"ready"] = 7
    return service


def natsroute_values(
    payload: bytes, expressions: Sequence[str], assignments: Assignments = (), service: ServiceVariables | None = None
) -> list[Value]:
    """What natsroute gives for each expression; None for one that it cannot compile too, as Kamailio does."""
    context = EventContext(_publish, Clock(), RouteCounters("nats:judge"), "kamailio")
    event = Event.of_message(context, Address("judge", 1), payload)
    evaluation = Evaluation(event, EventVariables(ConsumerVariables(service or service_variables())))
    for variable, value in assignments:
        compile_expression(variable).assign(evaluation, value)
    found: list[Value] = []
    for text in expressions:
        try:
            found.append(compile_expression(text).value(evaluation))
        except ExpressionError:
            found.append(None)
    return found


def _publish(*arguments: object, **named: object) -> Deferred[None]:
    raise AssertionError("nothing publishes here")


def same(theirs: Value, ours: Value) -> bool:
    """Equal, and both integers or both strings."""
    return theirs == ours and isinstance(theirs, int) == isinstance(ours, int)


class TableTests(JudgeTestCase):
    """The table of payloads and expressions."""

    async def test_table(self) -> None:
        """
        At least 60 payloads and 250 expressions, a part of both random, give the same values in both.

        The differences that are allowed are documented, and each of them is met.
        """
        payloads = list(dict.fromkeys((*PAYLOADS, *draw(RANDOM_PAYLOADS, 60, SEED))))
        expressions = list(dict.fromkeys((*EXPRESSIONS, *draw(RANDOM_EXPRESSIONS, 150, SEED))))
        self.assertGreaterEqual(len(payloads), 60)
        self.assertGreaterEqual(len(expressions), 250)
        judge = await self.start_judge()
        answers = await judge.ask(payloads, expressions, ASSIGNMENTS)
        met = self.compare(payloads, expressions, answers)
        values = len(payloads) * len(expressions)
        print(f"{len(payloads)} payloads, {len(expressions)} expressions, {values} values; as documented: {dict(met)}")
        self.assertEqual(set(ALLOWED) - {found.name for found in DIFFERENCES}, set())
        self.assertEqual(set(ALLOWED) - set(met), {"large-values"})  # for these there is a test below

    def compare(
        self, payloads: Sequence[bytes], expressions: Sequence[str], answers: Sequence[Sequence[Value]]
    ) -> Counter[str]:
        """Fail for each value that differs and may not; count those that may, by the name of the difference."""
        allowed: Counter[str] = Counter()
        wrong: list[str] = []
        for payload, theirs_all in zip(payloads, answers, strict=True):
            ours_all = natsroute_values(payload, expressions, ASSIGNMENTS)
            for expression, theirs, ours in zip(expressions, theirs_all, ours_all, strict=True):
                if same(theirs, ours):
                    continue
                name = difference(payload, expression, theirs, ours)
                if name is None:
                    wrong.append(f"{expression} of {payload!r}: {theirs!r} in Kamailio, {ours!r} here")
                else:
                    allowed[name] += 1
        if wrong:
            self.fail("\n".join([f"{len(wrong)} values differ (seed {SEED}):", *wrong[:_SHOWN]]))
        return allowed


class OtherValueTests(JudgeTestCase):
    """What does not fit into the table."""

    async def test_nul_bytes(self) -> None:
        """Kamailio sees what is before the first NUL byte; natsroute sees all."""
        judge = await self.start_judge()
        payload = b"before\0behind"
        (theirs,) = await judge.ask([payload], _WHOLE)
        self.assertEqual(theirs, natsroute_values(b"before", _WHOLE))
        self.assertEqual(natsroute_values(payload, _WHOLE)[:2], [payload, len(payload)])

    async def test_large_values(self) -> None:
        """Kamailio transforms up to 64 KiB and formats up to 8 KiB; natsroute has no such limits."""
        judge = await self.start_judge()
        expressions = ["$(natsData{s.len})", "$(natsData{s.tolower}{s.len})", "$(_s($natsData){s.len})"]
        payloads = [b"A" * size for size in (8_191, 8_192, 65_535, 65_536)]
        theirs = await judge.ask(payloads, expressions)
        self.assertEqual(theirs, [[8191] * 3, [8192] * 2 + [None], [65535] * 2 + [None], [65536, None, None]])
        for payload in payloads:
            self.assertEqual(natsroute_values(payload, expressions), [len(payload)] * 3)

    async def test_time(self) -> None:
        """All that shows the time of an event shows the same time, in the same form."""
        judge = await self.start_judge()
        fields = ("sec", "min", "hour", "mday", "mon", "year", "wday", "yday", "isdst")
        expressions = ["$Ts", "$TV(s)", "$Tf", *(f"${kind}({field})" for kind in ("time", "utime") for field in fields)]
        expressions += [f"${kind}(%Y-%m-%d %H:%M:%S %a %b %j)" for kind in ("timef", "utimef")]
        expressions += ["$timef(no time)", f"$timef({'x' * 64})", "$(Tf{s.int})"]
        (theirs,) = await judge.ask([b""], expressions)
        moment = theirs[0]
        assert isinstance(moment, int)
        self.assertLess(abs(moment - time.time()), TIMEOUT)
        service = service_variables(now=lambda: moment)
        self.assertEqual(theirs, natsroute_values(b"", expressions, service=service))

    async def test_clock(self) -> None:
        """What shows the present shows it in the same form."""
        judge = await self.start_judge()
        expressions = ["$TS", "$TV(sn)", "$TV(un)", "$TV(Sn)", "$TV(Fn)", "$TF", "$Tb", "$TV(u)", "$pp", "$mi"]
        (theirs,) = await judge.ask([b""], expressions)
        ours = natsroute_values(b"", expressions)
        for expression, their, our in zip(expressions, theirs, ours, strict=True):
            self.assertEqual(_form(their), _form(our), expression)


def _form(value: Value) -> object:
    """The type of a value, and where there are digits and letters in it."""
    if isinstance(value, bytes):
        return re.sub(rb"[A-Za-z]", b"x", re.sub(rb"[0-9]", b"0", value))
    return type(value)
