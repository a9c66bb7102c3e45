"""The benchmark's scenarios of requests and of JetStream, with a few messages. They measure nothing here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock, skipUnless

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load.job import Job
from benchmarks.run.results import Results
from benchmarks.run.second_python import SecondRun
from benchmarks.run.servers import NatsServer
from benchmarks.run.streams import Stream
from benchmarks.run.testbed import Testbed
from tests.support import ROOT

COUNT = 300
CORE = ("consume", "relay", "publish", "round_trip")
REQUESTS_AND_STREAMS = ("requests", "jetstream_publish", "jetstream_consume")


class StreamTests(SynchronousTestCase):
    """What the server says against a run that does not count."""

    def test_problems(self) -> None:
        """A consumer that has had nothing. A stream has exactly the messages of its job."""
        with NatsServer(jetstream=True) as server:
            with Stream(server.url) as stream:
                size = stream.fill(Job("jetstream_consume", server.url, count=COUNT, size=10))
                self.assertEqual((size, stream.messages), (COUNT * 10, COUNT))
                stream.add_consumer()
                found = stream.problems(COUNT, timeout=0.0)
                self.assertEqual(found, ["delivered: 0, not 300", "acknowledged: 0, not 300"])
            with Stream(server.url) as stream:
                self.assertEqual(stream.messages, 0)
                mixed = Job("jetstream_consume", server.url, count=COUNT, size=10, traffic="mixed", subjects=1_000)
                stream.fill(mixed)
                self.assertEqual(stream.messages, COUNT)


class ScenarioTests(SynchronousTestCase):
    """One run of each scenario counts, and has all its figures."""

    def setUp(self) -> None:
        environment = mock.patch.dict("os.environ", PYTHONPATH=str(ROOT))  # for the peers' processes
        environment.start()
        self.addCleanup(environment.stop)

    def check(self, peer: str, traffic: str = "uniform", names: Sequence[str] = REQUESTS_AND_STREAMS) -> None:
        with NatsServer() as server:
            testbed = Testbed(server, PEERS, COUNT, 128, traffic)
            for name in names:
                outcome = SCENARIOS[name].run(testbed, peer)
                self.assertEqual(outcome.problems, [], name)
                self.assertEqual(set(outcome.figures), {measure.name for measure in SCENARIOS[name].measures})

    def test_natsroute(self) -> None:
        self.check("natsroute")

    def test_nats_py(self) -> None:
        self.check("nats-py", "mixed")

    def test_natsroute_pure(self) -> None:
        """In pure Python, the peer does not refuse to run, whatever this process runs."""
        self.check("natsroute-pure", names=["consume", "relay"])

    @skipUnless(not PEERS["natsio"].missing(), "natsio needs Python 3.13")
    def test_natsio(self) -> None:
        self.check("natsio")
        self.check("natsio", "mixed", CORE)

    @skipUnless(not PEERS["nats-core"].missing(), "nats-core needs Python 3.13")
    def test_nats_core(self) -> None:
        self.check("nats-core", "mixed", [*CORE, "requests"])


class SecondPythonTests(SynchronousTestCase):
    """The benchmark runs again with another Python; here it is the same one."""

    def run_again(self, python: str, peer: str) -> Results | None:
        scenarios = {name: SCENARIOS[name] for name in ("consume", "routes")}
        words = ["--rounds", "1", "--messages", "200", "--traffic", "uniform"]
        second = SecondRun.prepare(Path(python), [peer], scenarios, words)
        return second and second.run()

    def test_results(self) -> None:
        """Only the scenarios in which the peer takes part, with natsroute beside it."""
        found = self.run_again(sys.executable, "raw")
        assert found is not None
        self.assertEqual({series.scenario for series in found.series}, {"consume"})
        self.assertEqual({series.peer for series in found.series}, {"natsroute", "natsroute-pure", "nats-py", "raw"})
        self.assertEqual([series.problems for series in found.series], [[]] * 4)

    def test_nothing_to_run(self) -> None:
        self.assertIsNone(self.run_again(sys.executable, "natsroute-processes"))

    def test_no_python(self) -> None:
        with self.assertRaisesRegex(SystemExit, "/bin/false cannot run the benchmark: no reason"):
            self.run_again("/bin/false", "raw")
