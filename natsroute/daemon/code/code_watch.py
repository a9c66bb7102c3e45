"""Reloads the code when one of its files changes, for development. It needs the package ``watchfiles``."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from natsroute.errors import SettingError
from natsroute.log import Logger

#: Milliseconds without a change after which those before count as one, and at most.
STEP, DEBOUNCE = 100, 1000

#: Yields whenever something has changed in one of the folders: the paths of what has changed. It returns after the
#: event is set.
Watch = Callable[[Iterable[str], threading.Event], Iterator[Iterable[str]]]


def watch_folders() -> Watch:
    """
    What watches folders, not what is in folders in them.

    :raises SettingError: ``watchfiles`` is not installed.
    """
    try:
        from watchfiles import watch
    except ImportError:
        problem, remedy = "watchfiles is not installed", "Install it with pip install 'natsroute[reload]'"
        raise SettingError("reload_on_change", 1, problem, remedy) from None

    def changes(folders: Iterable[str], stop: threading.Event) -> Iterator[Iterable[str]]:
        for found in watch(
            *folders,
            watch_filter=None,
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=stop,
            rust_timeout=1000,
            raise_interrupt=False,
            recursive=False,
        ):
            yield [path for _, path in found]

    return changes


class CodeWatch(Service):
    """
    Watches the files of the code while it runs, in a thread of its own. After a reload it watches those that it loaded.

    :param files: returns the paths of the files.
    :param reload: loads the code anew; called in the reactor's thread. Nothing is done about what it fails with.
    :param watch: see :func:`watch_folders`.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, files: Callable[[], set[str]], reload: Callable[[], Deferred[Any]], watch: Watch
    ) -> None:
        self._reactor = reactor
        self._files = files
        self._reload = reload
        self._watch = watch
        self._stop: threading.Event | None = None
        self._watched: set[str] = set()

    def startService(self) -> None:
        """Begin to watch."""
        super().startService()
        self._begin()

    def stopService(self) -> None:
        """Watch no longer. The thread ends within a second."""
        super().stopService()
        self._end()

    def _begin(self) -> None:
        self._watched = self._files()
        stop = self._stop = threading.Event()
        folders = sorted({os.path.dirname(file) for file in self._watched})
        if folders:
            threading.Thread(target=self._run, args=(folders, stop), name="natsroute code watch", daemon=True).start()

    def _end(self) -> None:
        if self._stop is not None:
            self._stop.set()
            self._stop = None

    def _run(self, folders: list[str], stop: threading.Event) -> None:
        try:
            for paths in self._watch(folders, stop):
                self._reactor.callFromThread(self._changed, stop, {os.path.realpath(path) for path in paths})
        except Exception as error:  # such as too many watches for the system
            self._reactor.callFromThread(self._failed, stop, str(error))

    def _failed(self, stop: threading.Event, reason: str) -> None:
        if stop is self._stop:
            self.log.error("reload_on_change does not work: {reason}", reason=reason)

    def _changed(self, stop: threading.Event, paths: set[str]) -> None:
        changed = sorted(paths & self._watched)
        if stop is self._stop and changed:
            self.log.info("Changed: {files}. Reloading", files=", ".join(changed))
            self._reload().addBoth(self._reloaded, stop)

    def _reloaded(self, _: object, stop: threading.Event) -> None:
        if stop is self._stop and self._files() != self._watched:
            self._end()
            self._begin()
