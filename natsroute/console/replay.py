"""``natsroute replay``: runs recorded messages through event routes without a server, or publishes them again."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from twisted.internet.defer import CancelledError, Deferred

from natsroute.console.commands import ExitCode
from natsroute.console.interruption import finishing, tell
from natsroute.console.session import ConsoleError
from natsroute.console.setting_arguments import CONNECTION, ROUTING, add_setting_arguments, settings_of
from natsroute.daemon.code.rehearsal import Outcome, Rehearsal
from natsroute.daemon.connection_log import ConnectionLog
from natsroute.daemon.connections import Connections
from natsroute.daemon.operations.process_log import log_warnings
from natsroute.daemon.settings.settings import Settings
from natsroute.errors import NatsrouteError, RecordingError, ScriptError, SettingError
from natsroute.recording.format import Recorded, message_fields, read_recording
from natsroute.recording.player import Player
from natsroute.recording.publication import Publication
from natsroute.wire.headers import encode_headers

_NOT_GIVEN = -1.0  # a speed

#: Problems of the same kind that are told one by one.
MAX_TOLD = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.usage = "%(prog)s [OPTIONS] FILE"  # with all settings, an error would be below 20 lines
    parser.add_argument("file", metavar="FILE", help="a recording; - is standard input")
    parser.add_argument(
        "--publish", action="store_true", help="publish the messages to a server, instead of running routes"
    )
    parser.add_argument(
        "--speed",
        type=_speed,
        default=_NOT_GIVEN,
        metavar="SPEED",
        help="original, a factor such as 10, or max [default: max for routes, original for --publish]",
    )
    add_setting_arguments(parser, ROUTING, "what to run")
    add_setting_arguments(parser, CONNECTION, "how to reach the server, for --publish")


def _speed(text: str) -> float | None:
    if text in ("max", "original"):
        return None if text == "max" else 1.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise ArgumentTypeError("it is neither original, nor max, nor a number above 0")
    return factor


async def run(reactor: Any, arguments: Namespace) -> int:
    """Replay; returns 0 if nothing has failed."""
    unused = [f"--{name}" for name in ROUTING if arguments.publish and hasattr(arguments, name)]
    if unused:
        text = f"--publish runs no routes. Leave out {', '.join(unused)}, or --publish"
        raise ConsoleError(ExitCode.USAGE, text)
    settings = settings_of(arguments)
    runs = settings.event_routes or settings.cfg is not None or settings.event_callback or settings.kemi_script
    if not (arguments.publish or runs):
        text = "there is nothing to run. Give --event_routes, --kamailio_cfg or --kemi_script; or --publish"
        raise ConsoleError(ExitCode.USAGE, text)
    log_warnings(sys.stderr)
    with finishing(reactor), _open(arguments.file) as file:
        if arguments.publish:
            return await _publish(reactor, arguments, settings, file)
        return await _rehearse(reactor, arguments, settings, file)


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - its errors are not those of the block
    except OSError as error:
        raise ConsoleError(ExitCode.FAILED, f"{path} cannot be read: {error.strerror}") from None
    with file:
        yield file


class _Report:
    """
    Writes the outcomes of messages as JSON lines, and counts them.

    :param live: whether somebody may look on: each line is written at once then.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self.counts: Counter[str] = Counter()
        self.published = 0
        self.error: OSError | None = None

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.counts[outcome.word] += 1
        self.published += len(outcome.published)
        fields: dict[str, Any] = {"line": outcome.number, "subject": outcome.subject, "outcome": outcome.word}
        if outcome.route:
            fields |= {"route": outcome.route, "seconds": round(outcome.seconds, 6)}
        if outcome.error:
            fields["error"] = outcome.error
        if outcome.published:
            fields["published"] = [
                message_fields(
                    Recorded(0.0, one.subject, one.data, one.reply, encode_headers(one.headers) if one.headers else b"")
                )
                for one in outcome.published
            ]
        try:
            print(json.dumps(fields, separators=(",", ":")), flush=self._live)
        except OSError as error:  # such as a closed pipe: it must not become an error of the route
            self.error = error


async def _rehearse(reactor: Any, arguments: Namespace, settings: Settings, file: BinaryIO) -> int:
    speed = _speed_of(arguments, None)
    report = _Report(live=speed is not None)
    try:
        rehearsal = Rehearsal(reactor, settings, report.add)
    except (SettingError, ScriptError) as error:
        raise ConsoleError(ExitCode.FAILED, str(error)) from None

    def play(number: int, message: Recorded) -> Deferred[None] | None:
        if report.error is not None:
            raise report.error
        return rehearsal.play(number, message.subject, message.payload, message.reply, message.header_block)

    player = Player(reactor, read_recording(file, arguments.file), play, speed)
    code = ExitCode.OK
    try:
        await rehearsal.start()
    except CancelledError:
        return ExitCode.INTERRUPTED
    except Exception as error:
        raise ConsoleError(ExitCode.FAILED, f"the start failed: {type(error).__name__}: {error}") from None
    try:
        code = await _play(player)
    finally:
        await rehearsal.stop(wait=code is not ExitCode.INTERRUPTED)
    counts = report.counts
    tell(
        f"{player.played} messages were played: {counts['succeeded']} calls succeeded, {counts['failed']} failed, "
        f"{counts['unrouted']} messages matched no route; {report.published} messages were published"
    )
    if rehearsal.others:
        tell(f"{rehearsal.others} more messages were published outside calls, such as by hooks")
    return ExitCode.FAILED if code is ExitCode.OK and counts["failed"] else code


async def _publish(reactor: Any, arguments: Namespace, settings: Settings, file: BinaryIO) -> int:
    try:
        connections = Connections(reactor, settings, None, ConnectionLog(reactor))
    except SettingError as error:
        raise ConsoleError(ExitCode.FAILED, str(error)) from None
    connection = connections.new("replay")
    problems = 0

    def on_problem(text: str) -> None:
        nonlocal problems
        problems += 1
        if problems <= MAX_TOLD:
            tell(text)

    publication = Publication(
        reactor, connection, lambda number, reason: on_problem(f"{arguments.file}:{number}: not published: {reason}")
    )
    connection.observe_errors(lambda error, server: on_problem(f"{server}: {error}"))
    player = Player(reactor, read_recording(file, arguments.file), publication.play, _speed_of(arguments, 1.0))
    connections.start()
    code = ExitCode.FAILED
    try:
        await connections.when_connected()
        code = await _play(player)
        await publication.end()
    except NatsrouteError as error:
        code = ExitCode.FAILED
        tell(str(error))
    except CancelledError:
        code = ExitCode.INTERRUPTED
    finally:
        await connection.stopService()
    tell(f"{player.played} messages were played: the server has confirmed {publication.confirmed}")
    if problems > MAX_TOLD:
        tell(f"{problems - MAX_TOLD} more problems")
    return ExitCode.FAILED if code is ExitCode.OK and problems else code


async def _play(player: Player) -> ExitCode:
    """Play everything, and tell what is wrong with the recording."""
    code = ExitCode.OK
    try:
        await player.run()
    except RecordingError as error:
        tell(f"{error}. The {player.played} messages before it were played")
        code = ExitCode.FAILED
    except CancelledError:
        code = ExitCode.INTERRUPTED
    if player.lost:
        tell(f"the recording lacks {player.lost} messages, which its recorder could not keep up with")
    return code


def _speed_of(arguments: Namespace, default: float | None) -> float | None:
    return default if arguments.speed == _NOT_GIVEN else arguments.speed
