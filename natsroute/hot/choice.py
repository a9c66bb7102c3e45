"""Which implementation of the hot path runs. It is chosen once, when natsroute is imported."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import attrs

from natsroute.hot import pure

#: The extension. It is there if it was compiled when natsroute was built.
EXTENSION = "natsroute.hot._compiled"
#: What the extension is compiled from. A wheel does not have it.
SOURCE = Path(__file__).with_name("_compiled.pyx")
#: Variable that forces the implementation in Python, unless it is empty or 0.
PURE_VARIABLE = "NATSROUTE_PURE"


@attrs.frozen
class Choice:
    """
    What runs, and why.

    :ivar extension: the module that was compiled; None: :mod:`natsroute.hot.pure` runs.
    :ivar reason: why it is the one in Python; empty if it is not.
    :ivar problem: why an extension that is there cannot be loaded; empty if there is none, or if nobody wants it.
    """

    extension: ModuleType | None
    reason: str = ""
    problem: str = ""

    @property
    def implementation(self) -> Literal["compiled", "pure"]:
        """The name of what runs."""
        return "pure" if self.extension is None else "compiled"

    def describe(self) -> str:
        """What runs, and why, for a log line."""
        return f"pure Python hot path ({self.reason})" if self.extension is None else "compiled hot path"


def choose(
    environment: Mapping[str, str] = os.environ,
    load: Callable[[str], ModuleType] = import_module,
    source: Path = SOURCE,
) -> Choice:
    """
    Choose the extension if it is there, can be loaded, and is not forbidden by ``NATSROUTE_PURE``. If its source is
    there, too, it must have been compiled from that.

    :param load: imports a module by name.
    :param source: the file that it must have been compiled from, if that exists.
    """
    if environment.get(PURE_VARIABLE, "") not in ("", "0"):
        return Choice(None, f"{PURE_VARIABLE} is set")
    try:
        extension = load(EXTENSION)
        if source.exists() and getattr(extension, "SOURCE_CHECKSUM", None) != zlib.crc32(source.read_bytes()):
            raise ImportError(
                f"it was compiled from another {SOURCE.name}. Compile it again: python setup.py build_ext --inplace"
            )
        missing = [name for name in pure.__all__ if not hasattr(extension, name)]
        if missing:
            raise ImportError(f"it was compiled for another version: it has no {', '.join(missing)}")
        return Choice(extension)
    except Exception as error:  # one that was compiled for other versions fails with whatever it finds first
        if isinstance(error, ModuleNotFoundError) and error.name == EXTENSION:
            return Choice(None, "the compiled one is not installed")
        problem = f"{type(error).__name__}: {error}"
        return Choice(None, f"the compiled one cannot be loaded: {problem}", problem)


#: What was chosen.
CHOICE = choose()
