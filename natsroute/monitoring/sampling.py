"""
Which messages are traced. It is decided before anything is made for a message: with one message in a hundred traced,
the others must cost next to nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from math import inf, log, log1p
from random import random

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from natsroute.errors import SettingError
from natsroute.log import Logger

_SAMPLER, _ARGUMENT = "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"
_PARENT_BASED = "parentbased_"
_KINDS = ("always_on", "always_off", "traceidratio")
#: What OpenTelemetry's specification says if the variable is not set.
_DEFAULT = "parentbased_always_on"

_IDS = 1 << 64
_ODD = b"13579bdf"


@attrs.frozen
class Sampling:
    """
    Decides which messages are traced.

    :ivar ratio: how many of the messages that no other program has decided on: from 0 to 1.
    :ivar parent_based: whether a message whose ``traceparent`` says that it is sampled is traced, and one that says it
        is not is not traced. Otherwise the ratio decides for those too, by their trace id: each program with the same
        ratio then decides the same.
    """

    ratio: float = 1.0
    parent_based: bool = True

    def follows(self, trace: bytes, flags: bytes) -> bool:
        """
        Whether a message with a parent is traced.

        :param trace: its trace id: 32 hexadecimal digits.
        :param flags: its trace flags: two of them. The lowest bit says that the parent is sampled.
        """
        if self.parent_based:
            return flags[1] in _ODD
        return int(trace[16:], 16) < round(self.ratio * _IDS)

    @classmethod
    def of(cls, environment: Mapping[str, str], ratio: float | None = None) -> Sampling:
        """
        The sampling that OpenTelemetry's variables ask for.

        :param environment: has ``OTEL_TRACES_SAMPLER`` and ``OTEL_TRACES_SAMPLER_ARG``.
        :param ratio: the ratio of ``parentbased_traceidratio``, instead of the variables.
        :raises SettingError: a variable cannot be understood, or asks for a sampler that natsroute does not have.
        """
        if ratio is not None:
            return cls(ratio)
        name = environment.get(_SAMPLER, "").strip() or _DEFAULT
        kind = name.removeprefix(_PARENT_BASED)
        if kind not in _KINDS:
            known = ", ".join((*_KINDS, *(_PARENT_BASED + kind for kind in _KINDS)))
            raise SettingError(_SAMPLER, name, "natsroute has no such sampler", f"Set one of {known}")
        parent_based = name != kind
        if kind != "traceidratio":
            return cls(float(kind == "always_on"), parent_based)
        text = environment.get(_ARGUMENT, "").strip() or "1"
        try:
            wanted = float(text)
        except ValueError:
            wanted = -1.0
        if not 0.0 <= wanted <= 1.0:
            raise SettingError(_ARGUMENT, text, "it is not a number from 0 to 1", "Set a ratio such as 0.01")
        return cls(wanted, parent_based)


class RateLimit:
    """
    Lets a limited number of traces begin: a busy service would otherwise do nothing but trace.

    :param rate: traces a second; as many may begin at once. 0: there is no limit.
    :param seconds: a clock that never goes back.

    :ivar interval: seconds between two traces at this rate.
    """

    log = Logger()

    def __init__(self, rate: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._seconds = seconds
        self.interval = 1 / rate if rate else 0.0
        self._next = float("-inf")  # when the last second has used up what it may, and another may begin
        self._logged = False

    def wait(self) -> float:
        """Seconds until a trace may begin; 0: it may begin now."""
        return max(0.0, self._next - self._seconds())

    def allows(self) -> bool:
        """Whether a trace may begin now. That some may not is logged once."""
        if not self._rate:
            return True
        now = self._seconds()
        begins = max(self._next, now - 1 + self.interval)
        if begins > now:
            if not self._logged:
                self._logged = True
                self.log.warn(
                    "More than {rate} traces a second would begin here (tracing_max_rate). Some messages are not "
                    "traced although the sampler wants them; this is logged once",
                    rate=self._rate,
                )
            return False
        self._next = begins + self.interval
        return True


#: Rests that end at once; the others go on. This bounds the cost of many consumers.
MAX_ENDS = 10


class Rests:
    """
    Calls back when traces may begin again. Those who wait for that need not count messages in the meantime.

    :param clock: the reactor.
    :param limit: has refused a trace.
    """

    def __init__(self, clock: IReactorTime, limit: RateLimit) -> None:
        self._clock = clock
        self._limit = limit
        self._on_end: deque[Callable[[], None]] = deque()
        self._next: IDelayedCall | None = None

    def begin(self, on_end: Callable[[], None]) -> None:
        """
        Begin a rest.

        :param on_end: called once, when a trace may begin; or a little later, if many rest.
        """
        self._on_end.append(on_end)
        if self._next is None:
            self._next = self._clock.callLater(self._limit.wait(), self._end_some)

    def stop(self) -> None:
        """End all rests, and leave nothing in the reactor."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        while self._on_end:
            self._on_end.popleft()()

    def _end_some(self) -> None:
        self._next = None
        for _ in range(min(MAX_ENDS, len(self._on_end))):
            self._on_end.popleft()()
        if self._on_end and self._next is None:
            self._next = self._clock.callLater(max(self._limit.wait(), self._limit.interval), self._end_some)


class Sampler:
    """
    Decides for each message, and for each publish that belongs to no message.

    :param sampling: what is wanted.
    :param limit: how much of it is possible.

    :ivar follows: whether a message with a parent is traced: :meth:`Sampling.follows`.
    :ivar allows: whether a trace that is wanted may begin: :meth:`RateLimit.allows`.
    """

    def __init__(self, sampling: Sampling, limit: RateLimit) -> None:
        self.follows = sampling.follows
        self.allows = limit.allows
        self._ratio = sampling.ratio

    def begins(self) -> bool:
        """Whether a trace begins."""
        return random() < self._ratio and self.allows()

    def gap(self) -> float:
        """
        With which message from now on the sampling wants a trace, counted from 1; infinity if with none. To ask for
        each message, whose answer is mostly no, costs more than to count.
        """
        if self._ratio >= 1.0:
            return 1
        if self._ratio <= 0.0:
            return inf
        return int(log(1.0 - random()) / log1p(-self._ratio)) + 1
