"""The differential fuzzer: it finds each fault of an implementation, and makes the scenario small that shows it"""

from __future__ import annotations

import gc
import inspect
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import hot
from natsroute.client.subscription import Subscription
from natsroute.hot import pure, pure_reader
from natsroute.publishing import batches, outcomes
from natsroute.publishing.outlet import Outlet
from tests.fuzz import differential
from tests.fuzz.compared import SCENARIOS, steps_of, transcript_of
from tests.fuzz.differential import BATCH, Comparison, Performer, fuzz
from tests.support.hot_case import COMPILED
from tests.support.waiting import TIMEOUT

#: Scenarios that must suffice to find a fault.
_ENOUGH = 4000
#: Steps of those that are tried: the others take long.
_SHORT = 100

#: Faults: a function, a piece of its source, and what stands there instead.
_READER = [
    ("deliver", "if repeated and startswith(repeated, stop):", "if repeated and stop + len(repeated) <= length:"),
    ("deliver", "if not startswith(b\"\\r\\n\", stop):", "if False:"),
    ("deliver", "self.wanted = stop + 2 - position", "self.wanted = stop + 3 - position"),
    ("deliver", "msg.data = buffer[body:stop]", "msg.data = buffer[start:stop]"),
    ("deliver", "buffer[start:body] if header_size else", "buffer[start:body] if header_size > 40 else"),
    ("deliver", "msg.reply_to = reply_to", "msg.reply_to = None"),
    ("deliver", "receive = receivers[sid]", "receive = receivers.get(sid, lambda msg: None)"),
    ("deliver", "position = stop + 2\n", "position = stop + 2 if following else position + 1\n"),
    ("_look_up_parts", "_TAB not in reply_to", "True"),
    ("_look_up_parts", "or _SPACE in subject or _TAB in subject:", "or _SPACE in subject:"),
    ("_look_up_parts", "if operation not in _MESSAGES or", "if"),
    ("_look_up_parts", "if header_size > size:", "if False:"),
    ("_look_up_parts", "if _SPACE in subject or _TAB in subject:", "if False:"),
    ("_look_up_parts", "\"surrogateescape\"", "\"replace\""),
    ("_look_up_parts", "_put(addresses, name, address, _MAX_CACHED_PARTS)", "_put(addresses, prefix, address, _MAX_CACHED_PARTS)"),  # noqa: E501
    ("learn", "or size > self._max_payload", ""),
    ("learn", "_put(self._sids, words[2], address.sid, _MAX_CACHED_PARTS)", "_put(self._sids, words[2].lstrip(b'0'), address.sid + 1, _MAX_CACHED_PARTS)"),  # noqa: E501
    ("learn", "if not has_reply:", "if True:"),
]  # fmt: skip
_GATE = [
    ("deliver", "self.received += 1", "self.received += 1 + (self.received == 7)"),
    ("deliver", "if not self.is_direct and self._took(msg):", "if False:"),
    ("deliver", "counters.routed += 1", "pass"),
    ("deliver", "counters.succeeded += 1", "pass"),
    ("deliver", "except BaseException:  # whatever", "except Exception:  # whatever"),
    ("deliver", "way.raised(msg)", "pass"),
    ("deliver", "busy = way.returned(msg, result)", "return way.returned(msg, result)"),
    ("deliver", "result = way.function(msg)", "result = way.call(msg)"),
    ("hand", "counters.routed += 1", "pass"),
    ("hand", "counters.succeeded += 1", "pass"),
    ("hand", "except BaseException:\n        way.raised", "except Exception:\n        way.raised"),
    ("hand", "return way.returned(msg, result)", "way.returned(msg, result)"),
    ("hand", "msg.context = way.context", "msg.context = None"),
]
_SENDER = [
    ("publish", "and not options", ""),
    ("publish", "and get_ident() == self.plain_thread", ""),
    ("publish", "get_ident() == self.plain_thread", "self.plain_thread"),
    ("publish", "if reply is None:", "if True:"),
    ("publish", "if not tray.takes_headers:", "if False:"),
    ("publish", "except Exception:  # the other way", "except ValueError:  # the other way"),
    ("publish", "and (tray := target.tray).is_open", "and (tray := target.tray)"),
    ("publish", "size <= tray.max_payload", "True"),
    ("publish", "messages <= tray.batch_ends_at", "True"),
    ("publish", "held <= tray.high_water_bytes", "True"),
    ("publish", "tray.messages = messages", "pass"),
    ("publish", "tray.bytes = held", "tray.bytes = held - 1"),
    ("publish", "tray.confirmations.append(confirmation)", "tray.confirmations.insert(0, confirmation)"),
    ("publish", "confirmation = self.confirmation_type()", "confirmation = type(self.confirmation_type())()\n            confirmation.has_callbacks = True"),  # noqa: E501
]  # fmt: skip


