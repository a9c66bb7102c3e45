"""What waits for the garbage collector, because objects refer to each other."""

from __future__ import annotations

import gc
from collections.abc import Callable


def left_in_cycles(function: Callable[[], object], kind: type = BaseException) -> list[str]:
    """
    Call a function, and drop what it returns.

    :return: the types of the objects of this kind that only the garbage collector can free. For an exception, that is
        mostly one whose traceback has a frame with a variable that refers to it. All that its frames have is left, too.
    """
    gc.collect()
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
