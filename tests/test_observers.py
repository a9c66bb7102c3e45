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

    def test_removed(self) -> None:
        """One of two that are the same is called no more, from the next time on."""
        ends = [self.observers.add(self.end_both) for _ in range(2)]
        self.ends = ends
        self.observers.notify("news")
        self.observers.notify("more")
        self.assertEqual(self.seen, [(0, "news"), (0, "news")])

    def end_both(self, news: str) -> None:
        """Observe no more."""
        self.seen.append((0, news))
        for end in self.ends:
            end()

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
