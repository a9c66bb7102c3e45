"""How long a loop over a backlog may hold the reactor before other things have their turn."""

from __future__ import annotations

#: Seconds. A loop that takes longer continues in the next turn of the reactor.
MAX_TURN = 0.005
