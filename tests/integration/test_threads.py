"""natsroute.daemon.threads"""

from __future__ import annotations

import threading
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute.daemon.threads import Threads
from tests.support.cases import LogRecorder


class ThreadsTests(TestCase):
    """A pool whose end is bounded."""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def threads(self, patience: float = 5.0) -> Threads:
        threads = Threads(self.reactor, "test", 2, patience=patience)
        threads.startService()
        return threads

    async def test_run(self) -> None:
        """In a thread; what it gives and what it raises come back."""
        threads = self.threads()
        self.assertNotEqual(await threads.run(threading.get_ident), threading.get_ident())
        self.assertEqual(await threads.run(int, "5"), 5)
        await self.assertFailure(threads.run(int, "x"), ValueError)
        await threads.stopService()

    async def test_started_again(self) -> None:
        threads = self.threads()
        await threads.stopService()
        threads.startService()
        self.assertEqual(await threads.run(int, "5"), 5)
        await threads.stopService()

    async def test_a_blocked_thread_does_not_block_the_end(self) -> None:
        log = LogRecorder(self)
        threads = self.threads(patience=0.05)
        release = threading.Event()
        self.addCleanup(release.set)
        running = threads.run(release.wait)
        await threads.stopService()
        self.assertEqual(
            log.lines("error"), ["Threads of the pool test that are still blocked: 1. They end with the process"]
        )
        release.set()
        await running
