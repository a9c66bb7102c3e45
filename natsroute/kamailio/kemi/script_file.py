"""Reading the file of a script."""

from __future__ import annotations

import os
from pathlib import Path

from natsroute.errors import ScriptError


def read_script_file(path: str) -> bytes:
    """
    The content of a script's file.

    :raises ScriptError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        problem = f"it cannot be read: {os.strerror(error.errno or 0)}"
        raise ScriptError(path, 1, 1, problem, "Set kemi_script, or the modparam load, to a readable file") from None
