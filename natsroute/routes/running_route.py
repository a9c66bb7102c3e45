"""Which event route runs in a thread at this moment, read from its stack."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FrameType
from typing import Any

from natsroute.routes.route import Route
from natsroute.routes.signatures import called


class RouteCode:
    """
    Knows the code of the functions of event routes, to find a route on the stack of a thread.

    A call costs nothing for it: the stack is there anyway.

    Code that is gone, since a new version was loaded, is forgotten.
    """

    def __init__(self) -> None:
        # By id(): code of two versions of a file is equal if nothing in it differs, and may belong to another route.
        self._names: dict[int, tuple[weakref.ref[CodeType], str]] = {}

    def add(self, route: Route) -> None:
        """Remember the functions of a route. If several routes have the same function, the first gives it its name."""
        for function in (route.function, route.key):
            code = None if function is None else _code(function)
            if code is not None and id(code) not in self._names:
                self._names[id(code)] = weakref.ref(code, partial(self._forget, id(code))), route.name

    def _forget(self, number: int, _: object) -> None:
        self._names.pop(number, None)

    def find(self, frame: FrameType | None) -> tuple[str, str] | None:
        """
        The route whose function is on a stack, and the file and line that it is at.

        :param frame: the innermost frame.
        :return: None if there is no function of a route.
        """
        for one in _outwards(frame):
            known = self._names.get(id(one.f_code))
            if known is not None:
                return known[1], f"{one.f_code.co_filename}:{one.f_lineno}"
        return None


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _code(function: Callable[..., Any]) -> CodeType | None:
    if isinstance(function, partial):
        return _code(function.func)
    code: CodeType | None = getattr(inspect.unwrap(called(function)), "__code__", None)
    return code
