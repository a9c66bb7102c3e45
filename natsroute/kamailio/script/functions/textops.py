"""Functions of the modules ``textops``, ``textopsx`` and ``siputils`` that look at texts."""

from __future__ import annotations

from collections.abc import Callable

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.evaluation import Evaluation
from natsroute.kamailio.expressions import Expression, compile_substitution
from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex
from natsroute.kamailio.script.functions.calls import assignable, filled, function, number, table, text
from natsroute.kamailio.script.functions.definitions import Argument
from natsroute.kamailio.script.functions.wildcards import matches_wildcard
from natsroute.kamailio.sip.uri import parse_uri

_SPACE = b" \t\r\n"
_DIGITS = b"0123456789"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _compared(first: bytes, second: bytes) -> int:
    """1 if they are equal, -1 if the first is greater, -2 if it is less."""
    return 1 if first == second else -1 if first > second else -2


def _cmp_str(evaluation: Evaluation, first: bytes, second: bytes) -> int:
    return _compared(first, second)


def _cmp_istr(evaluation: Evaluation, first: bytes, second: bytes) -> int:
    return _compared(first.lower(), second.lower())


def _starts_with(evaluation: Evaluation, whole: bytes, part: bytes) -> int:
    return -1 if len(whole) < len(part) else _compared(whole[: len(part)], part)


def _ends_with(evaluation: Evaluation, whole: bytes, part: bytes) -> int:
    return -1 if len(whole) < len(part) else _compared(whole[len(whole) - len(part) :], part)


def _str_find(evaluation: Evaluation, whole: bytes, part: bytes) -> int:
    """The position, from 1; -1 if it is not in it. An empty text is found at the end."""
    return (whole.find(part) if part else len(whole)) + 1 or -1


def _str_ifind(evaluation: Evaluation, whole: bytes, part: bytes) -> int:
    return whole.lower().find(part.lower()) + 1 or -1


def _str_any_in(evaluation: Evaluation, whole: bytes, characters: bytes) -> int:
    return 1 if set(whole) & set(characters) else -1


def _str_all_in(evaluation: Evaluation, whole: bytes, characters: bytes) -> int:
    return 1 if whole and characters and set(characters) <= set(whole) else -1


def _search_str(evaluation: Evaluation, whole: bytes, pattern: bytes) -> int:
    """Whether a regular expression matches, which ignores case."""
    if not pattern:
        return 2
    if not whole:
        return -2
    try:
        return 1 if compile_regex(pattern, ignore_case=True).search(whole) is not None else -1
    except BadExpressionError:
        return -2


def _separator(argument: Argument) -> Callable[[Evaluation], bytes]:
    """
    One character.

    :raises ScriptError: it is another text.
    """
    written = str(argument.constant()).encode("utf-8", "surrogateescape")
    if len(written) != 1:
        raise argument.position.error("a separator is one character", 'Write one such as ","')
    return lambda evaluation: written


def _in_list(evaluation: Evaluation, wanted: bytes, items: bytes, separator: bytes) -> int:
    """Whether a text is in a list; the space around its items does not count."""
    if not items:
        return -1
    return 1 if wanted in [item.strip(_SPACE) for item in items.split(separator)] else -1


def _in_list_prefix(evaluation: Evaluation, wanted: bytes, items: bytes, separator: bytes) -> int:
    """Whether a text begins with an item of a list."""
    found = [item.strip(_SPACE) for item in items.split(separator)]
    return 1 if any(item and wanted.startswith(item) for item in found) else -1


def _regex_substring(
    evaluation: Evaluation, whole: bytes, pattern: bytes, index: int, count: int, target: Expression
) -> int:
    """Assign a group of a match to a variable; group 0 is the whole match."""
    if not 0 <= index < count:
        raise EvaluationError("the index is not less than the number of groups")
    try:
        match = compile_regex(pattern, newline=False).search(whole)
    except BadExpressionError:
        raise EvaluationError("the regular expression is malformed") from None
    if match is None:
        return -2
    found = match[index] if index <= compile_regex(pattern, newline=False).groups else None
    if not found:
        raise EvaluationError("the group is empty")
    target.assign(evaluation, found)
    return 1


def _subst_v(evaluation: Evaluation, whole: bytes, substitution: bytes, target: Expression) -> int:
    """Assign a text to a variable, with what a ``/pattern/replacement/flags`` says replaced; -1 if nothing matches."""
    try:
        compiled = compile_substitution(substitution.decode("utf-8", "surrogateescape"))
    except ExpressionError:
        raise EvaluationError("not a /pattern/replacement/flags") from None
    if compiled.pattern.search(whole) is None:
        return -1
    target.assign(evaluation, compiled.apply(whole, evaluation))
    return 1


def _fnmatch(evaluation: Evaluation, whole: bytes, pattern: bytes, flags: bytes = b"") -> int:
    """Whether a shell's wildcard pattern matches the whole text; the flag ``i`` ignores case."""
    if flags[:1] in (b"i", b"I"):
        whole, pattern = whole.lower(), pattern.lower()
    return 1 if matches_wildcard(whole, pattern) else -1


def _is_numeric(evaluation: Evaluation, whole: bytes) -> int:
    return 1 if whole and not whole.strip(_DIGITS) else -2


def _is_tel_number(evaluation: Evaluation, whole: bytes) -> int:
    """Digits, or a plus sign and digits of which the first is not 0."""
    digits = whole[1:] if whole[:1] == b"+" else whole
    if not digits or digits.strip(_DIGITS) or (digits is not whole and digits[:1] == b"0"):
        return -2
    return 1


def _is_alphanum(evaluation: Evaluation, whole: bytes, more: bytes = b"") -> int:
    """Letters and digits of ASCII, and other characters that are named."""
    if not whole:
        return -2
    return -3 if whole.strip(_DIGITS + _LETTERS + more) else 1


def _is_uri(evaluation: Evaluation, whole: bytes) -> int:
    try:
        parse_uri(whole)
    except EvaluationError:
        return -1
    return 1


FUNCTIONS = table(
    function("cmp_str", _cmp_str, text, text),
    function("cmp_istr", _cmp_istr, text, text),
    function("starts_with", _starts_with, text, text),
    function("ends_with", _ends_with, text, text),
    function("str_find", _str_find, text, text),
    function("str_ifind", _str_ifind, text, text),
    function("str_any_in", _str_any_in, text, text),
    function("str_all_in", _str_all_in, text, text),
    function("search_str", _search_str, text, text),
    function("in_list", _in_list, filled, text, _separator),
    function("in_list_prefix", _in_list_prefix, filled, text, _separator),
    function("regex_substring", _regex_substring, text, text, number, number, assignable),
    function("subst_v", _subst_v, text, text, assignable),
    function("fnmatch", _fnmatch, text, text, text, optional=1),
    function("is_numeric", _is_numeric, text),
    function("is_tel_number", _is_tel_number, text),
    function("is_alphanum", _is_alphanum, text),
    function("is_alphanumex", _is_alphanum, text, text),
    function("is_uri", _is_uri, text),
)
