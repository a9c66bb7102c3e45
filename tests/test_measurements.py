"""natsroute.daemon.operations.measurements"""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.operations.measurements import Measurements, metrics_method, metrics_of
from natsroute.errors import MisuseError
from natsroute.ledger import RouteCounters
from natsroute.monitoring.metric_table import Extras
from tests.test_metrics import an_overview


class MeasurementsTests(SynchronousTestCase):
    """One consumer, and a clock that moves only when the test advances it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.received = [0]
        self.measurements = Measurements(self.clock, lambda: self.received, durations=True)
        self.measurements.startService()

    def test_handling(self) -> None:
        """By route."""
        assert self.measurements.handling_times is not None
        for route in ("nats:a", "nats:b", "nats:a"):
            self.measurements.handling_times.ended(RouteCounters(route), -2.0)
        handling = self.measurements.times().handling
        self.assertEqual(
            {route: (one.count, one.sum) for route, one in handling.items()}, {"nats:a": (2, 4.0), "nats:b": (1, 2.0)}
        )

    def test_handled(self) -> None:
        """By consumer and route, too."""
        assert self.measurements.handling_times is not None
        one, other = RouteCounters("nats:a"), RouteCounters("nats:a")
        for counters in (one, other, one):
            self.measurements.handling_times.ended(counters, -2.0)
        self.assertEqual(self.measurements.handled, {one: 4.0, other: 2.0})

    def test_confirmation(self) -> None:
        """By publish worker."""
        assert self.measurements.on_confirmed is not None
        for number, seconds, count in (1, 2.0, 3), (2, 1.0, 1), (1, 1.0, 1):
            self.measurements.on_confirmed(number, seconds, count)
        confirmation = self.measurements.times().confirmation
        self.assertEqual(
            {worker: (one.count, one.sum) for worker, one in confirmation.items()},
            {"publish worker 1": (4, 7.0), "publish worker 2": (1, 1.0)},
        )

    def test_reactor(self) -> None:
        self.clock.pump([0.1] * 20)
        times = self.measurements.times()
        assert times.lateness is not None
        assert times.turns is not None
        self.assertGreater(times.lateness.count, 5)
        self.assertGreater(times.turns.count, 5)

    def test_times_do_not_change(self) -> None:
        """A text is made of them in several turns."""
        assert self.measurements.on_confirmed is not None
        self.measurements.on_confirmed(1, 2.0, 3)
        times = self.measurements.times()
        self.measurements.on_confirmed(1, 2.0, 3)
        self.assertEqual(times.confirmation["publish worker 1"].count, 3)

    def test_idle(self) -> None:
        self.received[0] = 1
        self.clock.advance(1.0)
        self.clock.advance(0.5)
        self.assertEqual(self.measurements.idle(), [0.5])

    def test_stop(self) -> None:
        """Nothing is left in the reactor."""
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.successResultOf(self.measurements.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_without_durations(self) -> None:
        """There is nothing to call for a message, and one timer only."""
        clock = Clock()
        without = Measurements(clock, lambda: self.received, durations=False)
        without.startService()
        self.assertEqual((without.handling_times, without.on_confirmed, without.times()), (None, None, Extras()))
        self.assertEqual((without.idle(), len(clock.getDelayedCalls())), ([None], 1))
        self.successResultOf(without.stopService())
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_handling_times_only(self) -> None:
        """A service that is announced shows these, and nobody asks for the rest."""
        clock = Clock()
        measurements = Measurements(clock, lambda: self.received, durations=False, handling=True)
        measurements.startService()
        self.assertEqual((measurements.on_confirmed, measurements.times()), (None, Extras()))
        assert measurements.handling_times is not None
        counters = RouteCounters("nats:a")
        measurements.handling_times.ended(counters, -2.0)
        self.assertEqual(measurements.handled, {counters: 2.0})
        self.successResultOf(measurements.stopService())
        self.assertEqual(clock.getDelayedCalls(), [])


class MetricsTests(SynchronousTestCase):
    """The metrics of a service, and the admin method that gives them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.measurements = Measurements(self.clock, lambda: [0], durations=True)

    def test_metrics(self) -> None:
        """They have the overview, and the durations that were measured."""
        assert self.measurements.on_confirmed is not None
        self.measurements.on_confirmed(1, 2.0, 3)
        method = metrics_method(lambda: metrics_of(self.clock, an_overview, self.measurements))
        asked = method({})
        self.clock.pump([0.0] * 100)
        text = self.successResultOf(asked)
        self.assertIn('\nnatsroute_consumer_messages_received_total{consumer="one:q"} 100.0\n', text)
        self.assertIn('\nnatsroute_publisher_confirmation_seconds_count{worker="publish worker 1"} 3.0\n', text)

    def test_without_the_package(self) -> None:
        """The error says what to install."""
        with patch.dict(sys.modules, {"prometheus_client": None, "prometheus_client.core": None}):
            del sys.modules["natsroute.monitoring.metrics"]  # so that it is imported again
            self.assertIsNone(metrics_of(self.clock, an_overview, self.measurements))
        error = self.assertRaises(MisuseError, metrics_method(lambda: None), {})
        self.assertIn("pip install 'natsroute[monitoring]'", str(error))
