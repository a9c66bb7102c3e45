"""What operators have of a running service: each part is a service of its own, built if the settings ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from natsroute.daemon.settings import Settings
from natsroute.monitoring.overview import Overview


class Operations(MultiService):
    """
    The parts through which operators see a service and give it orders. They start before anything else of the service
    does, and stop after everything else.

    :param overview: returns the overview of the service.
    :param owns_process: whether the process has no other purpose than the service.
    """

    def __init__(
        self, reactor: Any, settings: Settings, overview: Callable[[], Overview], *, owns_process: bool
    ) -> None:
        super().__init__()

    def stopService(self) -> Deferred[None]:
        """Stop all parts; fires in the reactor's thread when they have stopped."""
        stopped: Deferred[None] = super().stopService()
        return stopped