def _broken(function: Any, old: str, new: str, names: dict[str, Any]) -> Any:
    """A function with a part of its source replaced."""
    source = dedent(inspect.getsource(function))
    assert source.count(old) >= 1, f"{function.__qualname__} has no {old!r}"
    changed = {**names}
    exec("from __future__ import annotations\n" + source.replace(old, new), changed)
    return changed[function.__name__]


class FindingTests(SynchronousTestCase):
    """Each scenario finds the faults of its part. So the scenarios reach what they are to compare."""

    right: dict[tuple[str, int], Any] = {}

    def setUp(self) -> None:
        self.not_found: list[object] = []
        self.addCleanup(lambda: self.assertEqual(self.not_found, []))
        gc.collect()
        gc.freeze()  # so that the collection after each scenario is quick
        self.addCleanup(gc.unfreeze)
        self.addCleanup(self.flush_errors)

    def flush_errors(self) -> None:
        """Also those of Deferreds that a broken implementation has left behind: later they would be another test's."""
        gc.collect()
        self.flushLoggedErrors()

    def steps_and_transcript(self, scenario: str, seed: int) -> tuple[list[Any], list[str]]:
        if (scenario, seed) not in self.right:
            steps = steps_of(scenario, seed)
            self.right[scenario, seed] = steps, transcript_of(scenario, steps) if len(steps) <= _SHORT else []
        return self.right[scenario, seed]

    def find(self, scenario: str, owner: Any, name: str, replacement: Any, fault: object) -> None:
        for seed in range(_ENOUGH):
            steps, right = self.steps_and_transcript(scenario, seed)
            if len(steps) > _SHORT:
                continue
            patch = self.patch(owner, name, replacement)
            try:
                if transcript_of(scenario, steps) != right:
                    return
            except BaseException:  # a broken implementation may do anything
                return
            finally:
                patch.restore()
                self.flushLoggedErrors()
        self.not_found.append(fault)

    def test_reader(self) -> None:
        for name, old, new in _READER:
            method = _broken(getattr(pure.Reader, name), old, new, vars(pure_reader))
            reader = type("Broken", (pure.Reader,), {"__slots__": (), name: method})
            self.find("streams", hot, "Reader", reader, (name, old, new))

    def test_gate(self) -> None:
        for name, old, new in _GATE:
            method = _broken(getattr(pure.Gate, name), old, new, vars(pure))
            self.find("consuming", Subscription, name, method, (name, old, new))

    def test_sender(self) -> None:
        for name, old, new in _SENDER:
            method = _broken(getattr(pure.Sender, name), old, new, vars(pure))
            self.find("publishing", Outlet, name, method, (name, old, new))

    def test_confirming(self) -> None:
        for old, new in [
            ("confirmation.called = True", "pass"),
            ("confirmation.result = None", "confirmation.result = 0"),
            ("if confirmation.has_callbacks:", "if False:"),
        ]:
            function = _broken(pure.confirm_all, old, new, vars(pure))
            self.find("publishing", outcomes, "confirm_all", function, (old, new))
        for old, new in [
            (" > _ONLY_IN_LIST", " > 1000"),
            ("or confirmation.has_callbacks", ""),
        ]:
            function = _broken(pure.drop_abandoned, old, new, vars(pure))
            self.find("publishing", batches, "drop_abandoned", function, (old, new))

    def test_target(self) -> None:
        class Target(pure.Target):
            __slots__ = ()

            def __init__(self, name: bytes, tray: Any) -> None:
                super().__init__(name, tray)
                self.template = b"PUB %b %%d\r\n%%b\r\n" % name.replace(b"%", b"!")

        self.find("publishing", sys.modules[Outlet.__module__], "Target", Target, "a template with %")


