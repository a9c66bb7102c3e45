"""A compiled expression, and what the operators make of compiled expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.script.operators import INTEGER_OPERATORS, equal, join, to_int, to_text, wrap
from natsroute.kamailio.values import Value

#: What the operators make of two values.
Apply = Callable[[Value, Value], Value]


@attrs.frozen
class Operand:
    """
    A compiled expression.

    :ivar get: gives its value in an evaluation; raises EvaluationError if it has none. If :attr:`waits`, it returns a
        coroutine that does.
    :ivar kind: ``int`` or ``bytes`` if it always gives that, else None.
    :ivar is_constant: it always gives the same.
    :ivar is_plain: it is a constant, a variable or a call, and not made by an operator.
    :ivar waits: it has a call that the script waits for.
    :ivar get_integer: gives its value where an integer is needed, if that is not the number of its value.
    """

    get: Callable[[Any], Any]
    kind: type[int | bytes] | None = None
    is_constant: bool = False
    is_plain: bool = False
    waits: bool = False
    get_integer: Callable[[Any], Any] | None = None

    @property
    def value(self) -> Any:
        """The value of a constant."""
        assert self.is_constant
        return self.get(None)

    async def wait(self, evaluation: Evaluation) -> Value:
        """Its value, whether it waits or not."""
        value = self.get(evaluation)
        if self.waits:
            value = await value
        return value  # type: ignore[no-any-return]

    def integer(self) -> Callable[[Any], Any]:
        """What gives its value as an integer; a coroutine, if it waits."""
        get = self.get
        if self.get_integer is not None:
            return self.get_integer
        if self.waits:

            async def wait(evaluation: Evaluation) -> int:
                return to_int(await get(evaluation))

            return wait
        if self.kind is int:
            return get
        if self.is_constant:
            number = to_int(self.value)
            return lambda evaluation: number
        return lambda evaluation: to_int(get(evaluation))

    def text(self) -> Callable[[Any], Any]:
        """What gives its value as a string; a coroutine, if it waits."""
        get = self.get
        if self.waits:

            async def wait(evaluation: Evaluation) -> bytes:
                return to_text(await get(evaluation))

            return wait
        if self.is_constant:
            text = to_text(self.value)
            return lambda evaluation: text
        return lambda evaluation: to_text(get(evaluation))


def constant(value: int | bytes) -> Operand:
    """An operand that always has this value."""
    kind: type[int | bytes] = int if isinstance(value, int) else bytes
    return Operand(lambda evaluation: value, kind, is_constant=True, is_plain=True)


def converted(apply: Callable[[Value], int | bytes], kind: type[int | bytes], operand: Operand) -> Operand:
    """What a function makes of the value of an operand."""
    if operand.waits:

        async def wait(evaluation: Evaluation) -> int | bytes:
            return apply(await operand.get(evaluation))

        return Operand(wait, kind, waits=True)
    get = operand.get
    return Operand(lambda evaluation: apply(get(evaluation)), kind, operand.is_constant)


def on_integer(apply: Callable[[int], int], operand: Operand) -> Operand:
    """What an operator makes of an integer."""
    get = operand.integer()
    if operand.waits:

        async def wait(evaluation: Evaluation) -> int:
            return apply(await get(evaluation))

        return Operand(wait, int, waits=True)
    return Operand(lambda evaluation: apply(get(evaluation)), int, operand.is_constant)


def as_integer(operand: Operand) -> Operand:
    """``(int)``."""
    if operand.kind is int:
        return attrs.evolve(operand, is_plain=False)
    return Operand(operand.integer(), int, operand.is_constant, waits=operand.waits)


def as_text(operand: Operand) -> Operand:
    """``(str)``."""
    return Operand(operand.text(), bytes, operand.is_constant, waits=operand.waits)


def on_integers(apply: Callable[[int, int], int], left: Operand, right: Operand) -> Operand:
    """What an operator makes of two integers."""
    left_get, right_get = left.integer(), right.integer()
    if left.waits or right.waits:

        async def wait(evaluation: Evaluation) -> int:
            number = await _awaited(left_get(evaluation), left.waits)
            return apply(number, await _awaited(right_get(evaluation), right.waits))

        return Operand(wait, int, waits=True)
    if right.is_constant:
        number = to_int(right.value)
        get: Getter = lambda evaluation: apply(left_get(evaluation), number)  # noqa: E731
        if apply is INTEGER_OPERATORS["ieq"]:
            get = lambda evaluation: 1 if left_get(evaluation) == number else 0  # noqa: E731
    else:
        get = lambda evaluation: apply(left_get(evaluation), right_get(evaluation))  # noqa: E731
    return Operand(get, int, left.is_constant and right.is_constant)


def on_texts(
    apply: Callable[[bytes, bytes], int | bytes], kind: type[int | bytes], left: Operand, right: Operand
) -> Operand:
    """What an operator makes of two strings."""
    if left.waits or right.waits:
        return waiting(lambda one, other: apply(to_text(one), to_text(other)), kind, left, right)
    left_get, right_get = left.text(), right.text()
    if right.is_constant:
        text = to_text(right.value)
        get: Getter = lambda evaluation: apply(left_get(evaluation), text)  # noqa: E731
    else:
        get = lambda evaluation: apply(left_get(evaluation), right_get(evaluation))  # noqa: E731
    return Operand(get, kind, left.is_constant and right.is_constant)


def on_values(apply: Apply, kind: type[int | bytes] | None, left: Operand, right: Operand) -> Operand:
    """What an operator makes of two values whose types are known only when it runs."""
    if left.waits or right.waits:
        return waiting(apply, kind, left, right)
    left_get, right_get = left.get, right.get
    return Operand(lambda evaluation: apply(left_get(evaluation), right_get(evaluation)), kind)


def waiting(apply: Apply, kind: type[int | bytes] | None, left: Operand, right: Operand) -> Operand:
    """What an operator makes of two values, one of which the script waits for."""

    async def wait(evaluation: Evaluation) -> Value:
        value = await left.wait(evaluation)
        return apply(value, await right.wait(evaluation))

    return Operand(wait, kind, waits=True)


async def _awaited(value: Any, waits: bool) -> Any:
    """A value, or what a coroutine gives."""
    return (await value) if waits else value


def equality(left: Operand, right: Operand) -> Operand:
    """``==``, where the value on the left decides: if it is an integer, one is needed on the right, too."""
    left_get, right_get, right_integer = left.get, right.get, right.integer()
    if left.waits or right.waits:

        async def wait(evaluation: Evaluation) -> int:
            value = await left.wait(evaluation)
            if isinstance(value, int):
                return 1 if value == await _awaited(right_integer(evaluation), right.waits) else 0
            return equal(value, await right.wait(evaluation))

        return Operand(wait, int, waits=True)

    def compare(evaluation: Evaluation) -> int:
        value = left_get(evaluation)
        if isinstance(value, int):
            return 1 if value == right_integer(evaluation) else 0
        return equal(value, right_get(evaluation))

    return Operand(compare, int)


def any_of(operands: list[Operand]) -> Operand:
    """``||`` of operands in a row: the first that is not 0 decides, and the rest is not evaluated."""
    return _in_a_row(operands, stops_at_truth=True)


def all_of(operands: list[Operand]) -> Operand:
    """``&&`` of operands in a row: the first that is 0 decides, and the rest is not evaluated."""
    return _in_a_row(operands, stops_at_truth=False)


def _in_a_row(operands: list[Operand], *, stops_at_truth: bool) -> Operand:
    getters = [operand.integer() for operand in operands]
    stopped, through = (1, 0) if stops_at_truth else (0, 1)
    if any(operand.waits for operand in operands):
        pairs = [(operand.waits, get) for operand, get in zip(operands, getters)]

        async def wait(evaluation: Evaluation) -> int:
            for waits, get in pairs:
                value = get(evaluation)
                if waits:
                    value = await value
                if bool(value) is stops_at_truth:
                    return stopped
            return through

        return Operand(wait, int, waits=True)
    is_constant = all(operand.is_constant for operand in operands)
    if len(getters) == 2:
        first, second = getters
        if stops_at_truth:
            return Operand(lambda evaluation: 1 if first(evaluation) or second(evaluation) else 0, int, is_constant)
        return Operand(lambda evaluation: 1 if first(evaluation) and second(evaluation) else 0, int, is_constant)

    def row(evaluation: Evaluation) -> int:
        for get in getters:
            if bool(get(evaluation)) is stops_at_truth:
                return stopped
        return through

    return Operand(row, int, is_constant)


def sum_of(operands: list[Operand]) -> Operand:
    """
    ``+`` of operands in a row, from the left. If the value on the left is an integer, so is the sum; if an integer is
    needed, as on both sides of ``-``, it is the sum of integers, too.
    """
    first, *others = operands
    if any(operand.waits for operand in operands):
        return _waiting_sum(first, others)
    get_first, getters = first.get, [(operand.get, operand.integer()) for operand in others]
    is_constant = all(operand.is_constant for operand in operands)
    if len(others) == 1 and others[0].kind is int and others[0].is_constant and not is_constant:
        return _incremented(first, others[0].value)

    def get(evaluation: Evaluation) -> Value:
        total: Value = get_first(evaluation)
        for value, integer in getters:
            if isinstance(total, int):
                total = wrap(total + integer(evaluation))
            else:
                total = join(to_text(total), to_text(value(evaluation)))
        return total

    def get_integer(evaluation: Evaluation) -> int:
        total: int = first_integer(evaluation)
        for _, integer in getters:
            total = wrap(total + integer(evaluation))
        return total

    first_integer = first.integer()
    return Operand(get, first.kind, is_constant, get_integer=None if first.kind is bytes else get_integer)


def _incremented(operand: Operand, number: int) -> Operand:
    """``+ 1``, which is what scripts count with."""
    get_value, get_number, digits = operand.get, operand.integer(), to_text(number)

    def get(evaluation: Evaluation) -> Value:
        value = get_value(evaluation)
        return wrap(value + number) if isinstance(value, int) else join(to_text(value), digits)

    def get_integer(evaluation: Evaluation) -> int:
        return wrap(get_number(evaluation) + number)

    return Operand(get, operand.kind, get_integer=None if operand.kind is bytes else get_integer)


def _waiting_sum(first: Operand, others: list[Operand]) -> Operand:
    integers = [(operand.integer(), operand.waits) for operand in (first, *others)]

    async def get(evaluation: Evaluation) -> Value:
        total = await first.wait(evaluation)
        for operand, (integer, waits) in zip(others, integers[1:]):
            if isinstance(total, int):
                total = wrap(total + await _awaited(integer(evaluation), waits))
            else:
                total = join(to_text(total), to_text(await operand.wait(evaluation)))
        return total

    async def get_integer(evaluation: Evaluation) -> int:
        total = 0
        for integer, waits in integers:
            total = wrap(total + await _awaited(integer(evaluation), waits))
        return total

    return Operand(get, first.kind, waits=True, get_integer=None if first.kind is bytes else get_integer)
