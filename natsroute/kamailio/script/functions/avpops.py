"""Functions of the module ``avpops`` that look at the values of ``$avp``, delete and copy them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.script.functions.calls import Parameter, function, table
from natsroute.kamailio.script.functions.definitions import Argument
from natsroute.kamailio.values import Value
from natsroute.kamailio.variables.script import avp_name

_FORM = re.compile(r"\$avp\(([^()$]+)\)(?:/([a-z]*))?", re.DOTALL)


class _Avp(NamedTuple):
    """
    ``"$avp(name)/flags"``.

    :ivar name: its name.
    :ivar flags: the letters behind the slash.
    """

    name: Value
    flags: frozenset[str]

    def values(self, evaluation: Evaluation) -> list[int | bytes]:
        """Its values, the newest last."""
        assert isinstance(self.name, (int, bytes))
        return evaluation.own.avps.setdefault(self.name, [])


def _avp(flags: str = "") -> Parameter:
    """
    An AVP with flags. Its name has no variables in it.

    :param flags: those that are allowed; not both of ``n`` and ``s``.
    """
    example = f'Write "$avp(name)", or with flags out of {flags}, "$avp(name)/{flags[0]}"' if flags else "$avp(name)"

    def compiled(argument: Argument) -> Callable[[Evaluation], _Avp]:
        written = str(argument.constant())
        found = _FORM.fullmatch(written)
        letters = frozenset(found[2] or "") if found is not None else frozenset("?")
        if found is None or not letters <= set(flags) or letters >= {"n", "s"}:
            raise argument.position.error(f"{written!r} is not an AVP with such flags", example)
        try:
            name = avp_name(found[1].encode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise argument.position.error(str(error), example) from None
        avp = _Avp(name, letters)
        return lambda evaluation: avp

    return compiled


def _is_set(evaluation: Evaluation, avp: _Avp) -> int:
    """Flags: ``n`` a number, ``s`` a string, ``e`` empty or 0. The newest value counts."""
    values = avp.values(evaluation)
    if not values:
        return -1
    newest = values[-1]
    if ("n" in avp.flags and not isinstance(newest, int)) or ("s" in avp.flags and isinstance(newest, int)):
        return -1
    return -1 if newest and "e" in avp.flags else 1


def _delete(evaluation: Evaluation, avp: _Avp) -> int:
    """Flag: ``g`` all values, not only the newest."""
    values = avp.values(evaluation)
    if not values:
        return -1
    if "g" in avp.flags:
        values.clear()
    else:
        values.pop()
    return 1


def _copy(evaluation: Evaluation, source: _Avp, target: _Avp) -> int:
    """Flags: ``g`` all values, ``d`` delete what was copied, ``n`` as numbers, ``s`` as strings."""
    values, copies = source.values(evaluation), target.values(evaluation)
    if not values:
        return -1
    last = len(values) - 1
    for number in range(last, -1 if "g" in target.flags else last - 1, -1):
        copies.append(_converted(values[number], target.flags))
        if "d" in target.flags:
            del values[number]
    return 1


def _converted(value: int | bytes, flags: frozenset[str]) -> int | bytes:
    if "s" in flags and isinstance(value, int):
        return b"%d" % value
    if "n" in flags and isinstance(value, bytes):
        if value and not value.isdigit():
            raise EvaluationError("a value is not a number")
        return int(value or b"0")
    return value


FUNCTIONS = table(
    function("is_avp_set", _is_set, _avp("ens")),
    function("avp_delete", _delete, _avp("g")),
    function("avp_copy", _copy, _avp(), _avp("gdns")),
)
