"""The value of one ``subject_queue_group``."""

from __future__ import annotations

import attrs

from natsroute.errors import SettingError, SubjectError
from natsroute.wire.subjects import check_pattern, check_queue_group


@attrs.frozen
class QueueEntry:
    """
    One ``subject_queue_group``: a subscription with its own connection.

    :ivar subject: the subject to subscribe to; it may hold wildcards.
    :ivar queue_group: the group whose members share the messages; None for a plain subscription, which gets them all.
    :ivar private_group: a queue group in which only a process and its replacement are, so that they share the messages
        of a plain subscription; None if there is only one process. Nothing but the server sees it.
    """

    subject: str
    queue_group: str | None = None
    private_group: str | None = None

    @classmethod
    def parse(cls, text: str) -> QueueEntry:
        """
        Split ``SUBJECT:GROUP`` at the first colon, as Kamailio's module does. ``SUBJECT`` alone has no group.

        :raises SettingError: the subject or the group is empty or malformed.
        """
        subject, colon, group = text.partition(":")
        try:
            check_pattern(subject)
            if colon:
                check_queue_group(group)
        except SubjectError as error:
            remedy = "Write SUBJECT:GROUP, or SUBJECT alone for a subscription without a queue group"
            raise SettingError("subject_queue_group", text, str(error), remedy) from None
        return cls(subject, group if colon else None)

    @property
    def event_name(self) -> str:
        """What follows ``nats:`` in the name of its events, where no event route names them: as in Kamailio."""
        return self.subject

    def __str__(self) -> str:
        return self.subject if self.queue_group is None else f"{self.subject}:{self.queue_group}"
