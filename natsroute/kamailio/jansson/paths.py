"""Paths into JSON documents, as Kamailio's ``jansson`` module follows them: ``a.b[2].c`` or ``[0].a``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from natsroute.errors import EvaluationError

#: A step: the name of a field, or the index of an item.
Step = str | int

_NAME_END = re.compile(r"[.\[]")
_INDEX = re.compile(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))?")
_MISSING = object()


class _BadPathError(ValueError):
    """A path with a wrong character in it."""


@lru_cache(1024)
def _steps(path: str, *, ends_anywhere: bool = False) -> tuple[Step, ...]:
    """
    The steps of a path.

    :param ends_anywhere: what stands behind the last bracket is left out.
    :raises _BadPathError: there is a character in it that cannot be there.
    """
    return tuple(_parse(path, ends_anywhere=ends_anywhere))


def _parse(path: str, *, ends_anywhere: bool) -> Iterator[Step]:
    position = 0
    if path == "[":
        raise _BadPathError
    in_brackets = path.startswith("[")
    position += in_brackets
    name_expected = not in_brackets
    while position < len(path):  # a dot or a bracket at the end leads no further
        if in_brackets:
            end = path.find("]", position)
            if end < 0:
                raise _BadPathError
            yield _index(path[position:end])
            position = end + 1
            in_brackets = name_expected = False
            continue
        match = _NAME_END.search(path, position)
        end = len(path) if match is None else match.start()
        if name_expected:
            yield path[position:end]
        elif end != position:
            if match is None and ends_anywhere:
                return
            raise _BadPathError
        in_brackets = match is not None and match[0] == "["
        name_expected = match is not None and not in_brackets
        position = end + (match is not None)


def _index(text: str) -> int:
    """An index as C reads a number: decimal, octal or hexadecimal; nothing is 0."""
    match = _INDEX.match(text)
    if match is None or match.end() != len(text):
        raise _BadPathError
    sign, hexadecimal, octal, decimal = match.groups()
    number = int(hexadecimal, 16) if hexadecimal else int(octal or "0", 8) if octal else int(decimal or "0")
    return -number if sign == "-" else number


def _child(value: Any, step: Step) -> Any:
    """A field or an item; ``_MISSING`` if there is none."""
    if type(step) is int:
        return value[step] if type(value) is list and 0 <= step < len(value) else _MISSING
    return value.get(step, _MISSING) if type(value) is dict else _MISSING


def find(document: Any, path: str) -> tuple[bool, Any]:
    """
    What a path leads to.

    :return: whether there is something, and what it is. An empty path leads to the whole document.
    """
    try:
        steps = _steps(path)
    except _BadPathError:
        return False, None
    found = document
    for step in steps:
        found = _child(found, step)
        if found is _MISSING:
            return False, None
    return True, found


def change(document: Any, path: str, value: Any, *, append: bool) -> None:
    """
    Set what a path leads to, or append to it. Objects on the way that are not there are added. As in Kamailio, what
    stands behind the last bracket of the path is left out.

    :param append: append to an array, or add the fields of an object to an object.
    :raises EvaluationError: the path leads nowhere, or not to what can be changed so.
    """
    try:
        steps = _steps(path, ends_anywhere=True)
    except _BadPathError:
        raise EvaluationError("the path is malformed") from None
    ends_open = path.endswith((".", "["))
    if steps and type(steps[-1]) is int and not ends_open:
        parent = _walk(document, steps[:-1], last=steps[-1])
        if type(parent) is not list or _child(parent, steps[-1]) is _MISSING:
            raise EvaluationError("there is no such item")
        parent[steps[-1]] = value
        return
    if not append and (not steps or ends_open):
        raise EvaluationError("the path has no name at its end")
    name: str | None = None
    if steps and not ends_open:
        name = str(steps[-1])
        steps = steps[:-1]
    target = _walk(document, steps, last=0 if path.endswith("[") else ".")
    if append:
        _append(target, name, value)
    elif type(target) is dict:
        assert name is not None
        target[name] = value
    else:
        raise EvaluationError("the path does not lead to an object")


def _walk(document: Any, steps: tuple[Step, ...], *, last: Step) -> Any:
    """
    Follow steps, and add objects that are not there.

    :param last: the step that follows; an array is not added for an index.
    """
    found = document
    for step, following in zip(steps, (*steps[1:], last)):
        if step == "":
            raise EvaluationError("the path has an empty name in it")
        inner = _child(found, step)
        if inner is _MISSING:
            if type(step) is int or type(following) is int or type(found) is not dict:
                raise EvaluationError("the path leads nowhere")
            inner = found[step] = {}
        found = inner
    return found


def _append(target: Any, name: str | None, value: Any) -> None:
    found = target if name is None else _child(target, name)
    if type(found) is list:
        found.append(value)
    elif type(found) is dict and type(value) is dict:
        found.update(value)
    else:
        raise EvaluationError("the path does not lead to an array, or to an object for an object")
