"""The settings of a service in several processes."""

from __future__ import annotations

import os

import attrs

from natsroute.daemon.settings.fields import count, flag, seconds
from natsroute.daemon.settings.setting_group import SettingGroup
from natsroute.errors import SettingError

#: Processes that a service may have. Each needs memory and connections of its own.
MAX_PROCESSES = 256


@attrs.frozen(kw_only=True, slots=False)
class ProcessSettings(SettingGroup):
    """How many processes a service has, and how they are started again."""

    processes: int = count(
        "Processes that run the event routes. With more than one, this process only supervises them. They share the "
        "messages of each queue group; a subject without a queue group runs in the first one.",
        1,
    )
    restart_timeout: float = seconds(
        "With processes: seconds in which a new process must be ready when they are replaced. Otherwise the old one "
        "stays.",
        60.0,
    )
    cpu_affinity: bool = flag("With processes: bind each to a processor of its own, as far as there are enough.")

    def check(self) -> None:
        """Check these settings together."""
        super().check()
        if self.processes > MAX_PROCESSES:
            remedy = f"Give {MAX_PROCESSES} or less; more than there are processors make nothing faster"
            raise SettingError("processes", self.processes, f"it is more than {MAX_PROCESSES}", remedy)
        if self.cpu_affinity and self.processes == 1:
            raise SettingError("cpu_affinity", 1, "there is one process only", "Set processes too, or leave it out")
        if self.cpu_affinity and not hasattr(os, "sched_setaffinity"):
            problem = "this system cannot bind a process to a processor"
            raise SettingError("cpu_affinity", 1, problem, "Leave it out")
