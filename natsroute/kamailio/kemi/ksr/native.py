"""
The functions of ``KSR`` that native scripts have too: a call from KEMI is one of the native function.

What the native function finds in the script when it is compiled, an argument here has when the function is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from natsroute.errors import EvaluationError, ExpressionError
from natsroute.kamailio.cfg.source import Position
from natsroute.kamailio.evaluation import Evaluation, Getter
from natsroute.kamailio.expressions import Expression, compile_expression, compile_format
from natsroute.kamailio.kemi.context import ScriptContext
from natsroute.kamailio.kemi.ksr.definitions import KemiFunction, Result, Run, table
from natsroute.kamailio.regular_expressions import Pattern
from natsroute.kamailio.script.functions import FUNCTIONS as NATIVE
from natsroute.kamailio.script.functions.definitions import Action, Argument
from natsroute.kamailio.values import Value


class _SomePosition(Position):
    """Where a call stands is not known: scripts compute their arguments."""

    def __str__(self) -> str:
        return "a KEMI script"


_POSITION = _SomePosition("", 0, 0)


class _Slot:
    """
    An argument whose value comes with the call: an :class:`Argument` of a native function.

    :param expands: whether the function expands variables in it.

    :ivar content: the value of the call that is made.
    """

    def __init__(self, expands: bool) -> None:
        self.content: int | bytes = b""
        self._expands = expands

    @property
    def position(self) -> Position:
        return _POSITION

    def constant(self) -> str | int:
        raise AssertionError("no function with a constant is in the table")

    def text(self) -> Callable[[Evaluation], bytes]:
        if self._expands:
            return self._expanded
        return lambda evaluation: cast(bytes, self.content)

    def number(self) -> Callable[[Evaluation], int]:
        return lambda evaluation: cast(int, self.content)

    def value(self) -> Getter:
        return lambda evaluation: self.content

    def variable(self) -> Expression:
        def compiled() -> Expression:
            try:
                return compile_expression(self._decoded())
            except ExpressionError as error:
                raise EvaluationError(str(error)) from None

        def get(evaluation: Evaluation) -> Value:
            return compiled().evaluate(evaluation)

        def assign(evaluation: Evaluation, value: Value) -> None:
            compiled().assign(evaluation, value)

        return Expression("a variable", get, assign)

    def regex(self) -> Callable[[Evaluation], Pattern]:
        raise AssertionError("no function with a regular expression is in the table")

    def _expanded(self, evaluation: Evaluation) -> bytes:
        text = self._decoded()
        try:
            return compile_format(text).evaluate(evaluation)
        except ExpressionError as error:
            evaluation.consumer.service.on_failure(text, EvaluationError(error.problem))
            return cast(bytes, self.content)

    def _decoded(self) -> str:
        return cast(bytes, self.content).decode("utf-8", "surrogateescape")


def _native(name: str, parameters: str, native: str, success: int = 1, ignored: str = "") -> KemiFunction:
    """
    A function that calls a native one.

    :param parameters: as in :class:`KemiFunction`; also ``x`` for a string in which variables are expanded.
    :param ignored: further parameters, which have no effect.
    :param success: the result where the native one is 1.
    """
    definition = NATIVE[native]

    def new(context: ScriptContext) -> Run:
        slots = [_Slot(expands=letter == "x") for letter in parameters]
        arguments: list[Argument] = [*slots]
        action = cast(Action, definition.build(*arguments))

        def run(*contents: int | bytes) -> Result:
            for slot, content in zip(slots, contents):
                slot.content = content
            try:
                result = action(context.evaluation)
            except EvaluationError as error:
                context.failed(name, str(error))
                return -1
            return success if result == 1 else result

        return run

    return KemiFunction(name, parameters.replace("x", "s") + ignored, new)


def _xlog_at_level() -> KemiFunction:
    """``xlog.xlog(level, text)``."""
    levels = {b"alert": "xalert", b"crit": "xcrit", b"warn": "xwarn", b"notice": "xnotice", b"info": "xinfo"}
    natives = {level: _native(f"xlog.{name}", "x", name) for level, name in {**levels, b"dbg": "xdbg"}.items()}
    error = _native("xlog.xerr", "x", "xerr")

    def new(context: ScriptContext) -> Run:
        by_level = {level: one.new(context) for level, one in natives.items()}
        at_error = error.new(context)
        return lambda level, text: by_level.get(cast(bytes, level).lower(), at_error)(text)

    return KemiFunction("xlog.xlog", "ss", new)


FUNCTIONS = table(
    *(_native(f"xlog.{name}", "x", name) for name in ("xdbg", "xinfo", "xnotice", "xwarn", "xerr", "xcrit", "xalert")),
    _xlog_at_level(),
    _native("htable.sht_rm", "ss", "sht_rm"),
    _native("htable.sht_reset", "s", "sht_reset", success=0),
    _native("htable.sht_setxs", "sssi", "sht_setxs"),
    _native("htable.sht_setxi", "ssii", "sht_setxi", success=0),
    _native("htable.sht_rm_name", "sss", "sht_rm_name"),
    _native("htable.sht_rm_value", "sss", "sht_rm_value"),
    _native("htable.sht_match_name", "sss", "sht_match_name"),
    _native("htable.sht_has_name", "sss", "sht_has_name"),
    _native("htable.sht_match_str_value", "sss", "sht_match_str_value"),
    _native("htable.sht_has_str_value", "sss", "sht_has_str_value"),
    _native("htable.sht_iterator_start", "ss", "sht_iterator_start"),
    _native("htable.sht_iterator_next", "s", "sht_iterator_next"),
    _native("htable.sht_iterator_end", "s", "sht_iterator_end"),
    _native("htable.sht_iterator_rm", "s", "sht_iterator_rm"),
    _native("htable.sht_iterator_sets", "ss", "sht_iterator_sets"),
    _native("htable.sht_iterator_seti", "si", "sht_iterator_seti"),
    _native("htable.sht_iterator_setex", "si", "sht_iterator_setex"),
    _native("jansson.get", "sss", "jansson_get"),
    _native("textops.cmp_str", "ss", "cmp_str"),
    _native("textops.cmp_istr", "ss", "cmp_istr"),
    _native("textops.starts_with", "ss", "starts_with"),
    _native("textops.ends_with", "ss", "ends_with"),
    _native("textops.str_find", "ss", "str_find"),
    _native("textops.str_ifind", "ss", "str_ifind"),
    _native("textops.search_str", "ss", "search_str"),
    _native("textops.str_any_in", "ss", "str_any_in"),
    _native("textops.str_all_in", "ss", "str_all_in"),
    _native("siputils.is_uri", "s", "is_uri"),
    _native("siputils.is_tel_number", "s", "is_tel_number"),
    _native("siputils.is_numeric", "s", "is_numeric"),
    _native("siputils.is_alphanum", "s", "is_alphanum"),
    _native("siputils.is_alphanumex", "ss", "is_alphanumex"),
    _native("cfgutils.rand_get_prob", "", "rand_get_prob"),
    _native("cfgutils.rand_event", "", "rand_event"),
    _native("pvx.pv_xavp_print", "", "pv_xavp_print"),
    _native("pvx.pv_var_to_xavp", "ss", "pv_var_to_xavp"),
    _native("pvx.pv_xavp_to_var", "s", "pv_xavp_to_var"),
    _native("pvx.xavp_params_explode", "ss", "xavp_params_explode"),
    _native("pvx.xavp_params_implode", "ss", "xavp_params_implode"),
    _native("pvx.xavp_slist_explode", "ssss", "xavp_slist_explode"),
    _native("pvx.xavp_copy", "sis", "xavp_copy"),
    _native("pvx.xavp_copy_dst", "sis", "xavp_copy", ignored="i"),  # in KEMI it replaces nothing, up to Kamailio 6.2
    _native("textopsx.fnmatch", "ss", "fnmatch", success=0),
    _native("textopsx.fnmatch_ex", "sss", "fnmatch", success=0),
)
