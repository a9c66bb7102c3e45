"""The variables of what is around a message: time, environment, definitions, process and chance."""

from __future__ import annotations

import os
import time
import uuid

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.reader import Reader, as_bytes
from natsroute.kamailio.values import CodedText, NumberText, Value, parse_integer
from natsroute.kamailio.variables.definitions import Access, Compiler, Definition, Index, by_name, computed, keyed

#: The bytes that fit into Kamailio's buffer for ``$timef``.
_MAX_FORMATTED = 63

_YEAR_MONTH_DAY_TIME = "%Y-%m-%d %H:%M:%S"


def _env(evaluation: Evaluation, name: bytes) -> Value:
    value = evaluation.consumer.service.environment.get(name.decode("utf-8", "surrogateescape"))
    return None if value is None else value.encode("utf-8", "surrogateescape")


def _envn(evaluation: Evaluation, name: bytes) -> Value:
    value = _env(evaluation, name)
    return NumberText(parse_integer(value) or 0, value) if isinstance(value, bytes) else None


def _def(evaluation: Evaluation, name: bytes) -> Value:
    return evaluation.consumer.service.definitions.get(name)


def _defn(evaluation: Evaluation, name: bytes) -> Value:
    value = evaluation.consumer.service.definitions.get(name)
    return 0 if value is None else NumberText(parse_integer(value) or 0, value)


def _is_quoted(value: bytes) -> bool:
    return len(value) > 1 and value[:1] == value[-1:] and value[:1] in (b'"', b"'")


def _defv(evaluation: Evaluation, name: bytes) -> Value:
    value = evaluation.consumer.service.definitions.get(name)
    return value if value is None or not _is_quoted(value) else value[1:-1]


def _defs(evaluation: Evaluation, name: bytes) -> Value:
    value = evaluation.consumer.service.definitions.get(name)
    return value if value is None or len(value) < 2 or _is_quoted(value) else b'"' + value + b'"'


def _as_date(seconds: float) -> Value:
    text = time.ctime(int(seconds)).encode()
    return CodedText(text, int(seconds))


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000) % 1_000_000


def _now(evaluation: Evaluation) -> float:
    return evaluation.consumer.service.now()


def _new_snapshot(evaluation: Evaluation) -> Value:
    evaluation.consumer.snapshot = _now(evaluation)
    return int(evaluation.consumer.snapshot)


def _now_with_fraction(evaluation: Evaluation) -> Value:
    now = _now(evaluation)
    return b"%d.%06d" % (int(now), _microseconds(now))


def _now_formatted(evaluation: Evaluation) -> Value:
    now = _now(evaluation)
    return time.strftime(_YEAR_MONTH_DAY_TIME, time.localtime(now)).encode() + b".%06d" % _microseconds(now)


def _time_fields(*, utc: bool) -> dict[str, Getter]:
    """``$time(hour)`` and the like. Months and days are counted from 1; the week begins on Sunday."""
    broken_down = time.gmtime if utc else time.localtime

    def field(get: str, *, add: int = 0) -> Getter:
        return lambda evaluation: getattr(broken_down(evaluation.own.moment), get) + add

    def weekday(evaluation: Evaluation) -> Value:
        return (broken_down(evaluation.own.moment).tm_wday + 1) % 7 + 1

    return {
        "sec": field("tm_sec"),
        "min": field("tm_min"),
        "hour": field("tm_hour"),
        "mday": field("tm_mday"),
        "mon": field("tm_mon"),
        "year": field("tm_year"),
        "wday": weekday,
        "yday": field("tm_yday"),
        "isdst": field("tm_isdst"),
    }


def _random_uuid(evaluation: Evaluation) -> Value:
    return str(uuid.uuid4()).encode()


def _uuid_of_time(evaluation: Evaluation) -> Value:
    """It has the time and an address of the machine in it."""
    return str(uuid.uuid1()).encode()


def _safe_uuid(evaluation: Evaluation) -> Value:
    """The same, if the system makes sure that no other process has it, for which Kamailio and Python need uuidd."""
    found = uuid.uuid1()
    if found.is_safe is not uuid.SafeUUID.safe:
        raise EvaluationError("this system gives no UUID that is certain to be the only one of its kind; uuidd does")
    return str(found).encode()


def _formatted(*, utc: bool) -> Definition:
    """``$timef(%Y-%m-%d)`` and ``$utimef(…)``."""
    broken_down = time.gmtime if utc else time.localtime

    def build(compiler: Compiler, reader: Reader, index: Index | None) -> Access:
        template = reader.rest()

        def get(evaluation: Evaluation) -> Value:
            text = as_bytes(time.strftime(template, broken_down(evaluation.own.moment)))
            return text if 0 < len(text) <= _MAX_FORMATTED else None

        return Access(get)

    return Definition(build, has_name=True)


VARIABLES: dict[str, Definition] = {
    "pp": computed(lambda evaluation: os.getpid()),
    "mi": computed(lambda evaluation: evaluation.own.number),
    "RANDOM": computed(lambda evaluation: evaluation.consumer.service.random_number()),
    "uuid": keyed({"g": _random_uuid, "r": _random_uuid, "t": _uuid_of_time, "s": _safe_uuid}),
    "env": by_name(_env),
    "envn": by_name(_envn),
    "def": by_name(_def),
    "defn": by_name(_defn),
    "defv": by_name(_defv),
    "defs": by_name(_defs),
    "Tb": computed(lambda evaluation: evaluation.consumer.service.started),
    "Ts": computed(lambda evaluation: int(evaluation.own.moment)),
    "Tf": computed(lambda evaluation: _as_date(evaluation.own.moment)),
    "TS": computed(lambda evaluation: int(_now(evaluation))),
    "TF": computed(lambda evaluation: _as_date(_now(evaluation))),
    "TV": keyed(
        {
            "s": lambda evaluation: int(evaluation.own.moment),
            "u": lambda evaluation: _microseconds(evaluation.own.moment),
            "sn": _new_snapshot,
            "un": lambda evaluation: _microseconds(evaluation.consumer.snapshot),
            "Sn": _now_with_fraction,
            "Fn": _now_formatted,
        }
    ),
    "time": keyed(_time_fields(utc=False)),
    "utime": keyed(_time_fields(utc=True)),
    "timef": _formatted(utc=False),
    "utimef": _formatted(utc=True),
}
