"""What waits for the garbage collector, because objects refer to each other."""

from __future__ import annotations

import gc
from collections.abc import Callable


def collect_all() -> None:
    """
    Collect all garbage, for a test that looks at what a later collection finds or frees.

    A finalizer may keep what it refers to until a later collection, such as in the traceback of an error. Then the
    first one finds nothing, so two have to find nothing. An error also has the frames of all its callers: if the
    garbage of another test is collected in a frame, the error can keep its variables.
    """
    found = [1, 1]
    while any(found[-2:]) and len(found) < 20:
        found.append(gc.collect())


def left_in_cycles(function: Callable[[], object], kind: type = BaseException) -> list[str]:
    """
    Call a function, and drop what it returns.

    :return: the types of the objects of this kind that only the garbage collector can free. For an exception, that is
        mostly one whose traceback has a frame with a variable that refers to it. All that its frames have is left, too.
    """
    collect_all()
    gc.disable()
    try:
        function()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return sorted(type(found).__name__ for found in gc.garbage if issubclass(type(found), kind))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
