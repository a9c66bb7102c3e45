"""benchmarks.guard, without measuring"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import guard
from benchmarks.run.results import Series
from benchmarks.run.rounds import Selection

CASES = [f"{scenario}, {traffic}" for scenario in ("consume", "relay", "publish") for traffic in ("uniform", "mixed")]


class GuardTests(SynchronousTestCase):
    """
    It measures rates that the test gives.

    :ivar rates: by peer; a list of them: one after the other.
    :ivar rounds: of each measurement.
    """

    def setUp(self) -> None:
        self.rates: dict[str, float | list[float]] = {"natsroute": 600.0, "natsroute-pure": 400.0, "nats-py": 100.0}
        self.rounds: list[int] = []
        self.implementation = "compiled"
        self.file = Path(self.mktemp())
        self.keep({"pure": dict.fromkeys(CASES, 4.0), "compiled": dict.fromkeys(CASES, 6.0)})
        self.patch(guard, "FILE", self.file)
        self.patch(guard, "NatsServer", nullcontext)
        self.patch(guard, "run", self.run_)
        self.patch(guard, "print_progress", lambda text: None)
        self.patch(guard, "implementation", lambda: self.implementation)
        self.patch(os, "environ", {name: value for name, value in os.environ.items() if name != "CI"})

    def keep(self, ratios: Mapping[str, Mapping[str, float]]) -> None:
        self.file.write_text(json.dumps({"about": {}, "ratios": ratios}))

    def run_(self, server: object, selection: Selection) -> Iterator[Series]:
        ((scenario, found),) = selection.scenarios.items()
        self.rounds.append(selection.rounds)
        for peer in selection.peers:
            rate = self.rates[peer]
            number = rate.pop(0) if isinstance(rate, list) else rate
            yield Series(scenario, selection.traffic[0], 0, peer, {found.measures[0].name: [number]})

    def guard(self, *words: str) -> tuple[int, str]:
        with redirect_stdout(StringIO()) as printed:
            code = guard.main(words)
        return code, printed.getvalue()

    def test_fine(self) -> None:
        """As fast as before, with both hot paths, in one measurement of each case."""
        code, printed = self.guard()
        self.assertEqual((code, len(printed.splitlines()), printed.count(": fine")), (0, 12, 12))
        self.assertIn("compiled, relay, mixed: natsroute / nats-py 6.00, before 6.00: fine", printed)
        self.assertEqual(self.rounds, [5] * 6)

    def test_slower(self) -> None:
        """One hot path alone that is slower is enough. Each of its cases is measured twice more, with more rounds."""
        self.rates["natsroute"] = 449.0
        code, printed = self.guard()
        self.assertEqual((code, printed.count(": fine"), printed.count(": SLOWER")), (1, 6, 6))
        self.assertIn("compiled, consume, uniform: natsroute / nats-py 4.49, before 6.00: SLOWER", printed)
        self.assertEqual(self.rounds, [5] * 6 + [9] * 12)

    def test_disturbed_once(self) -> None:
        """The second measurement counts, and is one of the slow case only."""
        self.rates["natsroute-pure"] = [400.0, 200.0, *[400.0] * 5]
        self.assertEqual(self.guard()[0], 0)
        self.assertEqual(self.rounds, [5] * 6 + [9])

    def test_disturbed_twice(self) -> None:
        """The third measurement counts."""
        self.rates["natsroute-pure"] = [400.0, 200.0, *[400.0] * 4, 200.0, 400.0]
        self.assertEqual(self.guard()[0], 0)
        self.assertEqual(self.rounds, [5] * 6 + [9, 9])

    def test_without_the_compiled_hot_path(self) -> None:
        """Pure Python is guarded alone, and the output says so. In CI, that fails before anything is measured."""
        self.implementation = "pure"
        code, printed = self.guard()
        self.assertEqual((code, printed.count("pure, "), printed.count("compiled, ")), (0, 6, 0))
        self.assertTrue(printed.startswith("the compiled hot path is not installed, so it is not guarded\n"))
        os.environ["CI"] = "true"
        with self.assertRaisesRegex(SystemExit, "CI has to install it"):
            self.guard()
        self.assertEqual(self.rounds, [5] * 6)

    def test_update(self) -> None:
        """The file gets what was measured; ratios of a hot path that is not there stay."""
        self.implementation = "pure"
        self.rates["natsroute-pure"] = 432.1
        self.guard("--update")
        self.assertEqual(self.rounds, [9] * 6)
        kept = json.loads(self.file.read_text())["ratios"]
        self.assertEqual(kept, {"pure": dict.fromkeys(CASES, 4.32), "compiled": dict.fromkeys(CASES, 6.0)})

    def test_no_round_counts(self) -> None:
        def fail(server: object, selection: Selection) -> Iterator[Series]:
            for peer in selection.peers:
                yield Series("consume", "uniform", 0, peer, problems=["round 1: lost"])

        self.patch(guard, "run", fail)
        with self.assertRaisesRegex(SystemExit, "consume, uniform: no round counts: .*lost"):
            self.guard()

    def test_file(self) -> None:
        """The file in the repository has all cases of both hot paths."""
        kept = json.loads(Path(guard.__file__).with_suffix(".json").read_text())["ratios"]
        self.assertEqual({path: list(cases) for path, cases in kept.items()}, {"pure": CASES, "compiled": CASES})
