"""What is probably wrong with the subjects of consumers and event routes, although it is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice, product

from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.routes.route import CONNECTION_EVENTS, PREFIX
from natsroute.wire.subjects import is_wildcard, overlaps

_MAX_NAMES = 10


def subject_warnings(entries: Sequence[QueueEntry], routes: Sequence[str], streams: bool = False) -> Iterator[str]:
    """
    Warnings, each a sentence.

    :param entries: the consumers.
    :param routes: the names of the event routes.
    :param streams: whether there are consumers of streams, too. Then any route may be reached.
    """
    routes = [name for name in routes if name.startswith(PREFIX)]
    named = [(str(entry), entry.subject) for entry in entries] + [(name, name[len(PREFIX) :]) for name in routes]
    for name, pattern in named:
        yield from _literal_wildcards(name, pattern)
    yield from _and_more(_overlaps(entries), "pairs of subject_queue_groups that overlap")
    if entries and not streams:
        unreached = [name for name in routes if not _is_reached(name, entries)]
        if unreached:
            more = len(unreached) - _MAX_NAMES
            rest = f", and {more} more" if more > 0 else ""
            yield f"No subject_queue_group reaches these event routes: {', '.join(unreached[:_MAX_NAMES])}{rest}"


def _literal_wildcards(name: str, pattern: str) -> Iterator[str]:
    for token in pattern.split("."):
        if len(token) > 1 and ("*" in token or ">" in token):
            yield f"{name}: '*' and '>' are wildcards only as a whole token. {token!r} matches only itself"


def _overlaps(entries: Sequence[QueueEntry]) -> Iterator[str]:
    """The server shares the messages of a queue group among all members, whatever subject each subscribed to."""
    for one, other in _overlapping(entries):
        if one.queue_group is None or one.queue_group != other.queue_group:
            yield f"{one} and {other} overlap: a message that matches both is handled twice"
        elif one != other:
            yield (
                f"{one} and {other} overlap in one queue group: a message that matches both goes to one of them, and "
                "messages to one subject are not handled in order"
            )


def _overlapping(entries: Sequence[QueueEntry]) -> Iterator[tuple[QueueEntry, QueueEntry]]:
    """The pairs, without a comparison of each subject with each other: there may be thousands, and few wildcards."""
    same: dict[str, list[QueueEntry]] = {}
    for entry in entries:
        same.setdefault(entry.subject, []).append(entry)
    for equal in same.values():
        yield from combinations(equal, 2)
    wildcards = [subject for subject in same if is_wildcard(subject)]
    for number, pattern in enumerate(wildcards):
        earlier = set(wildcards[: number + 1])
        for subject in same:
            if subject not in earlier and overlaps(pattern, subject):
                yield from product(same[pattern], same[subject])


def _and_more(warnings: Iterable[str], what: str) -> Iterator[str]:
    """The first of many."""
    warnings = iter(warnings)
    yield from islice(warnings, _MAX_NAMES)
    more = sum(1 for _ in warnings)
    if more:
        yield f"There are {more} more {what}"


def _is_reached(name: str, entries: Iterable[QueueEntry]) -> bool:
    is_event = name in CONNECTION_EVENTS
    return is_event or any(overlaps(name[len(PREFIX) :], entry.subject) for entry in entries)
