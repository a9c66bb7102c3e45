"""natsroute.kamailio.kemi.ksr.cfgutils"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from natsroute.errors import PublisherStoppedError
from natsroute.kamailio.evaluation import ConsumerVariables, EventVariables
from natsroute.kamailio.script.functions.cfgutils import lock_key
from tests.support.kemi_scripts import ScriptCase, new_event


class CfgutilsTests(ScriptCase):
    """``KSR.cfgutils``."""

    def test_locks(self) -> None:
        """They are those of native scripts."""
        native = EventVariables(ConsumerVariables(self.service))
        self.service.locks.acquire(lock_key(b"other"), native)
        self.check_calls(
            new_event(),
            [
                (1, "cfgutils.lock", b"a"),
                (-1, "cfgutils.trylock", b"a"),
                (1, "cfgutils.unlock", b"a"),
                (1, "cfgutils.trylock", b"a"),
                (-1, "cfgutils.trylock", b"other"),
                (1, "cfgutils.unlock", b"nosuch"),
            ],
        )

    def test_chance(self) -> None:
        self.service.random_number = lambda: 0
        self.check_calls(
            new_event(),
            [
                (10, "cfgutils.rand_get_prob"),
                (1, "cfgutils.rand_event"),
                (1, "cfgutils.rand_set_prob", 0),
                (-1, "cfgutils.rand_event"),
                (1, "cfgutils.rand_reset_prob"),
                (10, "cfgutils.rand_get_prob"),
            ],
        )

    def test_sleep(self) -> None:
        """The thread waits for a Deferred, which fires after the time."""
        event = new_event()
        waited: list[float] = []

        def ask(request: Callable[[], Deferred[Any]]) -> None:
            ended = request()
            clock = event.clock
            assert isinstance(clock, Clock)
            waited.append(clock.getDelayedCalls()[0].getTime() - clock.seconds())
            self.assertNoResult(ended)
            clock.advance(waited[-1])
            self.successResultOf(ended)

        self.patch(self, "ask", ask)
        calls = [(1, "cfgutils.sleep", 2), (1, "cfgutils.usleep", 500_000), (1, "cfgutils.sleep", 0)]
        self.check_calls(event, [*calls, (-1, "cfgutils.sleep", -1)])
        self.assertEqual(waited, [2.0, 0.5])
        self.assertEqual(self.failures, [("KSR.cfgutils.sleep()", "a time is below 0")])

    def test_stop(self) -> None:
        """It ends the wait."""

        def ask(request: object) -> None:
            raise PublisherStoppedError("the service stops")

        self.patch(self, "ask", ask)
        self.check_calls(new_event(), [(-1, "cfgutils.usleep", 1)])
        self.assertEqual(self.failures, [("KSR.cfgutils.usleep()", "the service stops")])
