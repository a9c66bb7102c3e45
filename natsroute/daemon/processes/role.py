"""What the parent tells a process that it starts: its number, and how its settings differ from those of the parent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs

from natsroute.daemon.settings.settings import Settings

#: How the queue groups begin under which subscriptions without a queue group are made.
PRIVATE_GROUP = "natsroute."

#: Settings of the parent alone.
OF_THE_PARENT = (
    "http_listen",
    "http_user",
    "http_password",
    "http_tls_cert_file",
    "http_tls_key_file",
    "admin_subject",
)


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen
class Role:
    """
    The role of one process among several.

    :ivar number: its number, from 1.
    :ivar private_group: the queue group under which the first process makes subscriptions that have none. Nobody but
        the processes of this parent knows it.
    :ivar arguments: the command line of the parent, without the name of the program.
    :ivar folder: the working directory once the routes are loaded.
    :ivar python_path: the parent's ``sys.path``.
    :ivar reactor: the module of the parent's reactor.
    :ivar cpu: the processor that it is bound to; None: any.
    :ivar socket: where it listens for the parent.
    :ivar log_level: the rules for the levels of the log.
    :ivar server: the URL of the parent's embedded server, or empty.
    :ivar token: the token for it.
    """

    number: int
    private_group: str
    arguments: tuple[str, ...] = attrs.field(default=(), converter=_texts, repr=False)
    folder: str = ""
    python_path: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    reactor: str = "twisted.internet.default"
    cpu: int | None = None
    socket: str = ""
    log_level: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    server: str = ""
    token: str = attrs.field(default="", repr=False)

    def to_line(self) -> bytes:
        """The role as a line of JSON."""
        return json.dumps(attrs.asdict(self)).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Role:
        """
        Undo :meth:`to_line`. Unknown fields are left out: a process may have another version than its parent.

        :raises ValueError: it is no JSON.
        :raises KeyError: a field is missing.
        """
        fields = json.loads(line)
        return cls(**{name: fields[name] for name in attrs.fields_dict(cls)})

    def applied_to(self, settings: Settings) -> Settings:
        """
        The settings of a process with this role.

        :param settings: the settings of the parent.
        """
        entries = [
            attrs.evolve(entry, private_group=self.private_group) if entry.queue_group is None else entry
            for entry in settings.subject_queue_group
            if entry.queue_group is not None or self.number == 1
        ]
        changes: dict[str, Any] = {
            "processes": 1,
            "cpu_affinity": False,
            "subject_queue_group": entries,
            "jetstream_replay": settings.jetstream_replay if self.number == 1 else (),
            "first_process": self.number == 1,
            "parent_measures": settings.measures_durations,
            "admin_socket": self.socket,
            "admin_subject_methods": (),
            **dict.fromkeys(OF_THE_PARENT, ""),
        }
        again = settings.again
        if again is not None:
            changes["again"] = lambda: self.applied_to(again())
        if settings.embedded_server:
            changes |= {"embedded_server": False, "embedded_server_port": 0, "embedded_server_store_dir": ""}
            changes |= {"nats_url": self.server, "token": self.token}
        return attrs.evolve(settings, **changes)
