"""natsroute.kamailio.script.compiler"""

from __future__ import annotations

import time

from natsroute.kamailio.cfg.document import Block, KamailioCfg
from natsroute.kamailio.script.compiler import CompiledScript, compile_script
from natsroute.testing import RouteTester
from tests.support.scripts import PATH, ScriptTestCase, block


class CompilerTests(ScriptTestCase):
    """Which blocks are compiled, and to what."""

    def compiled(self, *blocks: Block) -> CompiledScript:
        """These blocks, compiled."""
        return compile_script(KamailioCfg(PATH, blocks=blocks), self.functions)

    def test_event_routes(self) -> None:
        script = self.compiled(
            block("event_route", "nats:a", "show(1);"),
            block("event_route", "nats:b.*", "show(2);", 5),
            block("event_route", "nats:connected", "show(3);", 9),
        )
        self.assertEqual([route.name for route in script.event_routes], ["nats:a", "nats:b.*", "nats:connected"])
        self.assertEqual(
            {name: position.line for name, position in script.positions.items()},
            {"nats:a": 1, "nats:b.*": 5, "nats:connected": 9},
        )
        tester = RouteTester(script.event_routes)
        for call in (tester.deliver("a"), tester.deliver("b.c"), tester.connected()):
            self.successResultOf(call)
        self.assertEqual(self.shown, [1, 2, 3])

    def test_connection_events(self) -> None:
        """They have no payload."""
        script = self.compiled(block("event_route", "nats:disconnected", "show($natsData);"))
        self.successResultOf(RouteTester(script.event_routes).disconnected())
        self.assertEqual(self.shown, [None])

    def test_passed_over(self) -> None:
        """What no event route reaches is not even parsed."""
        script = self.compiled(
            block("request_route", "", "this is not ; parsed", 1),
            block("route", "SIP", "t_relay(", 3),
            block("route", "USED", "show(1);", 5),
            block("event_route", "xhttp:request", '"', 7),
            block("event_route", "nats:a", "route(USED);", 9),
            block("failure_route", "F", "%", 11),
        )
        self.assertEqual(
            script.passed_over, ("request_route", "event_route[xhttp:request]", "failure_route[F]", "route[SIP]")
        )

    def test_nothing_for_nats(self) -> None:
        """Lark is not needed then."""
        script = self.compiled(block("request_route", "", "t_relay();"))
        self.assertEqual((len(script.event_routes), script.passed_over), (0, ("request_route",)))

    def test_dynamic_calls(self) -> None:
        """A name in a variable can be that of any route; those that cannot run are an error when they are called."""
        script = self.compiled(
            block("route", "GOOD", "show(1);", 1),
            block("route", "BAD", "t_relay();", 3),
            block("route", "WORSE", "(", 5),
            block("event_route", "nats:a", "route($natsData); show(2);", 9),
        )
        self.assertEqual(script.passed_over, ("route[BAD]", "route[WORSE]"))
        tester = RouteTester(script.event_routes)
        for name in ("GOOD", "BAD", "WORSE", "NONE"):
            self.successResultOf(tester.deliver("a", name))
        self.assertEqual(self.shown, [1, 2, 2, 2, 2])

    def test_twice(self) -> None:
        for kind, name in (("event_route", "nats:a"), ("route", "A")):
            with self.assertRaisesRegex(ValueError, rf"cfg:4:1: a second {kind}\[{name}\]; the first is at .*:1:1"):
                self.compiled(block(kind, name, ""), block(kind, name, "", 4))

    def test_name(self) -> None:
        with self.assertRaisesRegex(ValueError, "cfg:1:1: .*nats:a b"):
            self.compiled(block("event_route", "nats:a b", ""))

    def test_name_of_the_function(self) -> None:
        """It is seen in the log of errors."""
        (route,) = self.compiled(block("event_route", "nats:a", "")).event_routes
        self.assertEqual(route.function.__qualname__, "event_route[nats:a]")

    def test_variables_of_a_consumer(self) -> None:
        """``$var`` keeps its value from message to message, ``$avp`` does not."""
        text = "$var(n) = $var(n) + 1; $avp(n) = $avp(n) + 1; show($var(n)); show($avp(n));"
        self.assertEqual(self.run_script(text, times=2), [1, b"1", 2, b"1"])

    def test_long_script(self) -> None:
        """10,000 lines are compiled in seconds."""
        text = 'if ($var(x) == 1 + 2) { $var(y) = "a" + $var(z); }\n' * 10_000
        began = time.process_time()
        self.assertEqual(self.run_script(text + "show(1);"), [1])
        self.assertLess(time.process_time() - began, 60)

    def test_nested_as_deep_as_can_be(self) -> None:
        """It is compiled and runs, also in routes that call themselves, without an error of Python."""
        deep = "if ($var(i) == 0) { " * 90 + "show(1);" + " }" * 90
        self.assertEqual(self.run_script(deep), [1])
        deep = "$var(x) = " + "-" * 95 + "$var(y); show(1);"
        self.assertEqual(self.run_script(deep), [1])
        deep = (
            "$var(n) = $var(n) + 1; if ($var(n) < 1000) "
            + "{ if (1) " * 45
            + "route(A);"
            + " }" * 45
            + " show($var(n));"
        )
        shown = self.run_script("route(A);", routes={"A": deep})
        self.assertGreater(len(shown), 0)
