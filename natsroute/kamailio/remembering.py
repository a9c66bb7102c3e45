"""Remembering what was parsed, without keeping large payloads in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

#: Values that are longer are parsed anew each time.
MAX_REMEMBERED_LENGTH = 512

_REMEMBERED = 64


def remember_short(
    parse: Callable[Concatenate[bytes, Parameters], Result],
) -> Callable[Concatenate[bytes, Parameters], Result]:
    """
    Remember the last results of a function for short values.

    :param parse: takes a value, and gives what must not be changed.
    """
    remembered = lru_cache(_REMEMBERED)(parse)

    @wraps(parse)
    def wrapper(value: bytes, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        function = remembered if len(value) <= MAX_REMEMBERED_LENGTH else parse
        return function(value, *args, **kwargs)  # type: ignore[arg-type]

    return wrapper
