"""natsroute.console.services"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute.console import services
from natsroute.console.services import RunningService, Wanted, folders, running_services


class ServicesTests(SynchronousTestCase):
    """Which services are found."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()
        self.uid = os.geteuid()

    def listen(self, name: str) -> Path:
        """A socket at which somebody listens until the test ends."""
        one = socket.socket(socket.AF_UNIX)
        self.addCleanup(one.close)
        path = self.folder / name
        one.bind(str(path))
        one.listen()
        return path

    def running(self) -> list[RunningService]:
        """The services in the folder."""
        return running_services({}, self.uid, [self.folder])

    def test_running(self) -> None:
        """With name and process; not those that were killed, and nothing else."""
        paths = [self.listen("a-b-2.sock"), self.listen("natsroute-1.sock")]
        self.listen("other.sock")
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(self.folder / "killed-3.sock"))
        self.assertEqual(
            self.running(), [RunningService(str(paths[0]), "a-b", 2), RunningService(str(paths[1]), "natsroute", 1)]
        )

    def test_folders_of_others(self) -> None:
        """Another user may have put a socket there."""
        self.listen("natsroute-1.sock")
        self.folder.chmod(0o777)
        self.assertEqual(self.running(), [])
        self.folder.chmod(0o700)
        self.assertEqual(len(self.running()), 1)
        self.assertEqual(running_services({}, self.uid + 1, [self.folder]), [])

    def test_systemd(self) -> None:
        """Root sees the services that systemd runs as other users, each of which may have a folder."""
        self.patch(services, "SYSTEM_FOLDER", self.folder)
        names = ["natsroute", "natsroute-sbc", "natsroute/fra"]
        for name in names:
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "other").mkdir()
        for number, name in enumerate(names):
            self.listen(f"{name}/sbc-{number}.sock")
        expected = sorted(self.folder / name for name in names)
        self.assertEqual([folder for folder in folders({}, 0) if folder.is_relative_to(self.folder)], expected)
        self.assertEqual({service.pid for service in running_services({}, 0, expected)}, {0, 1, 2})
        # The user of the services sees them, too; another one does not.
        self.assertEqual(len(running_services({}, self.uid, expected)), 3)
        self.assertEqual(running_services({}, self.uid + 1, expected), [])

    def test_wanted(self) -> None:
        service = RunningService("/a", "sbc_1", 7)
        for wanted, fits in [
            (Wanted(), True),
            (Wanted(name="sbc 1"), True),
            (Wanted(name="sbc"), False),
            (Wanted(pid=7), True),
            (Wanted(pid=8), False),
            (Wanted("sbc_1", 8), False),
        ]:
            self.assertEqual(wanted.matches(service), fits)
