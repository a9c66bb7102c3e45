"""natsroute.client.observers"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.observers import Observers


class ObserversTests(SynchronousTestCase):
    """Observers"""

    def setUp(self) -> None:
        self.observers: Observers[[str]] = Observers()
        self.seen: list[tuple[int, str]] = []

    def add(self, number: int) -> None:
        self.observers.add(lambda news: self.seen.append((number, news)))

    def test_order(self) -> None:
        """Each is called with the same, in the order in which they were added."""
        self.add(1)
        self.add(2)
        self.observers.notify("news")
        self.assertEqual(self.seen, [(1, "news"), (2, "news")])

    def test_none(self) -> None:
        self.observers.notify("news")
        self.assertEqual(self.seen, [])

    def test_only_from_now_on(self) -> None:
        self.observers.notify("old")
        self.add(1)
        self.observers.notify("new")
        self.assertEqual(self.seen, [(1, "new")])

    def test_an_exception(self) -> None:
        """It is logged, and the others are called."""
        self.observers.add(lambda news: 1 // 0)
        self.add(1)
        self.observers.notify("news")
        self.assertEqual(self.seen, [(1, "news")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_added_by_an_observer(self) -> None:
        """The new one is called in the same turn."""
        self.observers.add(lambda news: self.add(1))
        self.observers.notify("news")
        self.assertEqual(self.seen, [(1, "news")])
