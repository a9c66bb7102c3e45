"""tests.chaos.comparison, which must find what it is there to find"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.chaos.comparison import SENT, compare


class ComparisonTests(SynchronousTestCase):
    """compare()"""

    def seen(self, *numbers: int) -> list[tuple[str, int]]:
        """Sightings on the subjects of the numbers."""
        return [(f"chaos.{number % 12}", number) for number in numbers]

    def test_all_well(self) -> None:
        found = compare(3, dict.fromkeys(range(3), SENT), self.seen(0, 1, 2))
        self.assertEqual((found.violations, found.sent, found.never_seen), ([], 3, 0))

    def test_lost(self) -> None:
        """Reported as sent and never seen. What failed may be missing."""
        found = compare(4, {0: SENT, 1: SENT, 2: "SomeError", 3: "SomeError"}, self.seen(0, 3))
        self.assertEqual((found.lost, found.never_seen, found.failed), ([1], 2, 2))
        self.assertIn("1 confirmed and never seen: [1]", found.violations)

    def test_unreported(self) -> None:
        found = compare(2, {0: SENT}, self.seen(0, 1))
        self.assertEqual((found.unreported, found.violations), (1, ["1 without an outcome"]))

    def test_order(self) -> None:
        """Within a subject. A repeated number is not out of order, whatever comes after it."""
        outcomes = dict.fromkeys(range(40), SENT)
        whole = list(range(40))
        self.assertEqual(compare(40, outcomes, self.seen(*whole)).out_of_order, 0)
        found = compare(40, outcomes, self.seen(*whole[:30], *whole[20:]))
        self.assertEqual((found.out_of_order, found.repeated), (0, 10))
        found = compare(40, outcomes, self.seen(*whole[:12], 24, 12, *whole[13:24], *whole[25:]))
        self.assertEqual((found.out_of_order, found.violations), (1, ["1 out of order"]))

    def test_unexpected(self) -> None:
        """Another subject, or a number that nobody published."""
        found = compare(2, {0: SENT, 1: SENT}, [("chaos.1", 0), *self.seen(0, 1, 2)])
        self.assertEqual(found.unexpected, 2)
