"""Pseudo-variables that are evaluated while a ``kamailio.cfg`` is read, before there is any message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from natsroute.errors import EvaluationError
from natsroute.kamailio.evaluation import ConsumerVariables, Evaluation, EventVariables, ServiceVariables
from natsroute.kamailio.expressions import compile_expression, compile_format, compile_substitution
from natsroute.kamailio.transformations.regex import Substitution
from natsroute.kamailio.values import text_of
from natsroute.routes.event import Event, EventContext


def _publish(*arguments: object, **named: object) -> Any:
    raise EvaluationError("nothing is published while the settings are read")


class StartEvaluation:
    """
    Evaluates what stands in a ``#!subst``, ``#!substdef`` or ``modparamx``, as Kamailio does with a faked message.

    :param definitions: the values of ``$def``, which may still grow.
    :param environment: the values of ``$env``.
    """

    def __init__(self, definitions: Mapping[bytes, bytes], environment: Mapping[str, str]) -> None:
        service = ServiceVariables(definitions=definitions, environment=environment)
        event = Event.of_connection(EventContext(_publish, cast(Any, None), cast(Any, None)))
        self._evaluation = Evaluation(event, EventVariables(ConsumerVariables(service)))
        self._rules: list[Substitution] = []

    def value(self, variable: str) -> int | str | None:
        """
        The value of one variable; None if it is null.

        :raises ExpressionError: it is not one.
        """
        value = compile_expression(variable).value(self._evaluation)
        return value if value is None or type(value) is int else _text(text_of(value))

    def text(self, text: str) -> str:
        """
        A text with the values of its variables.

        :raises ExpressionError: it has a ``$`` in it that begins no variable.
        """
        return _text(compile_format(text).evaluate(self._evaluation))

    def add_substitution(self, rule: str) -> None:
        """
        Add a ``#!subst``.

        :param rule: such as ``/pattern/replacement/g``; any character can be the delimiter.
        :raises ExpressionError: it is not one.
        """
        self._rules.append(compile_substitution(rule))

    def substituted(self, text: str) -> str:
        """The text after all rules, in their order. A rule that matches an empty string does nothing."""
        if not text or not self._rules:
            return text
        value = text.encode("utf-8", "surrogateescape")
        for rule in self._rules:
            try:
                value = rule.apply(value, self._evaluation)
            except EvaluationError:
                continue
        return _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
