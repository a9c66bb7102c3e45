"""``natsroute record``: writes messages to a file as they arrive."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, BinaryIO

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThreadPool

from natsroute.console.commands import ExitCode
from natsroute.console.interruption import finishing, tell
from natsroute.console.session import ConsoleError
from natsroute.console.setting_arguments import CONNECTION, add_setting_arguments, settings_of
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.operations.process_log import log_warnings
from natsroute.errors import NatsrouteError
from natsroute.recording.recorder import Recorder
from natsroute.wire.subjects import check_pattern, check_queue_group, overlaps


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.usage = "%(prog)s [OPTIONS] SUBJECT [SUBJECT ...]"  # with all settings, an error would be below 20 lines
    parser.add_argument("subjects", nargs="+", metavar="SUBJECT", help="what to record; it may have wildcards")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write [default: standard output]")
    parser.add_argument("--count", type=positive(int), metavar="N", help="end after N messages")
    parser.add_argument(
        "--seconds", type=positive(float), metavar="S", help="end S seconds after the server is connected"
    )
    parser.add_argument(
        "--queue-group", metavar="GROUP", help="share the messages with other members; without it, copies are recorded"
    )
    add_setting_arguments(parser, CONNECTION, "how to reach the server")


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """The type of an argument that is a number above 0."""

    def read(text: str) -> Any:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise ArgumentTypeError("it must be above 0")
        return number

    read.__name__ = kind.__name__  # for argparse's error
    return read


async def run(reactor: Any, arguments: Namespace) -> int:
    """Record until there are enough messages, or until SIGINT or SIGTERM. Returns 1 if messages were lost."""
    _check(arguments.subjects, arguments.queue_group)
    settings = settings_of(arguments)
    log_warnings(sys.stderr)
    file = _open(arguments.output)
    with finishing(reactor):
        try:
            connections = _connections(reactor, settings)
            connection = connections.new("record")
            recorder = Recorder(
                file,
                lambda function, lines: deferToThreadPool(reactor, reactor.getThreadPool(), function, lines),
                max_messages=arguments.count,
            )
            for subject in arguments.subjects:
                connection.subscribe(subject, recorder.on_msg, arguments.queue_group)
            connections.start()
            try:
                await connections.when_connected()
                tell(f"recording {', '.join(arguments.subjects)}")
                await _end(reactor, recorder, arguments.seconds)
            except CancelledError:  # SIGINT or SIGTERM
                pass
            finally:
                await connection.stopService()
                await recorder.stop()
        except NatsrouteError as error:
            raise ConsoleError(ExitCode.FAILED, str(error)) from None
        finally:
            if arguments.output is not None:
                file.close()
    tell(f"{recorder.recorded} messages were recorded")
    if recorder.lost:
        tell(f"{recorder.lost} messages were lost: they arrived faster than they could be written")
        return ExitCode.FAILED
    return ExitCode.OK


def _check(subjects: Sequence[str], queue_group: str | None) -> None:
    try:
        for subject in subjects:
            check_pattern(subject)
        if queue_group is not None:
            check_queue_group(queue_group)
    except NatsrouteError as error:
        raise ConsoleError(ExitCode.USAGE, str(error)) from None
    for one, other in combinations(subjects, 2):
        if overlaps(one, other):
            text = f"{one} and {other} overlap: what matches both would be recorded twice. Leave one of them out"
            raise ConsoleError(ExitCode.USAGE, text)


def _connections(reactor: Any, settings: Any) -> Connections:
    return Connections(reactor, settings, None, ConnectionLog(reactor))


def _open(path: str | None) -> BinaryIO:
    if path is None:
        return sys.stdout.buffer
    try:
        # A recording has payloads: only its owner may read it.
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    except OSError as error:
        raise ConsoleError(ExitCode.FAILED, f"{path} cannot be written: {error.strerror}") from None


def _end(reactor: Any, recorder: Recorder, seconds: float | None) -> Deferred[None]:
    """Fires when the recording has ended by itself."""
    if seconds is not None:
        recorder.ended.addTimeout(seconds, reactor, onTimeoutCancel=lambda result, timeout: None)
    return recorder.ended
