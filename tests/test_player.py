"""natsroute.recording.player"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import RecordingError
from natsroute.recording.format import Lost, Recorded
from natsroute.recording.player import Player
from natsroute.turns import MAX_TURN


class PlayerTests(SynchronousTestCase):
    """A recording, and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.played: list[tuple[int, float]] = []
        self.ended: Deferred[None] | None = None

    def play(self, number: int, message: Recorded) -> Deferred[None] | None:
        self.played.append((number, self.clock.seconds()))
        return self.ended

    def player(self, times: Iterable[float], speed: float | None = None) -> Player:
        lines = ((number, Recorded(time, "a", b"")) for number, time in enumerate(times, 2))
        return Player(self.clock, lines, self.play, speed)

    def run_player(self, player: Player) -> Deferred[None]:
        return Deferred.fromCoroutine(player.run())

    def test_original_speed(self) -> None:
        """The first at once, the others as far apart as they were; backwards counts as at once."""
        running = self.run_player(self.player([100, 101, 101, 99, 99.5, 103], 1.0))
        self.clock.pump([0.25] * 30)
        self.successResultOf(running)
        self.assertEqual(self.played, [(2, 0.0), (3, 1.0), (4, 1.0), (5, 1.0), (6, 1.5), (7, 5.0)])

    def test_ten_times_faster(self) -> None:
        """What takes too long does not move all that follows."""
        player = self.player([0, 10, 20, 30], 10.0)
        running = self.run_player(player)
        self.clock.advance(1.5)
        self.clock.advance(0.5)
        self.clock.advance(1)
        self.successResultOf(running)
        self.assertEqual(self.played, [(2, 0.0), (3, 1.5), (4, 2.0), (5, 3.0)])
        self.assertEqual(player.played, 4)

    def test_at_once(self) -> None:
        """Without waiting, but the reactor gets its turns."""

        def lines() -> Iterator[float]:
            for number in range(10):
                self.clock.rightNow += MAX_TURN / 4
                yield number * 1000.0

        running = self.run_player(self.player(lines()))
        self.assertTrue(1 < len(self.played) < 10)
        self.clock.pump([0] * 10)
        self.successResultOf(running)
        self.assertEqual([number for number, _ in self.played], list(range(2, 12)))

    def test_waits(self) -> None:
        """The next message follows when the one before allows it."""
        self.ended = Deferred()
        running = self.run_player(self.player([0, 0]))
        self.assertEqual(len(self.played), 1)
        ended, self.ended = self.ended, None
        ended.callback(None)
        self.successResultOf(running)
        self.assertEqual(len(self.played), 2)

    def test_malformed(self) -> None:
        """What is before it is played, and counted."""

        def lines() -> Iterator[tuple[int, Recorded | Lost]]:
            yield 2, Recorded(0, "a", b"")
            yield 3, Lost(5)
            yield 4, Lost(2)
            raise RecordingError("file", 5, "it is not JSON", "Remove it")

        player = Player(self.clock, lines(), self.play)
        self.failureResultOf(self.run_player(player), RecordingError)
        self.assertEqual((player.played, player.lost), (1, 7))

    def test_cancelled(self) -> None:
        running = self.run_player(self.player([0, 100], 1.0))
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual((len(self.played), self.clock.getDelayedCalls()), (1, []))
