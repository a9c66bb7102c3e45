"""natsroute.daemon.processes.spawner"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.client.auth import Credentials
from natsroute.client.servers import Server
from natsroute.daemon.processes.role import Role
from natsroute.daemon.processes.run import Exit
from natsroute.daemon.processes.spawner import MAX_FOLDER, Spawner
from tests.support.memory_process import MemoryProcess, MemoryProcessReactor


class SpawnerTests(SynchronousTestCase):
    """Processes on a reactor in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryProcessReactor()
        self.ended: list[Exit] = []

    def spawner(self, **options: Any) -> Spawner:
        spawner = Spawner(self.reactor, ("--a", "b"), os.getcwd(), environment={"X": "y"}, **options)
        self.addCleanup(spawner.close)
        return spawner

    def spawn(self, spawner: Spawner, number: int, *, fresh: bool = False) -> Role:
        """Start a process; returns the role that it has got."""
        child = spawner.spawn(number, fresh)(lambda: None, self.ended.append)
        process = next(process for process in self.reactor.processes if process.pid == child.pid)
        return Role.from_line(process.written)

    @property
    def newest(self) -> MemoryProcess:
        return self.reactor.processes[-1]

    def test_role(self) -> None:
        """A process gets the command line, the path and the reactor of its parent."""
        role = self.spawn(self.spawner(), 2)
        self.assertEqual((role.number, role.arguments, role.folder), (2, ("--a", "b"), os.getcwd()))
        self.assertEqual((role.python_path, role.cpu, role.server, role.token), (tuple(sys.path), None, "", ""))
        self.assertEqual(role.reactor, "tests.support.memory_process")
        self.assertEqual(self.newest.options["env"], {"X": "y"})

    def test_private_group(self) -> None:
        """All processes of a parent know the same one, those of another parent do not."""
        spawner, other = self.spawner(), self.spawner()
        groups = [self.spawn(spawner, 1).private_group, self.spawn(spawner, 1, fresh=True).private_group]
        self.assertEqual(groups[0], groups[1])
        self.assertNotEqual(groups[0], self.spawn(other, 1).private_group)
        self.assertRegex(groups[0], r"^natsroute\.[0-9a-f]{16}$")

    def test_sockets(self) -> None:
        """Each process has its own, in a folder that nobody else can open; it is removed in the end."""
        spawner = self.spawner()
        paths = [Path(self.spawn(spawner, 1).socket), Path(self.spawn(spawner, 1, fresh=True).socket)]
        self.assertNotEqual(paths[0], paths[1])
        folder = paths[0].parent
        self.assertEqual((paths[1].parent, stat.S_IMODE(folder.stat().st_mode)), (folder, 0o700))
        (folder / "1.sock").touch()
        spawner.close()
        self.assertFalse(folder.exists())

    def test_folder_is_removed(self) -> None:
        """The next process gets a new one."""
        spawner = self.spawner()
        first = Path(self.spawn(spawner, 1).socket).parent
        shutil.rmtree(first)
        second = Path(self.spawn(spawner, 1).socket).parent
        self.assertTrue(second.is_dir())
        self.assertNotEqual(first, second)

    def test_long_path(self) -> None:
        """Where temporary files have long paths, the sockets are elsewhere: the system limits their paths."""
        long = Path(self.mktemp()).absolute() / ("x" * 90)
        long.mkdir(parents=True)
        self.patch(tempfile, "tempdir", str(long))
        socket = self.spawn(self.spawner(), 1).socket
        self.assertLess(len(socket), MAX_FOLDER + 20)
        self.assertEqual(list(long.iterdir()), [])

    def test_embedded_server(self) -> None:
        """Processes get its URL and token, not on the command line and not in the environment."""
        spawner = self.spawner()
        spawner.use(Server("127.0.0.1", 4222, Credentials(token="hunter2")))
        role = self.spawn(spawner, 1)
        self.assertEqual((role.server, role.token), ("nats://127.0.0.1:4222", "hunter2"))
        self.assertNotIn("hunter2", f"{self.newest.command} {self.newest.options}")

    def test_cpu_affinity(self) -> None:
        """The processors that this process may use are dealt out in turn."""
        self.patch(os, "sched_getaffinity", lambda pid: {5, 3})
        spawner = self.spawner(cpu_affinity=True)
        self.assertEqual([self.spawn(spawner, number).cpu for number in (1, 2, 3)], [3, 5, 3])

    def test_spare(self) -> None:
        """It takes the place of a process that has died, with the role of that."""
        spawner = self.spawner()
        self.spawn(spawner, 1)
        spawner.prepare_spare()
        spawner.prepare_spare()
        self.assertEqual(len(self.reactor.processes), 2)
        self.assertEqual(self.newest.written, b"")
        self.assertEqual(self.spawn(spawner, 3).number, 3)
        self.assertEqual(len(self.reactor.processes), 2)
        self.spawn(spawner, 1)
        self.assertEqual(len(self.reactor.processes), 3)

    def test_spare_is_too_old(self) -> None:
        """A process that is to read all code anew is a new one, and the spare ends."""
        spawner = self.spawner()
        spawner.prepare_spare()
        spare = self.newest
        self.spawn(spawner, 1, fresh=True)
        self.assertIsNot(self.newest, spare)
        self.assertEqual((spare.stdin_closed, spare.written), (True, b""))

    def test_spare_has_died(self) -> None:
        spawner = self.spawner()
        spawner.prepare_spare()
        self.newest.exit(None, 9)
        self.spawn(spawner, 1)
        self.assertEqual(len(self.reactor.processes), 2)
        spawner.prepare_spare()
        self.newest.exit(None, 9)
        spawner.prepare_spare()
        self.assertEqual(len(self.reactor.processes), 4)

    def test_no_process_left(self) -> None:
        """A process that is needed is an error, a spare is not."""
        spawner = self.spawner()
        self.reactor.refuses = True
        spawner.prepare_spare()
        self.assertRaises(OSError, self.spawn, spawner, 1)

    def test_close(self) -> None:
        """The spare ends."""
        spawner = self.spawner()
        spawner.prepare_spare()
        spawner.close()
        self.assertTrue(self.newest.stdin_closed)
        spawner.close()

    def test_start_folder_is_gone(self) -> None:
        """Processes start where this one is."""
        spawner = Spawner(self.reactor, (), "/no/such/folder", environment={})
        self.addCleanup(spawner.close)
        self.spawn(spawner, 1)
        self.assertEqual(self.newest.options["path"], os.getcwd())
