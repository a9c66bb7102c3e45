"""
The lines that a log event becomes: text as twistd writes it, or one JSON object.

natsroute's own events are safe to show before they come here (:mod:`natsroute.log`). Those of others are made safe
here: what a route prints, what Twisted logs, and failures that nobody has handled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from twisted.logger import LogEvent, eventAsText, formatEvent
from twisted.python.failure import Failure

from natsroute.log import PrintableFailure
from natsroute.text import MAX_TEXT, printable, safe_str

#: Characters of a line of text.
MAX_LINE = 16 * 1024
#: Lines of an event in text.
MAX_LINES = 200
#: Characters of the message in JSON, and of all further fields together.
MAX_MESSAGE, MAX_FIELDS = 8000, 4000
#: Characters of a line of a traceback in JSON.
MAX_TRACEBACK_LINE = 300
#: Bytes of a JSON object, in UTF-8.
MAX_JSON = 48 * 1024
#: Further fields of a JSON object.
MAX_NAMES = 30

#: The keys that have the same meaning in each line, in this order, where a line has them.
STABLE_KEYS = ("time", "level", "namespace", "event", "route", "subject", "consumer", "connection", "error")
#: Those that an event gives as fields.
_STABLE_FIELDS = STABLE_KEYS[4:8]
#: What an event has in addition, and is in the line already: of Twisted's older logger, and parts of our sentences.
_LEFT_OUT = {
    *STABLE_KEYS,
    *("message", "system", "isError", "printed", "failure", "why", "format"),
    *("prefix", "more", "advice", "which", "to"),
}
_MAX_INTEGER = 2**63


def text_lines(event: LogEvent, *, with_time: bool = True) -> list[str]:
    """
    The lines of an event, as twistd writes it: the second and all further ones begin with a tab.

    :param with_time: whether the first line begins with the local time.
    """
    text = eventAsText(_with_printable_failure(event), includeTimestamp=with_time)
    first, *lines = text.rstrip("\n").split("\n")
    if not text:
        return []
    half = MAX_LINES // 2
    if len(lines) > MAX_LINES:
        lines[half:-half] = [f"... {len(lines) - 2 * half} more lines"]
    return [_printable_line(first), *("\t" + _printable_line(line) for line in lines)]


def json_lines(event: LogEvent) -> list[str]:
    """
    The event as a JSON object in one line: the :data:`STABLE_KEYS`, and its further fields.

    Numbers, booleans and null stay as they are, and everything else becomes text.
    """
    message = formatEvent(event)
    return [_json(event, message)] if message or "log_failure" in event else []


def _json(event: LogEvent, message: str) -> str:
    head = {
        "time": _time(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", "info"),
        "namespace": printable(safe_str(event.get("log_namespace", "-")), 200),
    }
    try:
        fields = dict(_fields(event))
        whole = {
            **head,
            "event": printable(message, MAX_MESSAGE),
            **{key: fields.pop(key) for key in _STABLE_FIELDS if key in fields},
            **_error(event.get("log_failure", event.get("failure"))),  # the latter is that of Twisted's older logger
            **fields,
        }
        line = json.dumps(whole, ensure_ascii=False, allow_nan=False)
        if len(line.encode()) <= MAX_JSON:
            return line
    except Exception as error:
        head["shortened"] = printable(f"{type(error).__name__}: {safe_str(error)}", 200)
    else:
        head["shortened"] = f"{len(line)} characters"
    return json.dumps({**head, "event": printable(message, MAX_TEXT)}, ensure_ascii=False)


def _printable_line(line: str) -> str:
    if len(line) <= MAX_LINE and line.isprintable():
        return line
    shown = "\t".join(printable(part, MAX_LINE) for part in line[:MAX_LINE].split("\t"))
    return f"{shown}... ({len(line)} characters)" if len(line) > MAX_LINE else shown


def _with_printable_failure(event: LogEvent) -> LogEvent:
    failure = event.get("log_failure")
    if isinstance(failure, Failure) and not isinstance(failure, PrintableFailure):
        return {**event, "log_failure": PrintableFailure(failure)}
    return event


def _time(seconds: Any) -> str | None:
    """RFC 3339, in UTC, with milliseconds."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _fields(event: LogEvent) -> Iterator[tuple[str, object]]:
    names = [
        name
        for name in event
        if isinstance(name, str) and not name.startswith("log_") and (name not in _LEFT_OUT or name in _STABLE_FIELDS)
    ][:MAX_NAMES]
    values = {name: _plain(event[name]) for name in names}
    texts = [value for value in values.values() if isinstance(value, str)]
    limit = MAX_FIELDS if sum(map(len, texts)) <= MAX_FIELDS else MAX_FIELDS // len(texts)
    for name, value in values.items():
        if name not in _STABLE_FIELDS or value not in ("", None):
            yield printable(name, 100), printable(value, limit) if isinstance(value, str) else value


def _plain(value: object) -> object:
    """A value that JSON has, or text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and value - value == 0.0:  # neither infinite nor NaN
        return float(value)
    return value if isinstance(value, str) else safe_str(value)


def _error(failure: object) -> Mapping[str, object]:
    """What went wrong, if the event has a failure: its type and text, and its traceback as a list of lines."""
    if not isinstance(failure, Failure):
        return {}
    kind = failure.type
    traceback = (failure if isinstance(failure, PrintableFailure) else PrintableFailure(failure)).getTraceback()
    return {
        "error": {
            "type": printable(f"{kind.__module__}.{kind.__qualname__}" if kind is not None else "", 200),
            "text": printable(safe_str(failure.value)),
            "traceback": [printable(line, MAX_TRACEBACK_LINE) for line in traceback.splitlines()],
        }
    }
