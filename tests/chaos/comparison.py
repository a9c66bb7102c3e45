"""Compares, message by message, what was reported to a publisher with what the subscriber saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from tests.chaos.messages import subject_of

#: The outcome of a message that was sent. Any other outcome is the reason of a failure.
SENT = "sent"

#: Numbers that a violation shows.
_MAX_NUMBERS = 20


@attrs.frozen
class Comparison:
    """
    The messages of one run, by what became of them.

    :ivar published: how many were published.
    :ivar sent: how many were reported to the publisher as sent.
    :ivar failed: how many were reported as failed.
    :ivar unreported: how many were not reported at all.
    :ivar lost: the numbers that were reported as sent and never seen.
    :ivar never_seen: how many were never seen, whatever was reported.
    :ivar repeated: how many times a number was seen that had been seen before.
    :ivar out_of_order: how many numbers were first seen after a higher number of their subject.
    :ivar unexpected: how many times something was seen that nobody published there.
    :ivar reasons: the reasons of the failures, and how often each was reported.
    """

    published: int
    sent: int
    failed: int
    unreported: int
    lost: list[int]
    never_seen: int
    repeated: int
    out_of_order: int
    unexpected: int
    reasons: Counter[str]

    @property
    def violations(self) -> list[str]:
        """What must not happen, whatever the server does; empty if all is well."""
        found = []
        if self.lost:
            found.append(f"{len(self.lost)} confirmed and never seen: {self.lost[:_MAX_NUMBERS]}")
        if self.unreported:
            found.append(f"{self.unreported} without an outcome")
        if self.out_of_order:
            found.append(f"{self.out_of_order} out of order")
        if self.unexpected:
            found.append(f"{self.unexpected} that nobody published")
        return found


def compare(published: int, outcomes: Mapping[int, str], sightings: Iterable[tuple[str, int]]) -> Comparison:
    """
    Compare what was reported with what was seen.

    :param published: how many messages were published; their numbers begin with 0.
    :param outcomes: what was reported of each number.
    :param sightings: subject and number of each message that the subscriber saw, in order.
    """
    seen: set[int] = set()
    highest: dict[str, int] = {}
    repeated = out_of_order = unexpected = 0
    for subject, number in sightings:
        if number >= published or subject != subject_of(number):
            unexpected += 1
        elif number in seen:
            repeated += 1
        else:
            seen.add(number)
            out_of_order += number < highest.get(subject, -1)
            highest[subject] = max(number, highest.get(subject, -1))
    sent = {number for number, outcome in outcomes.items() if outcome == SENT}
    return Comparison(
        published=published,
        sent=len(sent),
        failed=len(outcomes) - len(sent),
        unreported=published - len(outcomes),
        lost=sorted(sent - seen),
        never_seen=published - len(seen),
        repeated=repeated,
        out_of_order=out_of_order,
        unexpected=unexpected,
        reasons=Counter(outcome for outcome in outcomes.values() if outcome != SENT),
    )
