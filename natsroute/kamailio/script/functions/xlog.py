"""
Functions that log: those of the module ``xlog``, and ``log`` of the core.

The lines are in natsroute's log. Twisted has fewer levels than Kamailio: ``L_NOTICE`` becomes info, and what is more
severe than ``L_ERR`` becomes critical. The fields ``kamailio_level``, ``route`` and ``position`` are for log formats
that show them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from natsroute.errors import ScriptError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.calls import table
from natsroute.kamailio.script.functions.definitions import Action, Argument, FunctionDefinition
from natsroute.log import Logger

_log = Logger()

#: Kamailio's levels.
L_ALERT, L_BUG, L_CRIT2, L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG = range(-5, 4)

_NAMES = ("L_ALERT", "L_BUG", "L_CRIT2", "L_CRIT", "L_ERR", "L_WARN", "L_NOTICE", "L_INFO", "L_DBG")

#: ``xlog`` looks at the third character of a level's name only.
_BY_LETTER = {
    "A": L_ALERT,
    "B": L_BUG,
    "C": L_CRIT2,
    "E": L_ERR,
    "W": L_WARN,
    "N": L_NOTICE,
    "I": L_INFO,
    "D": L_DBG,
}

#: The facilities of syslog that Kamailio knows.
_FACILITIES = frozenset(
    f"LOG_{name}"
    for name in (
        "AUTH", "AUTHPRIV", "CRON", "DAEMON", "FTP", "KERN", "LPR", "MAIL", "NEWS", "SYSLOG", "USER", "UUCP",
        *(f"LOCAL{number}" for number in range(8)),
    )
)  # fmt: skip


class _Write(Protocol):
    def __call__(self, format: str, **fields: object) -> None: ...


def _write_of(level: int) -> _Write:
    """What writes a line with this level of Kamailio."""
    if level <= L_CRIT:
        return _log.critical
    if level == L_ERR:
        return _log.error
    if level == L_WARN:
        return _log.warn
    return _log.info if level <= L_INFO else _log.debug


_WRITE = {level: _write_of(level) for level in range(L_ALERT, L_DBG + 1)}


def write_line(
    evaluation: Evaluation, level: int, text: bytes, position: str = "", *, show_position: bool = False, **more: object
) -> None:
    """
    Write a line of a script. May be called in any thread.

    :param level: one of Kamailio's.
    :param text: its line end is left out.
    :param position: where in the script the call stands.
    :param more: fields for log formats.
    """
    fields = {
        "text": text.decode("utf-8", "surrogateescape").rstrip("\r\n"),
        "kamailio_level": _NAMES[level - L_ALERT],
        "route": evaluation.event.name,
        "position": position,
        **more,
    }
    if show_position:
        _WRITE[level]("<script>: {position}: {text}", **fields)
    else:
        _WRITE[level]("<script>: {text}", **fields)


def _line(
    level: Callable[[Evaluation], int],
    message: Callable[[Evaluation], bytes],
    position: str,
    *,
    show_position: bool = False,
    facility: str | None = None,
) -> Action:
    """A call that writes one line."""
    more: dict[str, object] = {} if facility is None else {"facility": facility}

    def write(evaluation: Evaluation) -> int:
        number = min(max(level(evaluation), L_ALERT), L_DBG)
        write_line(evaluation, number, message(evaluation), position, show_position=show_position, **more)
        return 1

    return write


def _fixed(level: int) -> Callable[[Evaluation], int]:
    return lambda evaluation: level


def _level(argument: Argument) -> Callable[[Evaluation], int]:
    """
    The level: ``"L_INFO"``, a number, or a variable.

    :raises ScriptError: it is none of these.
    """
    try:
        known = argument.constant()
    except ScriptError:
        return argument.number()
    if isinstance(known, int):
        return _fixed(known)
    if known.startswith("$"):
        return argument.number()
    try:
        return _fixed(_BY_LETTER[known[2:3]])
    except KeyError:
        raise argument.position.error(
            f"{known!r} is not a log level", f"Use one of {', '.join(_NAMES)}, or a variable"
        ) from None


def _facility(argument: Argument) -> str:
    """
    The facility of syslog.

    :raises ScriptError: Kamailio does not know it.
    """
    known = argument.constant()
    if known not in _FACILITIES:
        raise argument.position.error(f"{known!r} is not a facility of syslog", "Use one such as LOG_LOCAL0")
    return str(known)


def _xlog(*, show_position: bool) -> Callable[..., Action]:
    """``xlog([[facility,] level,] text)``."""

    def build(*arguments: Argument) -> Action:
        message = arguments[-1]
        level = _fixed(L_ERR) if len(arguments) == 1 else _level(arguments[-2])
        facility = _facility(arguments[0]) if len(arguments) == 3 else None
        return _line(level, message.text(), str(message.position), show_position=show_position, facility=facility)

    return build


def _at(level: int, *, show_position: bool = False) -> Callable[[Argument], Action]:
    """A function such as ``xinfo``, which has the level in its name."""
    return lambda message: _line(_fixed(level), message.text(), str(message.position), show_position=show_position)


def _xlogm(level: Argument, message: Argument) -> Action:
    """Logs nothing, as in Kamailio without the parameter ``methods_filter``. The arguments are checked."""
    _level(level)
    message.text()
    return lambda evaluation: 1


def _core_log(*arguments: Argument) -> Action:
    """``log([level,] text)`` of the core, whose text is not expanded; without a level, below ``L_DBG``."""
    message = arguments[-1]
    text = message.constant()
    level = L_DBG
    if len(arguments) == 2:
        known = arguments[0].constant()
        if not isinstance(known, int):
            raise arguments[0].position.error(
                f"{known!r} is not a log level", "Write a number: 0 for a warning, 1 for a notice, 2 for information"
            )
        level = known
    line = str(text).encode("utf-8", "surrogateescape")
    return _line(_fixed(level), lambda evaluation: line, str(message.position))


FUNCTIONS = table(
    FunctionDefinition("xlog", _xlog(show_position=False), 1, 3),
    FunctionDefinition("xlogl", _xlog(show_position=True), 1, 3),
    FunctionDefinition("xlogm", _xlogm, 2, 2),
    FunctionDefinition("xdbg", _at(L_DBG), 1, 1),
    FunctionDefinition("xdbgl", _at(L_DBG, show_position=True), 1, 1),
    FunctionDefinition("xinfo", _at(L_INFO), 1, 1),
    FunctionDefinition("xnotice", _at(L_NOTICE), 1, 1),
    FunctionDefinition("xwarn", _at(L_WARN), 1, 1),
    FunctionDefinition("xerr", _at(L_ERR), 1, 1),
    FunctionDefinition("xbug", _at(L_BUG), 1, 1),
    FunctionDefinition("xcrit", _at(L_CRIT2), 1, 1),
    FunctionDefinition("xalert", _at(L_ALERT), 1, 1),
    FunctionDefinition("log", _core_log, 1, 2),
)
