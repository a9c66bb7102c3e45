"""
One fuzzing process: ``python -m tests.fuzz.job PROPERTY``, followed by the arguments and folders for libFuzzer.

It ends at its first finding. Only natsroute is instrumented. More would cost speed and lead away from it. The hot path
must be the one in Python (``NATSROUTE_PURE=1``): in the compiled one nothing is instrumented.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["natsroute"]):
    from natsroute import hot
    from tests.fuzz.properties import PROPERTIES


def main() -> None:
    """Fuzz. This does not return."""
    if hot.IMPLEMENTATION != "pure":
        raise SystemExit(f"the fuzzer would not see the coverage of the {hot.describe()}: set NATSROUTE_PURE=1")
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], PROPERTIES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
