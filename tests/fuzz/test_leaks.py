"""tests.fuzz.leaks, without measuring"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.leaks import grows


class GrowsTests(SynchronousTestCase):
    """What grows twice is a leak."""

    def test_two_measurements(self) -> None:
        """The second one is made only if the first one finds something."""
        for found, expected, measurements in (
            ([{}], {}, 1),
            ([{"objects": 50}, {}], {}, 2),
            ([{"objects": 50}, {"references": 60}], {}, 2),
            ([{"objects": 50, "references": 9}, {"objects": 70}], {"objects": 70}, 2),
        ):
            left = iter(found)
            self.assertEqual(grows(lambda left=left: next(left)), expected)  # type: ignore[misc]
            self.assertEqual(len(found) - len([*left]), measurements)
