"""natsroute.monitoring.sampling"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import SettingError
from natsroute.monitoring.sampling import MAX_ENDS, RateLimit, Rests, Sampler, Sampling
from tests.support.log_recorder import LogRecorder


def trace(low_bits: int = 1) -> bytes:
    """A trace id with these 64 low bits."""
    return b"%016x%016x" % (1, low_bits)


class VariablesTests(SynchronousTestCase):
    """OpenTelemetry's variables."""

    def of(self, sampler: str, argument: str = "", ratio: float | None = None) -> Sampling:
        return Sampling.of({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}, ratio)

    def test_samplers(self) -> None:
        self.assertEqual(Sampling.of({}), Sampling(1.0, parent_based=True))
        self.assertEqual(self.of("always_on"), Sampling(1.0, parent_based=False))
        self.assertEqual(self.of("always_off"), Sampling(0.0, parent_based=False))
        self.assertEqual(self.of("parentbased_always_on", "0.5"), Sampling(1.0))
        self.assertEqual(self.of("parentbased_always_off"), Sampling(0.0))
        self.assertEqual(self.of("traceidratio", "0.25"), Sampling(0.25, parent_based=False))
        self.assertEqual(self.of(" parentbased_traceidratio ", "0.25"), Sampling(0.25))
        self.assertEqual(self.of("parentbased_traceidratio"), Sampling(1.0))

    def test_the_setting_wins(self) -> None:
        """It stands for ``parentbased_traceidratio``, whatever the variables are."""
        self.assertEqual(self.of("jaeger_remote", "x", 0.1), Sampling(0.1))

    def test_errors(self) -> None:
        error = self.assertRaises(SettingError, self.of, "jaeger_remote")
        self.assertIn("OTEL_TRACES_SAMPLER = 'jaeger_remote': natsroute has no such sampler. Set one of", str(error))
        for argument in ("x", "1.1", "-1", "nan", "inf"):
            error = self.assertRaises(SettingError, self.of, "traceidratio", argument)
            self.assertIn("it is not a number from 0 to 1", str(error))


class DecisionTests(SynchronousTestCase):
    """Decisions about a message with a parent, and about others."""

    def test_parent_based(self) -> None:
        """The parent decides, whatever the ratio."""
        for ratio in (0.0, 1.0):
            sampling = Sampling(ratio)
            followed = [sampling.follows(trace(), flags) for flags in (b"00", b"01", b"02", b"ff")]
            self.assertEqual(followed, [False, True, False, True])

    def test_by_trace_id(self) -> None:
        """The same messages as OpenTelemetry's own sampler takes, whatever the parent says."""
        quarter = Sampling(0.25, parent_based=False)
        for low_bits, expected in [(0, True), ((1 << 62) - 1, True), (1 << 62, False), ((1 << 64) - 1, False)]:
            self.assertEqual(quarter.follows(trace(low_bits), b"01"), expected, hex(low_bits))
        highest = trace((1 << 64) - 1)
        self.assertTrue(Sampling(1.0, parent_based=False).follows(highest, b"00"))
        self.assertFalse(Sampling(0.0, parent_based=False).follows(trace(0), b"01"))

    def test_begins(self) -> None:
        """In the ratio, within the limit."""
        no_limit = RateLimit(0)
        self.assertTrue(all(Sampler(Sampling(1.0), no_limit).begins() for _ in range(100)))
        self.assertFalse(any(Sampler(Sampling(0.0), no_limit).begins() for _ in range(100)))
        count = sum(Sampler(Sampling(0.5), no_limit).begins() for _ in range(2000))
        self.assertTrue(800 < count < 1200, count)
        LogRecorder(self)
        limited = Sampler(Sampling(1.0), RateLimit(3, Clock().seconds))
        self.assertEqual([limited.begins() for _ in range(5)], [True] * 3 + [False] * 2)


class RateLimitTests(SynchronousTestCase):
    """The highest rate at which traces begin."""

    def test_limit(self) -> None:
        """A second's traces may begin at once; then one in each interval; after a pause, no more than at first."""
        clock = Clock()
        log = LogRecorder(self)
        limit = RateLimit(4, clock.seconds)
        self.assertEqual([limit.allows() for _ in range(6)], [True] * 4 + [False] * 2)
        begun = []
        for _ in range(16):
            clock.advance(0.125)
            begun.append(limit.allows())
        self.assertEqual(begun, [False, True] * 8)
        clock.advance(100)
        self.assertEqual([limit.allows() for _ in range(6)], [True] * 4 + [False] * 2)
        [line] = log.lines("warn")
        self.assertIn("More than 4 traces a second would begin here (tracing_max_rate)", line)

    def test_wait(self) -> None:
        """Until the moment when one may begin, and not a moment less."""
        clock = Clock()
        LogRecorder(self)
        limit = RateLimit(4, clock.seconds)
        self.assertEqual(limit.wait(), 0)
        while limit.allows():
            pass
        self.assertEqual(limit.wait(), 0.25)
        clock.advance(0.125)
        self.assertEqual((limit.wait(), limit.allows()), (0.125, False))
        clock.advance(limit.wait())
        self.assertEqual((limit.wait(), limit.allows()), (0, True))

    def test_no_limit(self) -> None:
        self.assertTrue(all(RateLimit(0).allows() for _ in range(1000)))


class RestsTests(SynchronousTestCase):
    """Those who wait until a trace may begin."""

    def setUp(self) -> None:
        self.clock = Clock()
        LogRecorder(self)
        self.limit = RateLimit(4, self.clock.seconds)
        self.rests = Rests(self.clock, self.limit)
        self.ended: list[int] = []
        while self.limit.allows():
            pass

    def begin(self, *numbers: int) -> None:
        for number in numbers:
            self.rests.begin(lambda number=number: self.ended.append(number))

    def test_ends(self) -> None:
        """All at the moment when a trace may begin, with one delayed call."""
        self.begin(1, 2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0.125)
        self.begin(3)
        self.assertEqual(self.ended, [])
        self.clock.advance(0.125)
        self.assertEqual((self.ended, self.limit.allows()), ([1, 2, 3], True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """What rests again when its rest ends waits for the next trace that may begin."""

        def again() -> None:
            self.ended.append(self.limit.allows())
            self.rests.begin(again)

        self.rests.begin(again)
        for _ in range(3):
            self.clock.advance(0.25)
        self.assertEqual(self.ended, [True] * 3)

    def test_many(self) -> None:
        """Some at a time, the oldest first; even if nobody begins a trace."""
        self.begin(*range(2 * MAX_ENDS + 1))
        for count in (MAX_ENDS, 2 * MAX_ENDS, 2 * MAX_ENDS + 1):
            self.clock.advance(0.25)
            self.assertEqual(self.ended, list(range(count)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """All end, and nothing is left in the reactor. It may go on."""
        self.begin(1, 2)
        self.rests.stop()
        self.rests.stop()
        self.assertEqual((self.ended, self.clock.getDelayedCalls()), ([1, 2], []))
        self.begin(3)
        self.clock.advance(0.25)
        self.assertEqual(self.ended, [1, 2, 3])
