"""
Parses the script language, with the grammar of Kamailio's ``cfg.y``: the same precedence, and expressions in the same
places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.source import Position, SourceText
from natsroute.kamailio.script.lexer import tokens
from natsroute.kamailio.script.nodes import MAX_DEPTH, Nodes, TooDeepError
from natsroute.kamailio.script.syntax import Block

if TYPE_CHECKING:
    from lark import Lark, Token

#: For LALR(1). A terminal that begins with an underscore leaves no trace. An ``else`` belongs to the last ``if``: the
#: parser prefers to go on.
GRAMMAR = r"""
start: action*

?action: call _SEMICOLON                                  -> do
       | IF expression statement (_ELSE statement)?       -> branch
       | WHILE expression statement                       -> loop
       | SWITCH expression _LEFT_BRACE case* _RIGHT_BRACE -> switch
       | leave _SEMICOLON
       | assign _SEMICOLON
       | _SEMICOLON                                       -> nothing
?statement: action | block
block: _LEFT_BRACE action* _RIGHT_BRACE
case: _CASE expression _COLON action*
    | _CASE SLASH expression _COLON action*               -> regex_case
    | DEFAULT _COLON action*                              -> default_case
assign: VARIABLE _ASSIGN expression
leave: (EXIT | DROP | RETURN) (expression | _LEFT_PARENTHESIS _RIGHT_PARENTHESIS)? | BREAK

?call: NAME _LEFT_PARENTHESIS (expression (_COMMA expression)*)? _RIGHT_PARENTHESIS -> function_call
     | ROUTE _LEFT_PARENTHESIS expression _RIGHT_PARENTHESIS -> route_call
     | ROUTE _LEFT_PARENTHESIS NAME _RIGHT_PARENTHESIS    -> named_route_call

?expression: logical_or
?logical_or: logical_and | logical_or OR logical_and      -> binary
?logical_and: bit_or | logical_and AND bit_or             -> binary
?bit_or: bit_and | bit_or BIT_OR bit_and                  -> binary
?bit_and: bit_xor | bit_and BIT_AND bit_xor               -> binary
?bit_xor: shift_left | bit_xor BIT_XOR shift_left         -> binary
?shift_left: shift_right | shift_left SHIFT_LEFT shift_right -> binary
?shift_right: equality | shift_right SHIFT_RIGHT equality -> binary
?equality: comparison | equality EQUALITY comparison      -> binary
?comparison: sum | comparison COMPARISON sum              -> binary
?sum: product | sum (PLUS | MINUS) product                -> binary
?product: unary | product (STAR | SLASH | MOD) unary      -> binary
?unary: primary | (NOT | BIT_NOT | MINUS | DEFINED | INT_CAST | STR_CAST) unary -> prefix
?primary: (NUMBER | STRING)                               -> constant
        | VARIABLE                                        -> variable
        | call
        | _LEFT_PARENTHESIS expression _RIGHT_PARENTHESIS
        | _LEFT_PARENTHESIS assign _RIGHT_PARENTHESIS     -> embedded
        | block                                           -> embedded_block
        | (STRLEN | STREMPTY) _LEFT_PARENTHESIS expression _RIGHT_PARENTHESIS -> prefix
        | SELVAL _LEFT_PARENTHESIS expression _COMMA expression _COMMA expression _RIGHT_PARENTHESIS -> selval
