"""Checks of what goes to the JetStream API and of what comes from it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from natsroute.errors import SubjectError
from natsroute.jetstream.api import JetStreamApi
from natsroute.jetstream.errors import InvalidApiAnswerError
from natsroute.wire.subjects import check_subject

_Value = TypeVar("_Value")

_FORBIDDEN = re.compile(r"[./\\*>]")


def check_name(name: str) -> str:
    """
    The name of a stream or consumer, if it is one.

    :raises SubjectError: it is none. It would change the meaning of the subject that it is a part of.
    """
    check_subject(name)
    if _FORBIDDEN.search(name):
        raise SubjectError(f"the name {name!r} has one of the characters . * > / \\")
    return name


def read(
    api: JetStreamApi, method: str, answer: Mapping[str, Any], reader: Callable[[Mapping[str, Any]], _Value]
) -> _Value:
    """
    What a reader makes of an answer.

    :raises InvalidApiAnswerError: something is missing in it, or of another type.
    """
    try:
        return reader(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        data = json.dumps(answer).encode()
        raise InvalidApiAnswerError(f"{api.prefix}.{method}", data, f"{type(problem).__name__}: {problem}") from None
