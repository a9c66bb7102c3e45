"""
Runs a command that must not outlive its master.

The master starts ``python child_guard.py COMMAND ...`` and keeps the other end of its standard input. When that end
closes, because the master wanted it or because the master was killed with no time for anything, the command is ended.
However it ends, the processes that it started and left behind in its process group end too. Run as a file, without the
rest of natsroute, so that it starts at once and needs nothing but Python.
"""

import os
import selectors
import signal
import subprocess
import sys

GRACE = 5.0  # seconds between asking the command to end and killing it


def main(command):
    """Run the command to its end, or to that of standard input; gives its exit code."""
    # In a session of its own the leash outlives even a SIGKILL to its master's whole group, and ends the command then.
    if os.getpid() != os.getpgrp():
        os.setsid()
    # A service manager's SIGTERM may reach every process; the master decides when to end.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    # And the command in another, so that its group holds it and what it starts, and nothing else.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
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
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    kill_group(process.pid)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def kill_group(leader):
    """End what the command started and left behind."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # nothing is left; on macOS perhaps a process that has ended already
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
