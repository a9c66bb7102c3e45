"""
One fuzzing process: ``python -m tests.fuzz.job PROPERTY``, followed by the arguments and folders for libFuzzer.

It ends at its first finding. Only natsroute is instrumented. More would cost speed and lead away from it.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["natsroute"]):
    from tests.fuzz.properties import PROPERTIES


def main() -> None:
    """Fuzz. This does not return."""
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], PROPERTIES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
