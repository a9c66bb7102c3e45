"""tests.chaos.recording_consumer, which must find what it is there to find"""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.chaos.recording_consumer import consumption_differences


class DifferencesTests(SynchronousTestCase):
    """consumption_differences()"""

    def differences(self, expected: str, consumed: str) -> list[str]:
        """Compare messages with these numbers."""
        seen = [Counter(("chaos.0", int(number)) for number in numbers) for numbers in (expected, consumed)]
        return consumption_differences(*seen)

    def test_all_well(self) -> None:
        """In any order. What the witness saw twice is consumed twice."""
        self.assertEqual(self.differences("0122", "2102"), [])

    def test_not_consumed(self) -> None:
        self.assertEqual(self.differences("0122", "02"), ["2 messages not consumed, of numbers 1 to 2"])

    def test_consumed_too_often(self) -> None:
        self.assertEqual(self.differences("012", "01122"), ["2 messages consumed too often, of numbers 1 to 2"])
