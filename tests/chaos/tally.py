"""What the publisher was told and what the witness saw, compared message by message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from tests.chaos.messages import subject_of

#: What a publisher can be told of a message; that it failed is told in any other words.
SENT = "sent"

#: Numbers that a complaint shows.
_SHOWN = 20


@attrs.frozen
class RouteCounters:
    """
    The messages of one run, by what became of them.

    :ivar published: numbers that were published.
    :ivar sent: of those, numbers that the publisher was told to have been sent.
    :ivar failed: numbers that it was told to have failed.
    :ivar silent: numbers of which it was told nothing.
    :ivar lost: numbers that were told to have been sent, and never seen.
    :ivar lost_in_all: numbers that were never seen, whatever was told.
    :ivar twice: sightings of a number that had been seen already.
    :ivar out_of_order: numbers seen for the first time after a higher one of their subject.
    :ivar strange: sightings of what was not published, or on another subject.
    :ivar reasons: what was told of those that failed, and how often.
    """

    published: int
    sent: int
    failed: int
    silent: int
    lost: list[int]
    lost_in_all: int
    twice: int
    out_of_order: int
    strange: int
    reasons: Counter[str]

    @property
    def complaints(self) -> list[str]:
        """What must not be, whatever the server does."""
        found = []
        if self.lost:
            found.append(f"{len(self.lost)} confirmed and never seen: {self.lost[:_SHOWN]}")
        if self.silent:
            found.append(f"{self.silent} without an outcome")
        if self.out_of_order:
            found.append(f"{self.out_of_order} out of order")
        if self.strange:
            found.append(f"{self.strange} that nobody published")
        return found


def tally(published: int, outcomes: Mapping[int, str], sightings: Iterable[tuple[str, int]]) -> RouteCounters:
    """
    Compare.

    :param published: the numbers below this were published.
    :param outcomes: what was told of each.
    :param sightings: subject and number of what the witness saw, in order.
    """
    seen: set[int] = set()
    highest: dict[str, int] = {}
    twice = out_of_order = strange = 0
    for subject, number in sightings:
        if number >= published or subject != subject_of(number):
            strange += 1
        elif number in seen:
            twice += 1
        else:
            seen.add(number)
            out_of_order += number < highest.get(subject, -1)
            highest[subject] = max(number, highest.get(subject, -1))
    sent = {number for number, outcome in outcomes.items() if outcome == SENT}
    return RouteCounters(
        published=published,
        sent=len(sent),
        failed=len(outcomes) - len(sent),
        silent=published - len(outcomes),
        lost=sorted(sent - seen),
        lost_in_all=published - len(seen),
        twice=twice,
        out_of_order=out_of_order,
        strange=strange,
        reasons=Counter(outcome for outcome in outcomes.values() if outcome != SENT),
    )
