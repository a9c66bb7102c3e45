"""natsroute.kamailio.variables.surroundings"""

from __future__ import annotations

import os
import time
from functools import partial
from uuid import UUID, SafeUUID

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import ExpressionError
from natsroute.kamailio.evaluation import ServiceVariables
from natsroute.kamailio.expressions import compile_expression
from natsroute.kamailio.values import Value
from natsroute.kamailio.variables import surroundings
from tests.support.expressions import evaluate, make_evaluation

#: Saturday, 14 November 2026, 23:05:09 UTC.
MOMENT = 1794697509.25


def set_zone(zone: str | None) -> None:
    """Set the time zone of this process; None is that of the machine."""
    os.environ.pop("TZ", None)
    if zone is not None:
        os.environ["TZ"] = zone
    time.tzset()


class TimeTests(SynchronousTestCase):
    """Times, in a zone an hour ahead of UTC."""

    def setUp(self) -> None:
        before = os.environ.get("TZ")
        self.addCleanup(set_zone, before)
        set_zone("CET-1")
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.evaluation = make_evaluation(service=ServiceVariables(now=self.clock.seconds))

    def get(self, text: str) -> Value:
        return compile_expression(text).evaluate(self.evaluation)

    def check(self, *pairs: tuple[str, Value]) -> None:
        for text, expected in pairs:
            self.assertEqual(self.get(text), expected, text)

    def test_of_the_event(self) -> None:
        """They do not go on while the event is there."""
        pairs: tuple[tuple[str, Value], ...] = (
            ("$Ts", 1794697509),
            ("$TV(s)", 1794697509),
            ("$TV(u)", 250000),
            ("$Tf", b"Sun Nov 15 00:05:09 2026"),
            ("$(Tf{s.int})", 1794697509),
            ("$time(hour)", 0),
            ("$time(mday)", 15),
            ("$time(wday)", 1),
            ("$utime(hour)", 23),
            ("$utime(min)", 5),
            ("$utime(sec)", 9),
            ("$utime(mday)", 14),
            ("$utime(mon)", 11),
            ("$utime(year)", 2026),
            ("$utime(wday)", 7),
            ("$utime(yday)", 318),
            ("$utime(isdst)", 0),
            ("$timef(%Y-%m-%d %H:%M)", b"2026-11-15 00:05"),
            ("$utimef(%H:%M é)", "23:05 é".encode()),
            (f"$timef({'x' * 64})", None),
        )
        self.check(*pairs)
        self.clock.advance(3600)
        self.check(*pairs)

    def test_of_now(self) -> None:
        """They go on."""
        self.check(
            ("$TS", 1794697509), ("$TF", b"Sun Nov 15 00:05:09 2026"), ("$TV(sn)", 1794697509), ("$TV(un)", 250000)
        )
        self.clock.advance(1.5)
        self.check(
            ("$TV(un)", 250000),  # that belongs to the last $TV(sn)
            ("$TS", 1794697510),
            ("$TF", b"Sun Nov 15 00:05:10 2026"),
            ("$TV(Sn)", b"1794697510.750000"),
            ("$TV(Fn)", b"2026-11-15 00:05:10.750000"),
            ("$TV(sn)", 1794697510),
            ("$TV(un)", 750000),
        )

    def test_of_the_start(self) -> None:
        """When the service was started."""
        self.clock.advance(100)
        self.check(("$Tb", 1794697509))


class OtherTests(SynchronousTestCase):
    """Environment, definitions, process, chance."""

    def test_environment(self) -> None:
        """As text, and as a number with its text."""
        service = ServiceVariables(environment={"A": "12", "B": "x\udcff"})
        for text, expected in (
            ("$env(A)", b"12"),
            ("$env(B)", b"x\xff"),
            ("$env(C)", None),
            ("$envn(A)", 12),
            ("$envn(B)", 0),
            ("$(envn(B){s.len})", 2),
            ("$envn(C)", None),
        ):
            self.assertEqual(evaluate(text, service=service), expected, text)

    def test_real_environment(self) -> None:
        """If none is given, that of the process."""
        self.assertEqual(evaluate("$env(PATH)"), os.environ["PATH"].encode())

    def test_definitions(self) -> None:
        """As they are, as numbers, without and with quotes."""
        definitions = {b"Q": b'"a b"', b"S": b"'x'", b"N": b"42", b"W": b"word", b"E": b""}
        service = ServiceVariables(definitions=definitions)
        for text, expected in (
            ("$def(Q)", b'"a b"'),
            ("$def(E)", b""),
            ("$def(X)", None),
            ("$defn(N)", 42),
            ("$defn(W)", 0),
            ("$(defn(W){s.len})", 4),
            ("$defn(X)", 0),
            ("$defv(Q)", b"a b"),
            ("$defv(S)", b"x"),
            ("$defv(W)", b"word"),
            ("$defv(X)", None),
            ("$defs(Q)", b'"a b"'),
            ("$defs(N)", b'"42"'),
            ("$defs(E)", b""),
            ("$defs(X)", None),
        ):
            self.assertEqual(evaluate(text, service=service), expected, text)

    def test_process(self) -> None:
        """Its number, and that of the event."""
        self.assertEqual([evaluate("$pp"), evaluate("$mi")], [os.getpid(), 1])

    def test_random(self) -> None:
        """Whatever the service gives."""
        self.assertEqual(evaluate("$RANDOM", service=ServiceVariables(random_number=lambda: 4)), 4)


class UuidTests(SynchronousTestCase):
    """``$uuid``."""

    def test_kinds(self) -> None:
        for kind, version in (("g", 4), ("r", 4), ("t", 1)):
            found = [evaluate(f"$uuid({kind})") for _ in range(2)]
            self.assertNotEqual(found[0], found[1])
            for value in found:
                assert isinstance(value, bytes)
                self.assertEqual(UUID(value.decode()).version, version)
                self.assertEqual(value, value.lower())

    def test_safe(self) -> None:
        """It is null where the system does not promise that it is the only one."""
        made = UUID("a5e75cdc-ea1a-11f1-b117-02fc00000001")
        for safety, expected in {
            SafeUUID.safe: str(made).encode(),
            SafeUUID.unsafe: None,
            SafeUUID.unknown: None,
        }.items():
            self.patch(surroundings.uuid, "uuid1", partial(UUID, str(made), is_safe=safety))
            self.assertEqual(compile_expression("$uuid(s)").value(make_evaluation()), expected)

    def test_others(self) -> None:
        self.assertRaises(ExpressionError, compile_expression, "$uuid(x)")
        self.assertRaises(ExpressionError, compile_expression, "$uuid")
