"""What a run gave."""

from __future__ import annotations

import attrs


@attrs.frozen
class Outcome:
    """
    What a run gave.

    :ivar violations: what must not happen; empty if all is well.
    :ivar figures: what happened, for people to read.
    """

    violations: list[str]
    figures: dict[str, object]
