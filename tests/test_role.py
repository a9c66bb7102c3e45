"""natsroute.daemon.processes.role"""

from __future__ import annotations

import json
import os
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.client.auth import Credentials
from natsroute.daemon.processes.role import Role
from natsroute.daemon.settings.queue_entry import QueueEntry

ROLE = Role(
    2,
    "natsroute.x",
    arguments=["--token", "hunter2"],
    folder="/a",
    python_path=["/b"],
    reactor="c",
    cpu=3,
    socket="/d",
    server="nats://h:1",
    token="hunter2",
)


class RoleTests(SynchronousTestCase):
    """A role on its way to a process."""

    def test_line(self) -> None:
        """A role is a line, whatever it holds, and the line is the role."""
        self.assertEqual(Role.from_line(ROLE.to_line()), ROLE)
        role = Role(1, "g", arguments=["a\nb", "\udcff", "\x00"])
        self.assertEqual(role.to_line().count(b"\n"), 1)
        self.assertEqual(Role.from_line(role.to_line()), role)

    def test_other_version(self) -> None:
        """A parent with a newer version may say more."""
        fields = {**json.loads(ROLE.to_line()), "more": 1}
        self.assertEqual(Role.from_line(json.dumps(fields).encode()), ROLE)

    def test_repr(self) -> None:
        """It shows no credentials."""
        self.assertNotIn("hunter2", repr(ROLE))


class SettingsTests(SynchronousTestCase):
    """The settings of a process."""

    settings = Settings(
        processes=4,
        cpu_affinity=True,
        subject_queue_group=["a:q", "b"],
        jetstream_consumer="calls:billing",
        jetstream_replay="calls",
        warnings=("careful",),
        drain_timeout=7.0,
    )

    def test_first(self) -> None:
        """The first process also consumes what has no queue group, in a queue group that nobody else knows."""
        applied = Role(1, "natsroute.x").applied_to(self.settings)
        self.assertEqual(applied.subject_queue_group, (QueueEntry("a", "q"), QueueEntry("b", None, "natsroute.x")))
        self.assertEqual([str(entry) for entry in applied.subject_queue_group], ["a:q", "b"])
        self.assertEqual((applied.processes, applied.cpu_affinity, applied.drain_timeout), (1, False, 7.0))
        self.assertTrue(applied.first_process)
        self.assertEqual([*map(str, applied.entries[2:])], ["calls:billing", "replay:calls"])
        self.assertEqual(applied.warnings, ("careful",))

    def test_others(self) -> None:
        applied = Role(2, "natsroute.x").applied_to(self.settings)
        self.assertEqual(applied.subject_queue_group, (QueueEntry("a", "q"),))
        self.assertFalse(applied.first_process)
        self.assertEqual([*map(str, applied.entries[1:])], ["calls:billing"])

    def test_http(self) -> None:
        """The parent alone listens, and the process measures what the parent shows."""
        settings = Settings(
            processes=2,
            http_listen="8080",
            http_user="u",
            http_password="p",
            admin_subject="a",
            admin_subject_methods=["reload"],
        )
        applied = Role(1, "g", socket="/s").applied_to(settings)
        self.assertEqual((applied.http_listen, applied.http_address, applied.admin_socket), ("", None, "/s"))
        self.assertEqual((applied.admin_subject, applied.admin_subject_methods), ("", ()))
        self.assertTrue(applied.measures_durations)

    def test_measures(self) -> None:
        """The admin socket of a process is for the parent, which may not ask for durations."""
        self.assertFalse(Role(1, "g", socket="/s").applied_to(self.settings).measures_durations)

    def test_read_again(self) -> None:
        """A process that reads its settings again keeps its role."""
        with mock.patch.dict("os.environ", {"NATSROUTE_PROCESSES": "3", "NATSROUTE_SUBJECT_QUEUE_GROUP": "a:q,b"}):
            applied = Role(2, "g", socket="/s").applied_to(Settings.from_environment(os.environ))
            assert applied.again is not None
            again = applied.again()
        self.assertEqual(again.subject_queue_group, (QueueEntry("a", "q"),))
        self.assertEqual((again.processes, again.admin_socket), (1, "/s"))

    def test_embedded_server(self) -> None:
        """The parent runs it, and the processes connect to it with its token."""
        settings = Settings(processes=2, embedded_server=True, embedded_server_port=4222, embedded_server_store_dir="s")
        applied = Role(1, "g", server="nats://127.0.0.1:4222", token="t").applied_to(settings)
        self.assertFalse(applied.embedded_server)
        self.assertEqual([str(server) for server in applied.servers], ["nats://127.0.0.1:4222"])
        self.assertEqual(Credentials(token=applied.token), Credentials(token="t"))
