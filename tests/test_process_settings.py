"""natsroute.daemon.settings.process_settings"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.settings.process_settings import MAX_PROCESSES
from natsroute.errors import SettingError


class ProcessSettingsTests(SynchronousTestCase):
    """How many processes there are."""

    def test_default(self) -> None:
        settings = Settings()
        self.assertEqual((settings.processes, settings.restart_timeout, settings.cpu_affinity), (1, 60.0, False))

    def test_numbers_that_cannot_work(self) -> None:
        """Each error has a remedy."""
        for number in (0, -1, "x", "1.5", MAX_PROCESSES + 1, 10_000):
            error = self.assertRaises(SettingError, Settings, processes=number)
            self.assertEqual((error.setting, error.value), ("processes", number))
            self.assertIn("Give ", error.remedy)
        self.assertEqual(Settings(processes=MAX_PROCESSES).processes, MAX_PROCESSES)

    def test_cpu_affinity(self) -> None:
        """It needs several processes, and a system that can do it."""
        error = self.assertRaises(SettingError, Settings, cpu_affinity=True)
        self.assertEqual((error.setting, error.problem), ("cpu_affinity", "there is one process only"))
        self.assertTrue(Settings(cpu_affinity=True, processes=2).cpu_affinity)
        self.patch(os, "sched_setaffinity", None)
        del os.sched_setaffinity
        error = self.assertRaises(SettingError, Settings, cpu_affinity=True, processes=2)
        self.assertEqual(error.problem, "this system cannot bind a process to a processor")
