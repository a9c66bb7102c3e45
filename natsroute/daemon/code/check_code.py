"""Loads code in a process of its own for ``--check``, and waits for it. No reactor runs."""

from __future__ import annotations

import os
import selectors
import subprocess
import time

import attrs

from natsroute.daemon.child_guard import guarded
from natsroute.daemon.code.time_limit import late
from natsroute.daemon.code.trial_answer import TrialAnswer
from natsroute.daemon.code.trial_process import CODE_SETTINGS, command, names_of_code
from natsroute.daemon.settings.settings import Settings

#: Seconds that the process gets to start, and those that it gets to say itself what blocks.
START_TIME, ANSWER_TIME = 60.0, 5.0


@attrs.frozen
class CheckedCode:
    """
    What came of it.

    :ivar problem: why the code cannot be used; None if it can.
    :ivar printed: the last lines that it printed, escaped.
    """

    problem: str | None = None
    printed: tuple[str, ...] = ()


def check_code(settings: Settings) -> CheckedCode:
    """Load the code that some settings name, for up to ``reload_timeout`` seconds. This process waits."""
    if not any(getattr(settings, name) for name in CODE_SETTINGS):
        return CheckedCode()
    names = names_of_code(settings)
    seconds, answer = settings.reload_timeout, TrialAnswer(names)
    theirs, lifeline = os.pipe()  # the child guard ends the process when this end of it closes
    try:
        process = subprocess.Popen(
            guarded(command(settings, seconds)), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        os.close(lifeline)
        return CheckedCode(f"the code cannot be tried in another process: {error}")
    finally:
        os.close(theirs)
    with process:
        try:
            in_time = _read(process, answer, seconds + ANSWER_TIME)
        finally:
            os.close(lifeline)
        if not in_time:
            process.communicate()  # the guard ends it
            problem = late(seconds, (), {})
            return CheckedCode(problem, tuple(answer.printed))
    return CheckedCode(answer.problem(f"exit code {process.returncode}"), tuple(answer.printed))


def _read(process: subprocess.Popen[bytes], answer: TrialAnswer, seconds: float) -> bool:
    """Read what the process writes until it ends; False if it does not within a time after its first answer."""
    end = time.monotonic() + START_TIME

    def add_answer(data: bytes) -> None:
        nonlocal end
        end = time.monotonic() + seconds
        answer.add_answer(data)

    assert process.stdout is not None
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, add_answer)
        selector.register(process.stderr, selectors.EVENT_READ, answer.add_errors)
        while selector.get_map():
            left = end - time.monotonic()
            if left <= 0:
                return False
            for key, _ in selector.select(left):
                data = os.read(key.fd, 65536)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)
    return True
