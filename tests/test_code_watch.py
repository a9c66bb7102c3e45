"""natsroute.daemon.code.code_watch"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.code.code_watch import CodeWatch, watch_folders
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder


class Reactor:
    """Calls from threads wait until the test takes them."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[Any] = SimpleQueue()

    def callFromThread(self, function: Any, *arguments: Any) -> None:
        self.calls.put((function, arguments))

    def take(self) -> None:
        """Make one call, once there is one."""
        function, arguments = self.calls.get(timeout=120)
        function(*arguments)


class CodeWatchTests(SynchronousTestCase):
    """A watch whose changes come when the test says so."""

    def setUp(self) -> None:
        self.log = LogRecorder(self)
        self.reactor = Reactor()
        self.files = {os.path.realpath(name) for name in ("/a/routes.py", "/b/helper.py")}
        self.reloads: list[Deferred[None]] = []
        self.folders: SimpleQueue[Any] = SimpleQueue()
        self.changes: SimpleQueue[Any] = SimpleQueue()
        self.watch = CodeWatch(self.reactor, lambda: set(self.files), self.reload, self.watch_folders)
        self.addCleanup(self.changes.put, None)
        self.addCleanup(self.watch.stopService)

    def reload(self) -> Deferred[None]:
        self.reloads.append(Deferred())
        return self.reloads[-1]

    def watch_folders(self, folders: Iterable[str], stop: threading.Event) -> Iterator[Iterable[str]]:
        self.folders.put((list(folders), stop))
        while (change := self.changes.get(timeout=120)) is not None:
            if isinstance(change, Exception):
                raise change
            yield change

    def test_changes(self) -> None:
        """Of these files only; several together are one reload."""
        self.watch.startService()
        self.assertEqual(self.folders.get(timeout=120)[0], ["/a", "/b"])
        for change, reloads in (
            (["/a/other.py"], 0),
            (["/a/routes.py", "/b/helper.py"], 1),
            (["/a/routes.py"], 2),
        ):
            self.changes.put(change)
            self.reactor.take()
            self.assertEqual(len(self.reloads), reloads)
        self.assertEqual(self.log.lines()[0], "Changed: /a/routes.py, /b/helper.py. Reloading")

    def test_other_files(self) -> None:
        """After a reload those are watched that it loaded; after one that fails, the same."""
        self.watch.startService()
        _, stop = self.folders.get(timeout=120)
        self.changes.put(["/a/routes.py"])
        self.reactor.take()
        self.reloads[0].errback(ValueError("no"))
        self.assertFalse(stop.is_set())
        self.changes.put(["/a/routes.py"])
        self.reactor.take()
        self.files = {"/a/routes.py", "/c/new.py"}
        self.reloads[1].callback(None)
        self.assertTrue(stop.is_set())
        self.assertEqual(self.folders.get(timeout=120)[0], ["/a", "/c"])
        self.changes.put(None)

    def test_stopped(self) -> None:
        """What has changed before means nothing any more."""
        self.watch.startService()
        _, stop = self.folders.get(timeout=120)
        self.changes.put(["/a/routes.py"])
        self.watch.stopService()
        self.assertTrue(stop.is_set())
        self.reactor.take()
        self.assertEqual(self.reloads, [])

    def test_no_files(self) -> None:
        """There is nothing to watch."""
        self.files = set()
        self.watch.startService()
        self.assertTrue(self.folders.empty())

    def test_it_fails(self) -> None:
        self.watch.startService()
        self.changes.put(OSError("no space left on device"))
        self.reactor.take()
        self.assertEqual(self.log.lines("error"), ["reload_on_change does not work: no space left on device"])

    def test_not_installed(self) -> None:
        with mock.patch.dict(sys.modules, watchfiles=None):
            error = self.assertRaises(SettingError, watch_folders)
        self.assertIn("pip install 'natsroute[reload]'", str(error))


class WatchFoldersTests(SynchronousTestCase):
    """Real files."""

    def test_a_change(self) -> None:
        """A file that is written, and one that another takes the place of, as editors do it."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "a.py").write_text("1")
        stop = threading.Event()
        found: SimpleQueue[Any] = SimpleQueue()

        def run() -> None:
            for paths in watch_folders()([str(folder)], stop):
                found.put(set(paths))
            found.put(None)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            for number in range(100):  # the first changes may come before it watches
                (folder / "a.py").write_text(f"{number}")
                try:
                    self.assertIn(str(folder / "a.py"), found.get(timeout=1))
                    break
                except Exception:
                    continue
            else:
                self.fail("nothing was seen")
            while not found.empty():
                found.get()
            (folder / "a.py.tmp").write_text("new")
            (folder / "a.py.tmp").replace(folder / "a.py")
            seen: set[str] = set()
            while str(folder / "a.py") not in seen:
                seen |= found.get(timeout=120)
        finally:
            stop.set()
            thread.join(120)
        self.assertFalse(thread.is_alive())
