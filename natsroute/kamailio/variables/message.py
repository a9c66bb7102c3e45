"""
The variables of a NATS message: ``$natsData``, which Kamailio has, and what it does not show: the message's own
subject, its reply subject, its headers and the queue group that it came through.
"""

from __future__ import annotations

from natsroute.errors import DecodeError, EvaluationError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.reader import Reader
from natsroute.kamailio.values import Value, text_of
from natsroute.kamailio.variables.definitions import Access, Compiler, Definition, Index, computed, dynamic_name

_DELIMITER = b", "


def _to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _data(evaluation: Evaluation) -> Value:
    """The payload; null in the event of a connection."""
    event = evaluation.event
    return event.data if event.address.subject else None


def _subject(evaluation: Evaluation) -> Value:
    subject = evaluation.event.address.subject
    return _to_bytes(subject) if subject else None


def _reply(evaluation: Evaluation) -> Value:
    return evaluation.event.reply_to


def _queue_group(evaluation: Evaluation) -> Value:
    group = evaluation.event.queue_group
    return None if group is None else _to_bytes(group)


def _header(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
    name = dynamic_name(compiler, reader, lambda text: text)

    def values(evaluation: Evaluation) -> list[bytes]:
        wanted = name(evaluation)
        wanted = b"" if wanted is None else text_of(wanted)
        try:
            headers = evaluation.event.headers
        except DecodeError:
            raise EvaluationError("the headers are malformed") from None
        return [_to_bytes(value) for value in headers.get_all(wanted.decode("utf-8", "surrogateescape"))]

    def get(evaluation: Evaluation) -> Value:
        found = values(evaluation)
        if not found:
            return None
        if index is None:
            return found[0]
        if index.all:
            return _DELIMITER.join(found)
        try:
            return found[index.number(evaluation)]
        except IndexError:
            return None

    return Access(get)


VARIABLES: dict[str, Definition] = {
    "natsData": computed(_data),
    "natsSubject": computed(_subject),
    "natsReply": computed(_reply),
    "natsQueueGroup": computed(_queue_group),
    "natsHeader": Definition(_header, has_name=True, has_index=True),
}
