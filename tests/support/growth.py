"""What grows when something is done again and again: objects, memory, and in a debug build of Python references."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

#: Rounds after which all caches are full, and all rounds.
FEW, MANY = 20, 400

#: Counts all references. Only a debug build has it.
_count_references: Callable[[], int] = getattr(sys, "gettotalrefcount", lambda: 0)


def growth(run: Callable[[], object], few: int = FEW, many: int = MANY) -> dict[str, int]:
    """
    Call a function that often.

    What was there before is not looked at again and again: it is frozen. Who measures many functions calls
    ``gc.freeze()`` once for all of them, as finding out what is there takes longer than the rounds.

    :return: how much more there is at the end than after a few rounds. Less than one in ten rounds, and what the
        measuring itself needs, is not reported.
    """
    was_frozen = gc.get_freeze_count() > 0
    if not was_frozen:
        gc.collect()
    gc.freeze()
    try:
        for _ in range(few):
            run()
        before = _measured()
        for _ in range(many - few):
            run()
        after = _measured()
    finally:
        if not was_frozen:
            gc.unfreeze()
    allowed = (many - few) // 10 + 10
    return {name: after[name] - before[name] for name in after if after[name] - before[name] > allowed}


def _measured() -> dict[str, int]:
    gc.collect()
    return {
        "references": _count_references(),
        "objects": len(gc.get_objects()),
        "blocks of memory": sys.getallocatedblocks(),
    }
