"""natsroute.admin.paths"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.admin.paths import (
    MAX_PATH,
    check_folder,
    is_too_long,
    prepare_folder,
    runtime_folders,
    socket_name,
    sockets_in,
)


class PathsTests(SynchronousTestCase):
    """Which folder, and who may use it."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.uid = os.geteuid()

    def test_runtime_folders(self) -> None:
        """Those of systemd, that of the session, and one that is always there."""
        own, xdg = Path(f"/tmp/natsroute-{self.uid}"), self.folder
        if self.uid == 0:
            own = Path("/run/natsroute")
        for environment, folders in [
            ({}, [own]),
            ({"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}, [own]),
            ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, [Path("/run/a"), Path("/run/b"), own]),
            ({"RUNTIME_DIRECTORY": "a", "XDG_RUNTIME_DIR": "b"}, [own]),
            ({"XDG_RUNTIME_DIR": str(xdg)}, [xdg / "natsroute", own]),
            ({"XDG_RUNTIME_DIR": str(xdg / "none")}, [own]),
            ({"XDG_RUNTIME_DIR": str(xdg), "RUNTIME_DIRECTORY": "/run/a"}, [Path("/run/a"), xdg / "natsroute", own]),
        ]:
            self.assertEqual(runtime_folders(environment, self.uid), folders, environment)
        self.assertEqual(runtime_folders({}, 5), [Path("/tmp/natsroute-5")])
        self.assertEqual(runtime_folders({}, 0), [Path("/run/natsroute")])
        # The folder of another user's session, as after "sudo -E".
        self.assertEqual(runtime_folders({"XDG_RUNTIME_DIR": str(xdg)}, self.uid + 1)[0].parent, Path("/tmp"))

    def test_socket_name(self) -> None:
        self.assertEqual(socket_name("natsroute", 7), "natsroute-7.sock")
        self.assertEqual(socket_name("../a b/ü\n", 7), ".._a_b___-7.sock")
        self.assertEqual(len(socket_name("x" * 200, 7)), 47)

    def test_is_too_long(self) -> None:
        """It is counted in bytes, as the system does."""
        for length, long in ((MAX_PATH, False), (MAX_PATH + 1, True)):
            path = str(self.folder / ("ü" * 20)) + "/"
            path += "x" * (length - len(path.encode()))
            self.assertEqual(is_too_long(path), long)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with socket.socket(socket.AF_UNIX) as one:
                if not long:
                    one.bind(path)

    def test_prepare_folder(self) -> None:
        """It is made, for its user only, and used again."""
        folder = self.folder / "natsroute"
        for _ in range(2):
            prepare_folder(folder, {}, self.uid)
            self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        self.assertRaises(OSError, prepare_folder, self.folder / "none" / "natsroute", {}, self.uid)

    def test_folders_of_others(self) -> None:
        """Nobody else can put a socket there."""
        link, file = self.folder / "link", self.folder / "file"
        link.symlink_to(self.folder)
        file.touch()
        for path in (link, file):
            self.assertIn("not a folder", str(self.assertRaises(OSError, prepare_folder, path, {}, self.uid)))
        error = self.assertRaises(PermissionError, check_folder, self.folder, {}, self.uid + 1)
        self.assertIn(f"belongs to user {self.uid}", str(error))
        for mode in (0o750, 0o701, 0o770, 0o702):
            self.folder.chmod(mode)
            error = self.assertRaises(PermissionError, prepare_folder, self.folder, {}, self.uid)
            self.assertIn(f"{mode:04o}", str(error))

    def test_folder_of_systemd(self) -> None:
        """It may be readable, which is systemd's default, and not writable."""
        environment = {"RUNTIME_DIRECTORY": f"/run/a:{self.folder}"}
        self.folder.chmod(0o755)
        check_folder(self.folder, environment, self.uid)
        self.folder.chmod(0o775)
        self.assertRaises(PermissionError, check_folder, self.folder, environment, self.uid)

    def test_sockets_in(self) -> None:
        """Sockets and nothing else, in the order of their names."""
        (self.folder / "file.sock").touch()
        for name in ("b.sock", "a.sock", "other"):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(self.folder / name))
        self.assertEqual([path.name for path in sockets_in(self.folder)], ["a.sock", "b.sock"])
        self.assertEqual(sockets_in(self.folder / "none"), [])
