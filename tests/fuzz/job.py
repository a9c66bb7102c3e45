"""
One fuzzing process: ``python -m tests.fuzz.job PROPERTY``, and behind it libFuzzer's own arguments and folders.

It ends at its first finding. Nothing but natsroute is instrumented: more would cost speed, and lead elsewhere.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["natsroute"]):
    from tests.fuzz.properties import PROPERTIES


def main() -> None:
    """Does not come back."""
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], PROPERTIES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
