"""The benchmark's scenarios of requests and of JetStream, with a few messages. They measure nothing here."""

from __future__ import annotations

from unittest import mock, skipUnless

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalogue import PEERS, SCENARIOS
from benchmarks.load.job import Job
from benchmarks.run.servers import NatsServer
from benchmarks.run.streams import Stream
from benchmarks.run.testbed import Testbed
from tests.support import ROOT

COUNT = 300


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

    def check(self, peer: str, traffic: str = "uniform") -> None:
        with NatsServer() as server:
            testbed = Testbed(server, PEERS, COUNT, 128, traffic)
            for name in ("requests", "jetstream_publish", "jetstream_consume"):
                outcome = SCENARIOS[name].run(testbed, peer)
                self.assertEqual(outcome.problems, [], name)
                self.assertEqual(set(outcome.figures), {measure.name for measure in SCENARIOS[name].measures})

    def test_natsroute(self) -> None:
        self.check("natsroute")

    def test_nats_py(self) -> None:
        self.check("nats-py", "mixed")

    @skipUnless(not PEERS["natsio"].missing(), "natsio needs Python 3.13")
    def test_natsio(self) -> None:
        self.check("natsio")
