"""natsroute.daemon.threads"""

from __future__ import annotations

import threading
from typing import Any

from twisted.trial.unittest import TestCase

from natsroute.daemon.threads import Threads
from tests.support.log_recorder import LogRecorder


class ThreadsTests(TestCase):
    """A pool that stops within a limited time."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor

    def threads(self, timeout: float = 5.0) -> Threads:
        threads = Threads(self.reactor, "test", 2, patience=timeout)
        threads.startService()
        return threads

    async def test_run(self) -> None:
        """The function runs in a thread. Its result and its exception come back."""
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

    async def test_blocked_thread(self) -> None:
        """It does not block the stop."""
        log = LogRecorder(self)
        threads = self.threads(timeout=0.05)
        release = threading.Event()
        self.addCleanup(release.set)
        running = threads.run(release.wait)
        await threads.stopService()
        self.assertEqual(
            log.lines("error"), ["Threads of the pool test that are still blocked: 1. They end with the process"]
        )
        release.set()
        await running