class RepeatabilityTests(SynchronousTestCase):
    """A scenario depends on its seed alone."""

    def test_twice(self) -> None:
        for name in SCENARIOS:
            for seed in range(20):
                steps = steps_of(name, seed)
                self.assertEqual(steps, steps_of(name, seed))
                self.assertEqual(transcript_of(name, steps), transcript_of(name, steps), f"{name} {seed}")
        self.flushLoggedErrors()


#: A performer whose implementation has a fault.
_PROGRAM = """
import sys
from natsroute.client.subscription import Subscription
from tests.fuzz import performer

deliver = Subscription.deliver

def broken(self, msg):
    if msg.data == b"value / zero" or msg.header_block and msg.subject == "a.c":
        {fault}
    deliver(self, msg)

Subscription.deliver = broken
performer.main()
"""


class ComparisonTests(SynchronousTestCase):
    """Two processes."""

    def setUp(self) -> None:
        # Each crash starts a process, and the machine may be busy.
        self.patch(differential, "MAX_SEARCH", TIMEOUT)

    def comparison(self, fault: str | None = None, implementation: str = "pure") -> Comparison:
        command = [sys.executable, "-m", "tests.fuzz.performer"]
        if fault is not None:
            program = Path(self.mktemp()).absolute()
            program.write_text(_PROGRAM.format(fault=fault), encoding="utf-8")
            command = [sys.executable, "-c", f"exec(open({str(program)!r}).read())"]
        performers = Performer("pure"), Performer(implementation, command)
        for performer in performers:
            self.addCleanup(performer.close)
        return Comparison(*performers)

    def test_no_difference(self) -> None:
        comparison = self.comparison()
        self.assertIs(fuzz(comparison, list(SCENARIOS), 0, None, 3 * BATCH), None)
        self.assertEqual(comparison.scenarios, 3 * BATCH)
        self.assertGreater(comparison.steps, 10 * comparison.scenarios)

    def test_compiled(self) -> None:
        """A few seconds of what CI does for a minute."""
        if COMPILED is None:
            self.skipTest("the hot path is not compiled")
        comparison = self.comparison(implementation="compiled")
        difference = fuzz(comparison, list(SCENARIOS), 1, None, 12 * BATCH)
        self.assertIs(difference, None, difference)

    def test_difference(self) -> None:
        """It is made small, and the command that is printed repeats it."""
        comparison = self.comparison("self.received += 1")
        difference = fuzz(comparison, ["consuming"], 0, None, 100 * BATCH)
        assert difference is not None
        self.assertEqual(len(difference.kept), 1, difference)
        again = comparison.difference(difference.name, difference.seed, difference.kept)
        self.assertEqual(again, difference)
        text = str(difference)
        self.assertIn(f"--scenarios consuming --seed {difference.seed} --steps {difference.kept[0]}", text)
        self.assertIn("('feed', ", text)
        self.assertRegex(text, r"(?m)^\+\d+ 0 0 ")

    def test_crash(self) -> None:
        """It counts as a difference, and the process is started again."""
        comparison = self.comparison("import os; os.kill(os.getpid(), 11)")
        difference = fuzz(comparison, ["consuming"], 0, None, 100 * BATCH)
        assert difference is not None
        self.assertEqual(difference.transcripts[1], ["the process ended with exit code -11"])
        self.assertEqual(len(difference.kept), 1, difference)

    def test_an_error_of_both(self) -> None:
        """An error of the scenario itself is not taken for sameness."""
        comparison = self.comparison()
        [answer], _ = comparison._ask(name="nothing", seed=1, kept=None)
        self.assertIn("KeyError", answer)
        self.assertIn("with the pure hot path", answer)
