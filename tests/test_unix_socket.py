"""natsroute.admin.unix_socket"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.methods import Methods
from natsroute.admin.unix_socket import AdminSocket, OptionalAdminSocket, default_path, remove_if_stale
from natsroute.errors import SettingError
from tests.support.log_recorder import LogRecorder


class AdminSocketTests(SynchronousTestCase):
    """The file of the socket. Only the kernel accepts connections here; no reactor runs."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.path = self.folder / "a.sock"
        self.reactor = MemoryReactorClock()

    def admin_socket(self, kind: type[AdminSocket] = AdminSocket, path: Path | None = None) -> AdminSocket:
        """An admin socket at the path."""
        return kind(self.reactor, Methods(), lambda: str(path or self.path))

    def stop(self, one: AdminSocket) -> None:
        """Stop it, and check that it has stopped."""
        stopped = one.stopService()
        self.reactor.advance(0)
        self.successResultOf(stopped)

    def leave(self, path: Path) -> None:
        """Leave a socket behind, as a process does that is killed."""
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
            one.listen()

    def test_start_and_stop(self) -> None:
        """Others have no access from the first moment. It can be started again."""
        one = self.admin_socket()
        for _ in range(2):
            umask = os.umask(0)
            self.addCleanup(os.umask, umask)
            one.startService()
            self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
            self.assertEqual(one.path, str(self.path))
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.path))
            self.stop(one)
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_stale_socket(self) -> None:
        """It is replaced."""
        self.leave(self.path)
        one = self.admin_socket()
        one.startService()
        self.stop(one)

    def failure(self, path: Path | None = None) -> SettingError:
        """The error of a start."""
        one = self.admin_socket(path=path)
        error: SettingError = self.assertRaises(SettingError, one.startService)
        self.assertEqual(error.setting, "admin_socket")
        self.stop(one)
        return error

    def test_somebody_listens(self) -> None:
        """Also if that process is busy, and the queue of its connections is full."""
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as client:
            other.bind(str(self.path))
            other.listen(0)
            client.setblocking(False)
            client.connect(str(self.path))
            for _ in range(2):
                self.assertIn("another process listens there", self.failure().problem)
            self.assertIn("its own admin_socket", self.failure().remedy)
        self.assertTrue(self.path.exists())

    def test_unusable_paths(self) -> None:
        """Each error says what to do. Nothing that is not ours is removed."""
        file = self.folder / "file"
        file.write_text("important")
        for path, problem, remedy in [
            (file, "there is a file that is no socket", "or remove the file"),
            (self.folder, "there is a file that is no socket", "or remove the file"),
            (self.folder / "none" / "a.sock", "No such file or directory", "Create the folder"),
            (self.folder / ("x" * 120), "more than 107 bytes", "Give a shorter path"),
            (file / "a.sock", "Not a directory", "in a folder that"),
        ]:
            error = self.failure(path)
            self.assertIn(problem, error.problem)
            self.assertIn(remedy, error.remedy)
            self.assertEqual(error.value, str(path))
        self.assertEqual(file.read_text(), "important")

    def test_optional(self) -> None:
        """The service runs without it, and the log says why."""
        log = LogRecorder(self)
        one = self.admin_socket(OptionalAdminSocket, self.folder)
        one.startService()
        [line] = log.lines("warn")
        self.assertIn(f"There is no admin socket at {self.folder}: there is a file that is no socket", line)
        self.assertIn("admin_socket=off", line)
        self.stop(one)

    def test_removed_meanwhile(self) -> None:
        """Stopping does not fail, and leaves a socket alone that has taken the place."""
        one = self.admin_socket()
        one.startService()
        self.path.unlink()
        self.stop(one)
        one.startService()
        self.path.unlink()
        self.leave(self.path)
        self.stop(one)
        self.assertTrue(self.path.exists())

    def test_default_path(self) -> None:
        """In a folder of its own, where it also removes sockets of processes that were killed, and no others."""
        folder = self.folder / "natsroute"
        environment = {"XDG_RUNTIME_DIR": str(self.folder)}
        expected = str(folder / f"me-{os.getpid()}.sock")
        self.assertEqual(default_path(environment, "me"), expected)
        self.leave(folder / "killed-1.sock")
        (folder / "other.sock").touch()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(folder / "running-2.sock"))
            other.listen()
            self.assertEqual(default_path(environment, "me"), expected)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), ["other.sock", "running-2.sock"])

    def test_default_folder_cannot_be_used(self) -> None:
        (self.folder / "natsroute").symlink_to("/tmp")
        error = self.assertRaises(SettingError, default_path, {"XDG_RUNTIME_DIR": str(self.folder)}, "me")
        self.assertIn("a link or a file and not a folder", error.problem)

    def test_remove_if_stale(self) -> None:
        remove_if_stale(str(self.path))
        self.leave(self.path)
        remove_if_stale(str(self.path))
        self.assertFalse(self.path.exists())
