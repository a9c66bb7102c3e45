"""
What a pseudo-variable holds: null (None), an integer, or a string of bytes.

Kamailio keeps a value's text and its number side by side, and they can differ: ``$(var(x){s.int})`` of ``007`` is the
number 7 with the text ``007``, and ``$rm`` is the text ``OPTIONS`` with a number for the method. Two subclasses carry
the second half.
"""

from __future__ import annotations

from natsroute.errors import EvaluationError

#: What an expression gives.
Value = int | bytes | None

#: What integers are in Kamailio 5.7 and later; they have 32 bits in 5.6.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1

#: No integer has more digits than this, unless they are zeros in front.
_MAX_DIGITS = 19


class NumberText(int):
    """
    A number whose text is not its decimal digits.

    :ivar text: its text.
    """

    text: bytes

    def __new__(cls, number: int, text: bytes) -> NumberText:
        """
        :param number: the number that arithmetic sees.
        :param text: what a format string prints.
        """
        made = super().__new__(cls, number)
        made.text = text
        return made


class CodedText(bytes):
    """
    A text that has a number too.

    :ivar number: its number.
    """

    number: int

    def __new__(cls, text: bytes, number: int) -> CodedText:
        """
        :param text: what a format string prints.
        :param number: what a transformation sees that asks for a number.
        """
        made = super().__new__(cls, text)
        made.number = number
        return made


def text_of(value: int | bytes) -> bytes:
    """The text of a value that is not null."""
    if type(value) is bytes:
        return value
    if isinstance(value, bytes):
        return bytes(value)
    return value.text if isinstance(value, NumberText) else b"%d" % value


def number_of(value: Value) -> int:
    """
    The number of a value.

    :raises EvaluationError: it has none; digits in a string are no number.
    """
    if isinstance(value, int):
        return int(value)
    if isinstance(value, CodedText):
        return value.number
    raise EvaluationError("a number is needed here, not a string" if value is not None else "a number is null")


def parse_integer(text: bytes) -> int | None:
    """
    The integer that a text holds: an optional sign and any number of digits, even none.

    :return: None if it holds anything else, or an integer of more than 64 bits.
    """
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits:
        return 0
    if not digits.isdigit():
        return None
    digits = digits.lstrip(b"0")
    if len(digits) > _MAX_DIGITS:
        return None
    number = int(digits or b"0")
    if text[:1] == b"-":
        number = -number
    return number if MIN_INTEGER <= number <= MAX_INTEGER else None
