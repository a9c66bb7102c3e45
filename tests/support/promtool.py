"""promtool, which comes with Prometheus: it checks metrics and rules. ``apt-get install prometheus`` installs it."""

from __future__ import annotations

import os
import shutil
import subprocess

from twisted.trial.unittest import SkipTest

from tests.support.waiting import TIMEOUT

#: CI sets this variable to 1: then a test fails if promtool is not installed.
REQUIRE = "REQUIRE_PROMTOOL"


def promtool(*arguments: str, text: bytes = b"") -> str:
    """
    Run promtool.

    :param text: its standard input.
    :return: what it has printed; nothing if ``check metrics`` has nothing to say.
    :raises AssertionError: it found a mistake.
    :raises SkipTest: it is not installed.
    """
    path = shutil.which("promtool")
    if path is None:
        if os.environ.get(REQUIRE) == "1":
            raise AssertionError(f"promtool is not installed, and {REQUIRE} is 1")
        raise SkipTest("promtool is not installed")
    run = subprocess.run(
        [path, *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT
    )
    output = run.stdout.decode()
    if run.returncode:
        raise AssertionError(f"promtool {' '.join(arguments)}: {output}")
    return output
