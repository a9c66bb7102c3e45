"""The benchmarks' traffic and reports. These tests measure nothing."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock, skipUnless

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import in_process
from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load import hot_path
from benchmarks.load.job import Job
from benchmarks.load.traffic import MEAN_MIXED_SIZE, SUBJECTS, delivered_size, delivery, messages
from benchmarks.peers import OURS, PURE_OURS, raw_peer
from benchmarks.peers.kamailio_script import write
from benchmarks.report import charts
from benchmarks.report.goals import verdicts
from benchmarks.report.markdown import goals, markdown, problems
from benchmarks.report.page import figures
from benchmarks.run import child
from benchmarks.run.processors import Processors, bound_to
from benchmarks.run.results import FOLDER, Results, Series
from benchmarks.run.scenario import GOAL_SIZE
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.script.compiler import compile_script
from natsroute.testing import RouteTester
from natsroute.wire.frames import Msg
from natsroute.wire.parser import Parser
from tests.support import ROOT
from tests.support.waiting import TIMEOUT

JOB = Job("consume", "nats://127.0.0.1:4222", count=200, size=128)
_COMMENT = re.compile("<!-- (.*) -->")
MIXED = replace(JOB, traffic="mixed", subjects=1_000)


def results(**rates: float) -> Results:
    """Results of ``consume`` with uniform traffic: one round of each peer."""
    named = {name.replace("_", "-"): rate for name, rate in rates.items()}
    found = Results({"machine": "none"}, dict.fromkeys(named, "a peer"))
    for peer, rate in named.items():
        found.series.append(Series("consume", "uniform", GOAL_SIZE, peer, {"consumed": [rate]}))
    return found


class TrafficTests(SynchronousTestCase):
    """The messages of :mod:`benchmarks.load.traffic`."""

    def test_same_in_each_run(self) -> None:
        """Each peer gets the same messages; another first number gives others."""
        self.assertEqual(list(messages(MIXED)), list(messages(MIXED)))
        self.assertNotEqual(list(messages(MIXED)), list(messages(replace(MIXED, first=200))))

    def test_mixed(self) -> None:
        """Sizes are about the mean that bounds a run, reply subjects differ, and every fifth message has headers."""
        found = list(messages(MIXED))
        mean = sum(len(message.payload) for message in found) / len(found)
        self.assertTrue(0.8 < mean / MEAN_MIXED_SIZE < 1.2, mean)
        self.assertEqual(len({message.reply for message in found}), len(found))
        self.assertEqual([number for number, message in enumerate(found) if message.headers], list(range(0, 200, 5)))

    def test_delivered_size(self) -> None:
        """The size by which the raw peer knows that it has everything is that of what a server sends."""
        for message in [*messages(JOB), *messages(MIXED)]:
            delivered = delivery(message)
            self.assertEqual(len(delivered), delivered_size(message))
            (frame,) = Parser().feed(delivered)
            assert isinstance(frame, Msg)
            self.assertEqual((frame.subject, frame.data), (message.subject, message.payload))


class ResultsTests(SynchronousTestCase):
    """Results, and what is written about them."""

    def test_file(self) -> None:
        """What is written to a folder is read from it."""
        with TemporaryDirectory() as folder:
            found = results(natsroute=400.0, nats_py=100.0)
            found.write(Path(folder, "new"))
            self.assertEqual(Results.read(Path(folder, "new")), found)

    def test_goals(self) -> None:
        """A ratio at its limit reaches the goal; without the other peer there is no verdict."""
        found = results(natsroute=600.0, nats_py=100.0, kamailio=401.0, raw=700.0)
        found.hot_path = "compiled"
        words = {
            (one.text.partition("/ ")[2], one.limit): (one.word, one.why)
            for one in verdicts(found)
            if one.hot_path == "compiled"
        }
        self.assertEqual(
            words,
            {
                ("nats-py", "≥ 6"): ("reached", ""),
                ("kamailio", "≥ 1.5"): ("missed", ""),
                ("raw", "≥ 0.85"): ("reached", ""),
                ("libnats", "≥ 1.1"): ("not measured", "libnats: it was left out"),
            },
        )

    def test_goals_of_both_hot_paths(self) -> None:
        """Those of the compiled one are never missed by natsroute without it; those of pure Python have their peer."""
        found = results(natsroute=500.0, natsroute_pure=440.0, nats_py=100.0)
        found.hot_path = "pure"
        words = {(one.hot_path, one.word) for one in verdicts(found) if one.text.endswith("/ nats-py")}
        self.assertEqual(words, {("pure", "missed"), ("compiled", "not measured")})
        self.assertIn(
            "| consume, uniform: consumed, natsroute / nats-py | 4.40 (≥ 4.5): **missed** | – (≥ 6) |",  # noqa: RUF001
            goals(found),
        )
        found.hot_path = "compiled"
        words = {(one.hot_path, one.word) for one in verdicts(found) if one.text.endswith("/ nats-py")}
        self.assertEqual(words, {("pure", "missed"), ("compiled", "missed")})

    def test_goal_of_a_cost(self) -> None:
        """A measure is compared with another one of the same peer, for each hot path."""
        found = results(natsroute=1.0, natsroute_pure=1.0)
        found.hot_path = "compiled"
        for series, cost in zip(found.series, (190.0, 191.0)):
            series.scenario, series.figures = "tls", {"without TLS": [100.0], "with TLS": [cost]}
        words = {one.hot_path: (one.word, one.found) for one in verdicts(found)}
        self.assertEqual(words, {"compiled": ("reached", 1.9), "pure": ("missed", 1.91)})

    def test_second_python(self) -> None:
        """What only the second Python measured counts, and is marked; what the first measured does not count twice."""
        found, second = results(natsroute_pure=100.0), results(natsroute_pure=500.0, nats_py=100.0)
        found.about["Python"], second.about["Python"] = "CPython 3.11.2", "CPython 3.13.0"
        found.second = second
        found.missing = {"nats-py": "it needs a newer Python", "libnats": "no compiler"}
        report = markdown(found)
        self.assertIn("- Not measured: libnats: no compiler\n", report)
        self.assertIn("- **libnats**: no compiler\n", report)
        self.assertNotIn("not available", report)
        self.assertNotIn("it needs a newer Python", report)
        self.assertIn("| consume, uniform: consumed, natsroute / nats-py | 5.00† (≥ 4.5) |", report)
        self.assertIn("- † with CPython 3.13.0, like everything that it is compared with\n", report)
        self.assertIn("## With a second Python\n", report)
        self.assertIn("### consume: uniform, 128 B\n", report)
        second.series[0].problems.append("round 1: lost")
        self.assertEqual(len(list(problems(found))), 1)
        found.series += results(nats_py=20.0).series
        self.assertIn("natsroute / nats-py | 5.00 (≥ 4.5) |", goals(found))
        with TemporaryDirectory() as folder:
            found.write(Path(folder))
            self.assertEqual(Results.read(Path(folder)), found)

    def test_goal_of_another_form(self) -> None:
        """A goal may be for natsroute in another form than the peer of that name."""
        found = results(natsroute=9.0, natsroute_script=300.0, natsroute_script_pure=250.0, kamailio=200.0)
        found.hot_path = "compiled"
        for series in found.series:
            series.scenario, series.figures = "script", {"relayed": series.figures["consumed"]}
        text = "script, uniform: relayed, natsroute-script / kamailio"
        words = {verdict.hot_path: (verdict.word, verdict.found) for verdict in verdicts(found) if verdict.text == text}
        self.assertEqual(words, {"pure": ("reached", 1.25), "compiled": ("missed", 1.5)})

    def test_lower_is_better(self) -> None:
        """Goals of times are maxima."""
        found = Results({}, {}, hot_path="compiled")
        for peer, time in {PURE_OURS: 90.0, OURS: 79.0, "nats-py": 100.0, "kamailio": 316.0}.items():
            found.series.append(Series("round_trip", "uniform", GOAL_SIZE, peer, {"median, at rest": [time]}))
        self.assertEqual([verdict.reached for verdict in verdicts(found)], [True, True, True])
        found.series[0].figures["median, at rest"] = [91.0]
        found.series[1].figures["median, at rest"] = [86.0]
        self.assertEqual([verdict.reached for verdict in verdicts(found)], [False, False, False])

    def test_report(self) -> None:
        """A row for each peer with the median, the range and the ratio; rounds that do not count, with the reason."""
        found = results(natsroute=400.0, nats_py=100.0)
        found.series[0].figures["consumed"] = [500.0, 300.0, 400.0]
        found.series.append(
            Series("consume", "uniform", GOAL_SIZE, "raw", problems=["round 1: received: 1 instead of 2"])
        )
        found.series.append(Series("consume", "uniform", GOAL_SIZE, "libnats", absent="there is no C compiler"))
        report = markdown(found)
        self.assertIn("| natsroute | 400 (300–500) | – |\n| nats-py | 100 | 4.00 |\n", report)  # noqa: RUF001
        self.assertIn("| raw | no valid round | – |\n| libnats | not available | – |\n", report)  # noqa: RUF001
        self.assertIn("- consume, uniform, 128 B, raw, round 1: received: 1 instead of 2\n", report)
        self.assertIn("- **libnats**: there is no C compiler\n", report)
        self.assertEqual(len(list(problems(found))), 1)

    def test_page_and_tables_are_those_of_the_figures(self) -> None:
        """docs/performance.md and each table.md are what the figures give."""
        self.assertIn(figures(FOLDER), (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))
        folders = [path.parent for path in FOLDER.rglob("figures.json")]
        self.assertIn(FOLDER, folders)
        for folder in folders:
            self.assertEqual((folder / "table.md").read_text(encoding="utf-8"), markdown(Results.read(folder)), folder)


class ScriptTests(SynchronousTestCase):
    """The ``kamailio.cfg`` that Kamailio and natsroute run."""

    def published(self, role: str) -> list[tuple[str, bytes]]:
        """What natsroute publishes for three messages of four bytes."""
        with TemporaryDirectory() as folder:
            path = write(Path(folder), Job(role, "nats://127.0.0.1:4222", count=3, size=4), 5060, lua=False)
            tester = RouteTester(compile_script(read_cfg(str(path), {})).event_routes)
        for number in range(3):
            self.successResultOf(tester.deliver("bench", b"no %d" % number))
        return [(message.subject, message.data) for message in tester.published]

    def test_roles(self) -> None:
        payloads, counts = [b"no 0", b"no 1", b"no 2"], [("counts", b"3 12")] * 2
        relayed = [("relayed", payload) for payload in payloads]
        self.assertEqual(self.published("consume"), counts)
        self.assertEqual(self.published("relay"), [*relayed, *counts])
        self.assertEqual(self.published("pass_on"), relayed)
        self.assertEqual(self.published("respond"), [("replies", payload) for payload in payloads])

    def test_lua(self) -> None:
        """The script is beside the configuration, and there is no event route that would run instead of it."""
        with TemporaryDirectory() as folder:
            cfg = read_cfg(str(write(Path(folder), JOB, 5060, lua=True)), {})
            self.assertTrue((Path(folder) / "kamailio.lua").exists())
        self.assertEqual([block.name for block in cfg.blocks if block.kind == "event_route"], [])
        found = {(one.module, one.name): one.value for one in cfg.modparams}
        self.assertEqual(found["app_lua", "load"], str(Path(folder) / "kamailio.lua"))
        self.assertEqual(found["nats", "event_callback"], "on_nats")

    def test_python(self) -> None:
        """Likewise. The script has no mistake that Python finds before it runs."""
        for role in ("consume", "relay", "pass_on"):
            with TemporaryDirectory() as folder:
                job = Job(role, "nats://127.0.0.1:4222", count=3, size=4)
                cfg = read_cfg(str(write(Path(folder), job, 5060, lua=False, python=True)), {})
                compile((Path(folder) / "kamailio.py").read_text(), "kamailio.py", "exec")
            self.assertEqual([block.name for block in cfg.blocks if block.kind == "event_route"], [])
            found = {(one.module, one.name): one.value for one in cfg.modparams}
            self.assertEqual(found["app_python3", "load"], str(Path(folder) / "kamailio.py"))


class CatalogueTests(SynchronousTestCase):
    """What the catalogue finds in the folders."""

    def test_peers(self) -> None:
        """natsroute is the first, and each peer has the module that it is run as."""
        self.assertEqual(next(iter(PEERS)), OURS)
        self.assertLessEqual({"nats-py", "kamailio", "libnats", "raw"}, set(PEERS))
        self.assertEqual(PEERS["nats-py"].module, "benchmarks.peers.nats_py_peer")

    def test_scenarios(self) -> None:
        """Each has its own number in the order, measures with different names, and roles that natsroute can take."""
        orders = [scenario.order for scenario in SCENARIOS.values()]
        self.assertEqual(orders, sorted(set(orders)))
        for name, scenario in SCENARIOS.items():
            self.assertEqual(len({measure.name for measure in scenario.measures}), len(scenario.measures), name)
            self.assertLessEqual(set(scenario.roles), set(PEERS[OURS].roles), name)

    def test_goals(self) -> None:
        """Each peer that a goal names can take part in its scenario, if it is installed."""
        for name, scenario in SCENARIOS.items():
            for goal in [goal for measure in scenario.measures for goal in measure.goals]:
                for peer in filter(None, (goal.peer, goal.ours)):
                    self.assertTrue((PEERS[peer].by_default and scenario.by_default) or name == "memory", (name, peer))
                    if not PEERS[peer].missing():
                        self.assertLessEqual(set(scenario.roles), set(PEERS[peer].roles), (name, peer))


class ProcessorsTests(SynchronousTestCase):
    """The division of the processors."""

    if not hasattr(os, "sched_setaffinity"):
        skip = "this system does not bind processes to processors"

    def divided(self, *numbers: int) -> Processors:
        """The division of these processors."""
        self.patch(os, "sched_getaffinity", lambda pid: set(numbers))
        return Processors.divided()

    def test_enough(self) -> None:
        """The peer gets half, and one less than the others if their number is odd."""
        self.assertEqual(self.divided(0, 2, 4, 6, 7), Processors(frozenset({0, 2, 4}), frozenset({6, 7})))

    def test_few(self) -> None:
        """Fewer than four are shared."""
        self.assertEqual(self.divided(0, 1, 2), Processors(frozenset({0, 1, 2}), frozenset({0, 1, 2})))

    def test_bound(self) -> None:
        """The binding ends with its context, also if that fails."""
        bound: list[set[int]] = []
        self.patch(os, "sched_getaffinity", lambda pid: {0, 1})
        self.patch(os, "sched_setaffinity", lambda pid, numbers: bound.append(set(numbers)))
        with self.assertRaises(ZeroDivisionError), bound_to(frozenset({1})):
            _ = 1 / 0
        self.assertEqual(bound, [{1}, {0, 1}])


class InProcessTests(SynchronousTestCase):
    """``python -m benchmarks.in_process``, with a few messages. Each case checks that it has handled all of them."""

    def test_cases(self) -> None:
        for traffic in SUBJECTS:
            for case in in_process.CASES:
                self.assertGreater(in_process.measure(case, traffic, count=2_500, passes=2), 0.0)

    def test_stop(self) -> None:
        """The thread of a service is told to end: the cases after it are measured without it."""
        started: list[threading.Thread] = []
        start = threading.Thread.start

        def keep(thread: threading.Thread) -> None:
            started.append(thread)
            start(thread)

        self.patch(threading.Thread, "start", keep)
        in_process.measure("consume", "uniform", count=100, passes=1)
        self.assertGreater(len(started), 0)
        for thread in started:
            thread.join(TIMEOUT)
            self.assertFalse(thread.is_alive())

    def test_both(self) -> None:
        """Each implementation that is there, in a process of its own; they are in the report."""
        environment = mock.patch.dict("os.environ", PYTHONPATH=str(ROOT))
        environment.start()
        self.addCleanup(environment.stop)
        found = results(natsroute=1.0)
        found.in_process = in_process.measure_both(passes=1)
        names = ["compiled", "pure"] if hot_path.implementation() == "compiled" else ["pure"]
        self.assertEqual(list(found.in_process), [f"{name}, {traffic}" for name in names for traffic in SUBJECTS])
        report = markdown(found)
        self.assertIn("## The hot path alone\n", report)
        self.assertIn("\n| pure, mixed | ", report)

    def test_table(self) -> None:
        found = {"uniform": {"parse": 80.4, "relay": 1100.0}, "mixed": {"parse": 190.0, "relay": 2300.0}}
        self.assertEqual(
            in_process.table(found),
            "| ns/message | parse | relay |\n|---|--:|--:|\n| uniform | 80 | 1,100 |\n| mixed | 190 | 2,300 |",
        )


class RawPeerTests(SynchronousTestCase):
    """The peer that is a raw socket."""

    def test_a_server_that_closes(self) -> None:
        """It ends with an error, and does not read for ever."""
        ours, other = socket.socketpair()
        self.addCleanup(ours.close)
        other.close()
        client = mock.Mock(socket=ours)
        self.patch(raw_peer, "PlainClient", lambda *arguments, **options: client)
        self.patch(raw_peer, "report_ready", lambda: None)
        self.assertRaises(ConnectionError, raw_peer.consume, JOB)


class HotPathTests(SynchronousTestCase):
    """The peer that is pure Python."""

    def test_refuses(self) -> None:
        """It never reports figures of the compiled hot path."""
        self.patch(hot_path, "implementation", lambda: "compiled")
        with self.assertRaisesRegex(SystemExit, "must run pure Python, and runs the"):
            hot_path.require_pure()
        self.patch(hot_path, "implementation", lambda: "pure")
        hot_path.require_pure()

    def test_environment(self) -> None:
        """Its process has the variable, also if this one has another value of it."""
        self.assertEqual(PEERS["natsroute-pure"].environment, {"NATSROUTE_PURE": "1"})
        self.patch(os, "environ", {**os.environ, "NATSROUTE_PURE": "0"})
        command = "import os; print('{\"is\": %s}' % os.environ['NATSROUTE_PURE'])"
        self.patch(child, "guarded", lambda _: [sys.executable, "-c", command])
        process = child.Child("", JOB, PEERS["natsroute-pure"].environment)
        self.assertEqual(process.next_report(), {"is": 1})
        process.end()


@skipUnless(find_spec("matplotlib"), "matplotlib is not installed")
class ChartTests(SynchronousTestCase):
    """The charts of results."""

    def texts(self, drawn: Results) -> dict[str, str]:
        """The comments of each file: matplotlib writes each text as paths, and the text itself as a comment."""
        with TemporaryDirectory() as folder:
            former, other = Path(folder, "relay-second.svg"), Path(folder, "mine.svg")
            former.touch()
            other.touch()
            paths = charts.draw(drawn, Path(folder))
            self.assertEqual({former, other}.intersection(Path(folder).iterdir()), {other})
            return {path.name: "\n".join(_COMMENT.findall(path.read_text())) for path in paths}

    def test_files(self) -> None:
        """One for each scenario; those of the second Python have names of their own. Those of other results go."""
        found = results(natsroute=400.0, natsroute_pure=300.0, nats_py=100.0)
        found.hot_path = "compiled"
        found.second = results(natsroute=4.0)
        found.second.about["Python"] = "CPython 3.13.0, built for tests"
        texts = self.texts(found)
        self.assertEqual(list(texts), ["consume.svg", "consume-second.svg"])
        for text in ("natsroute (compiled)", "natsroute-pure", "nats-py", "400", "messages/s, higher is better"):
            self.assertIn(text, texts["consume.svg"])
        self.assertTrue(texts["consume-second.svg"].endswith("\nwith CPython 3.13.0"))

    def test_only_some_measures(self) -> None:
        """A measure may be in the table and not in the chart."""
        found = results(natsroute=1.0)
        found.series[0].scenario = "round_trip"
        found.series[0].figures = {name: [1.0] for name in ("median, at rest", "99.9th percentile, at rest")}
        text = self.texts(found)["round_trip.svg"]
        self.assertIn("natsroute, median, at rest", text)
        self.assertNotIn("99.9th", text)
