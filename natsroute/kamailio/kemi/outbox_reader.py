"""Publishes what a script has published, in the reactor's thread."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.kamailio.kemi.worker import Worker

#: Subjects that are remembered as text.
_MAX_SUBJECTS = 8192


class OutboxReader:
    """
    Takes the messages out of the outbox of a worker, as long as the publisher has space.

    :param publish: publishes a message: subject, payload, and reply subject or None.
    """

    def __init__(self, publish: Callable[[str, bytes, str | None], object]) -> None:
        self._publish = publish
        self._subjects: dict[bytes, str] = {}
        self._holds = 0

    def hold(self) -> None:
        """Publish nothing more until :meth:`release` has been called as often as this."""
        self._holds += 1

    def release(self) -> bool:
        """Undo one :meth:`hold`; True if it was the last one."""
        self._holds -= 1
        return not self._holds

    def publish_all(self, worker: Worker) -> None:
        """
        Publish what is in the outbox now. What the script publishes meanwhile is for the next call: a script may be as
        fast as this. Publishing may fill the publisher's buffer, which calls :meth:`hold`.
        """
        outbox, publish, subjects, size = worker.outbox, self._publish, self._subjects, 0
        for _ in range(len(outbox)):
            if self._holds:
                break
            subject, payload, reply = outbox.popleft()
            size += len(payload)
            publish(
                subjects.get(subject) or self._subject(subject),
                payload,
                reply.decode("utf-8", "surrogateescape") if reply else None,
            )
        worker.taken_bytes += size
        worker.made_space()

    def _subject(self, subject: bytes) -> str:
        """A subject as text, which is remembered."""
        if len(self._subjects) >= _MAX_SUBJECTS:
            self._subjects.clear()
        decoded = self._subjects[subject] = subject.decode("utf-8", "surrogateescape")
        return decoded