"""

_TERMINAL = re.compile(r"\b_?[A-Z][A-Z_]+\b")

#: What is expected, as it is written; the first that the parser expects is in the error.
_EXPECTED = {
    "_CASE": "'case'",
    "_SEMICOLON": "';'",
    "_COLON": "':'",
    "_LEFT_PARENTHESIS": "'('",
    "_RIGHT_PARENTHESIS": "')'",
    "_ASSIGN": "'='",
    "_LEFT_BRACE": "'{'",
    "VARIABLE": "a value",
}

#: What people write that Kamailio does not know.
_REMEDIES = {
    ("!", "~"): "Write !($var(x) =~ \"…\"): Kamailio has no '!~'",
    ("+", "="): "Write $var(x) = $var(x) + …: Kamailio has no '+='",
    (":", "="): "Write '=': Kamailio has no ':=' here",
    ("=", "~"): "Write '=~' in one",
}


#: How other languages write ``else if``.
_ELSE_IF = ("elseif", "elsif", "elif")

#: Words of SER that Kamailio still knows in conditions.
_OLD_WORDS = {
    "method": "$rm", "uri": "$ru", "from_uri": "$fu", "to_uri": "$tu", "src_ip": "$si", "src_port": "$sp",
}  # fmt: skip


def parse(source: SourceText, position: Position) -> Block:
    """
    Parse the statements of a block.

    :param source: what stands between the braces.
    :param position: where the block begins.
    :raises ScriptError: it is not a script, or lark is not installed.
    """
    if not source.text.strip():
        return Block((), 0)
    parser = _parser(position)
    from lark import UnexpectedToken

    try:
        return parser.parse(source)  # type: ignore[return-value]
    except UnexpectedToken as error:
        raise _syntax_error(source, error.token, error.expected) from None
    except TooDeepError as error:
        problem = f"this is nested more than {MAX_DEPTH} levels deep"
        remedy = "Move a part of it into a route[NAME] of its own"
        raise source.position_at(error.at).error(problem, remedy) from None


def _parser(position: Position) -> Lark:
    try:
        return _build_parser()
    except ImportError:
        problem = "event routes of a kamailio.cfg need the package lark"
        raise position.error(problem, "Install it with: pip install 'natsroute[kamailio]'") from None


@lru_cache(1)
def _build_parser() -> Lark:
    from lark import Lark, Token
    from lark.lexer import Lexer

    class Tokens(Lexer):
        """Gives lark what the lexer finds."""

        def __init__(self, lexer_conf: object) -> None:
            """lark passes its configuration."""

        def lex(self, data: Any) -> Iterator[Token]:  # type: ignore[override]
            for kind, value, start, end in tokens(data):
                yield Token(kind, value, start, None, None, None, None, end)

    terminals = sorted(set(_TERMINAL.findall(GRAMMAR)))
    grammar = f"{GRAMMAR}\n%declare {' '.join(terminals)}"
    return Lark(grammar, parser="lalr", lexer=Tokens, transformer=Nodes())


def _syntax_error(source: SourceText, token: Token, expected: set[str]) -> ScriptError:
    text = source.text
    wanted = next((written for terminal, written in _EXPECTED.items() if terminal in expected), None)
    if token.type == "$END":
        at, found = len(text.rstrip()), "the end of the block"
        wanted = "'}'" if "_RIGHT_BRACE" in expected else wanted
    else:
        assert token.start_pos is not None
        at, found = token.start_pos, repr(text[token.start_pos : token.end_pos])
    before = text[:at].rstrip()
    remedy = _remedy(before, text[at : at + 2], wanted, "at its end" if token.type == "$END" else "before it")
    return source.position_at(min(at, len(text) - 1)).error(f"syntax error at {found}", remedy)


def _remedy(before: str, found: str, wanted: str | None, where: str) -> str:
    """
    What to do about a syntax error.

    :param before: what stands before it.
    :param found: its first two characters.
    :param wanted: what the parser expects, if it is one of a few things.
    :param where: where that belongs.
    """
    known = _REMEDIES.get((before[-1:], found[:1])) or _REMEDIES.get((found[:1], found[1:]))
    if known is not None:
        return known
    if wanted == "'('" and before:
        old = _OLD_WORDS.get(re.split(r"[^A-Za-z0-9_:]", before)[-1])
        return (
            f"Write {old} instead"
            if old
            else "A function is called with parentheses, as in name(); a string is in quotes"
        )
    if wanted == "'='" and found == "==":
        return "Write '=' to assign"
    if wanted == "';'" and found[:1] == "{":
        word = re.search(r"(\w+)\s*\([^;{}]*\)$", before)
        if word is not None:
            block = "a block stands behind if, else, while and switch"
            return "Write else if" if word[1].lower() in _ELSE_IF else f"{word[1]}() has no block: {block}"
        if re.search(r"\$\w+$", before):
            return "Write $(name{transformation}), with parentheses around both"
    return "Fix the script" if wanted is None else f"Write {wanted} {where}"
