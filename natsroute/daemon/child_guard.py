"""
Runs a command that must not outlive the process that started it.

The parent starts ``python child_guard.py COMMAND ...`` and keeps the other end of its standard input. The guard ends
the command when that end closes: because the parent closed it, or because the parent was killed. Whatever the command
left running in its process group is killed too.

A guard that is killed cannot do this. On Linux the kernel then kills the command, though not what the command started.

The guard runs as a file, in an interpreter of its own. It imports nothing but the standard library, so it starts fast.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable

#: Seconds between SIGTERM and SIGKILL.
TERMINATE_TIMEOUT = 5.0

#: prctl(2): the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG = 1


def guarded(command: list[str]) -> list[str]:
    """
    Put a command under a guard.

    :param command: the program and its arguments.
    :return: the command to start instead. Close its standard input to end it.
    """
    # -I and -S: the guard needs neither site-packages nor the environment, and starts faster without them.
    return [sys.executable, "-I", "-S", __file__, *command]


def main(command: list[str]) -> int:
    """
    Run a command until it ends or standard input closes.

    :return: the command's exit code, or 128 plus the number of the signal that killed it.
    """
    # In a session of its own, the guard survives a SIGKILL to the parent's whole process group and can end the command.
    if os.getpid() != os.getpgrp():
        os.setsid()
    # A service manager may send SIGTERM to every process of the service. The parent decides when the command ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # The command gets another session, so that its process group holds nothing but the command and its children.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_dies_with(os.getpid())
    )
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while process.poll() is None:
        ready = {key.fd for key, _ in selector.select()}
        if woken in ready:
            os.read(woken, 4096)
        if 0 in ready and not os.read(0, 4096):
            process.terminate()
            try:
                process.wait(TERMINATE_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    _kill_group(process.pid)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _dies_with(guard: int) -> Callable[[], None] | None:
    """
    Prepare a child of the guard to be killed when the guard ends.

    :return: what the child calls before it becomes the command; None if this is not Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes
    except ImportError:  # Python was built without it
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: between fork and exec, a child does as little as possible

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != guard:  # the guard has ended before that call
            os._exit(1)

    return prepare


def _kill_group(leader: int) -> None:
    """Kill what the command left running."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nothing is left, or on macOS a process that has ended already
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
