"""Examples as modules that a test has for itself."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any


def load_example(path: Path) -> dict[str, Any]:
    """What a file of an example defines, from a run of its own: its variables are those of no other test."""
    return runpy.run_path(str(path))
