"""Says where code is that is not loaded in time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Mapping
from types import FrameType

from natsroute.errors import ScriptError


def begin_time_limit(seconds: float, files: Collection[str], on_late: Callable[[str], object]) -> None:
    """
    Begin to wait, in a thread.

    Code that blocks in a function written in C that does not release the interpreter's lock blocks this thread, too.

    :param files: the files that the settings name.
    :param on_late: called in that thread after the time, with what is wrong.
    """

    def wait() -> None:
        threading.Event().wait(seconds)
        on_late(late(seconds, files, sys._current_frames()))

    threading.Thread(target=wait, name="natsroute time limit", daemon=True).start()


def late(seconds: float, files: Collection[str], frames: Mapping[int, FrameType]) -> str:
    """
    What is wrong with code that was not loaded in time: with the line where it is, if that is in one of its files.

    :param frames: the innermost frames of all threads.
    """
    for frame in frames.values():
        inner: FrameType | None = frame
        while inner is not None:
            if inner.f_code.co_filename in files:
                problem = f"it is still busy here after {seconds:g} s, and was not loaded within that time"
                remedy = "Code must not block while it is loaded"
                return str(ScriptError(inner.f_code.co_filename, inner.f_lineno, 1, problem, remedy))
            inner = inner.f_back
    scripts = [name for name in files if name.endswith(".lua")]  # whose frames Python does not see
    where = f"{scripts[0]}:1:1: " if scripts else ""
    return f"{where}the code was not loaded within {seconds:g} s (reload_timeout): it blocks, or something it imports"
