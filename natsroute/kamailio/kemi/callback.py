"""Whether a script has the event callback, as far as its text tells. The script does not run."""

from __future__ import annotations

import re

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.script_file import read_script_file
from natsroute.nearest import did_you_mean

#: What brings names into a script that its text does not have.
_OTHER_NAMES = re.compile(
    r"import\s+\*|\b(?:require|dofile|loadfile|load|loadstring|exec|setattr|globals|__getattr__)\b"
)
_FUNCTION = re.compile(r"\b(?:def|function)\s+([A-Za-z_]\w*)\s*\(")


def check_callback(path: str, callback: str) -> None:
    """
    Look for the name of the callback in a script.

    :param path: the path of a script in Python or Lua.
    :raises ScriptError: it cannot be read; or the name is nowhere in it, and nothing is there that could define it
        elsewhere.
    """
    source = read_script_file(path).decode("utf-8", "surrogateescape")
    if re.search(rf"\b{re.escape(callback)}\b", source) or _OTHER_NAMES.search(source):
        return
    remedy = did_you_mean(callback, _FUNCTION.findall(source), "Define it as a function of the script", prefix="")
    raise ScriptError(path, 1, 1, f"event_callback is {callback!r}, and there is no such thing", remedy)
