"""
Reads a ``kamailio.cfg``: modules, modparams and routing blocks. All else that stands there is passed over.

::

    cfg = read_cfg("/etc/kamailio/kamailio.cfg", os.environ)

Global parameters and what stands inside of routing blocks are not checked here. Modules need not be loaded, so that a
part of a ``kamailio.cfg`` works, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from natsroute.errors import ExpressionError, ScriptError
from natsroute.kamailio.cfg.definitions import DefinitionError
from natsroute.kamailio.cfg.document import Block, CfgWarning, KamailioCfg, Modparam, Module
from natsroute.kamailio.cfg.lexemes import Kind
from natsroute.kamailio.cfg.numbers import number_of
from natsroute.kamailio.cfg.preprocessor import Preprocessor, Token
from natsroute.kamailio.cfg.source import Piece, Position, SourceText
from natsroute.kamailio.regular_expressions import BadExpressionError, compile_regex

#: The words that begin a routing block, and whether it must have a name, may have one, or has none.
_NAMED: dict[str, bool | None] = {
    "route": None,
    "request_route": False,
    "reply_route": False,
    "onreply_route": None,
    "failure_route": None,
    "branch_route": None,
    "onsend_route": None,
    "event_route": True,
}
#: Global parameters that are kept; all others are passed over.
_PARAMETERS = frozenset({"max_while_loops"})
#: Those that stand in no other block.
_TOP_LEVEL_ONLY = _NAMED.keys() - {"route"}

_PLAIN_MODULES = re.compile(r"[A-Za-z0-9_]+(?:\|[A-Za-z0-9_]+)*")
_EVENT_ROUTE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(?::[^\s:\"']+)+")
_MODULE_SUFFIX = ".so"


def read_cfg(path: str, environment: Mapping[str, str]) -> KamailioCfg:
    """
    Read a ``kamailio.cfg`` and the files that it includes.

    :param path: the path of the file. Where it is relative, errors show it so, too.
    :param environment: the environment variables, for ``#!defenv``, and for ``$env(…)`` in ``modparamx``.
    :raises ScriptError: it cannot be read, or something in it is malformed.
    """
    return _Reader(path, environment).read()


class _Reader:
    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self._path = path
        self._warnings: list[CfgWarning] = []
        self._source = Preprocessor(
            path, environment, lambda position, text: self._warnings.append(CfgWarning(position, text))
        )
        self._modules: list[Module] = []
        self._parameters: dict[str, int] = {}
        self._modparams: list[Modparam] = []
        self._blocks: list[Block] = []
        self._braces: list[Position] = []

    def read(self) -> KamailioCfg:
        token = self._next()
        while token.kind is not Kind.END:
            token = self._statement(token)
        if self._braces:
            raise self._braces[-1].error("this brace is never closed", "Write the closing brace")
        return KamailioCfg(
            self._path,
            tuple(self._modules),
            tuple(self._modparams),
            tuple(self._blocks),
            dict(self._source.definitions.values),
            tuple(self._warnings),
            self._parameters,
            tuple(dict.fromkeys(self._source.files)),
        )

    def _next(self) -> Token:
        """The next token that is not blank."""
        token = self._source.next()
        while token.kind is Kind.BLANK:
            token = self._source.next()
        return token

    def _statement(self, token: Token) -> Token:
        """Read what begins with a token. Returns the token behind it."""
        if token.kind is Kind.DIRECTIVE:
            self._substitute(token)
        elif token.kind is Kind.MARK and token.text in "{}":
            self._brace(token)
        elif token.kind is not Kind.WORD:
            pass
        elif token.text in ("loadmodule", "loadmodulex"):
            self._load_module(token)
        elif token.text in ("modparam", "modparamx"):
            self._modparam(token)
        elif token.text in _NAMED:
            self._block(token)
        elif token.text in _PARAMETERS:
            return self._parameter(token)
        return self._next()

    def _parameter(self, name: Token) -> Token:
        """A global parameter with a number. Returns the token behind it."""
        token = self._next()
        if token.text != "=":
            return token
        token = self._next()
        number = number_of(token.text) if token.kind is Kind.WORD else None
        if number is None:
            raise self._malformed(token, name, f"{name.text} = NUMBER")
        self._parameters[name.text] = number
        return self._next()

    def _brace(self, token: Token) -> None:
        """A brace of a global parameter, such as ``socket = { … }``."""
        if token.text == "{":
            self._braces.append(token.position)
        elif self._braces:
            self._braces.pop()
        else:
            raise token.position.error("a closing brace that no block opens", "Remove it, or write the opening one")

    def _substitute(self, directive: Token) -> None:
        token = self._next()
        if token.kind is not Kind.STRING:
            raise directive.position.error(
                f"#!{directive.value} without a rule in quotes", 'Write "/pattern/replacement/flags"'
            )
        self._source.substitute(directive.value, token.value, token.position)

    def _expect(self, mark: str, statement: Token, form: str) -> None:
        token = self._next()
        if token.text != mark:
            raise self._malformed(token, statement, form)

    def _malformed(self, token: Token, statement: Token, form: str) -> ScriptError:
        # Not the text of a string: it may be a URL with a password.
        found = "a string" if token.kind is Kind.STRING else token.text[:50] or "the end of the file"
        return token.position.error(f"{statement.text} is malformed at {found}", f"Write {form}")

    def _load_module(self, statement: Token) -> None:
        form = 'loadmodule "NAME.so"'
        token = self._next()
        in_parentheses = token.text == "("
        if in_parentheses:
            token = self._next()
        if token.kind is not Kind.STRING or not token.value:
            raise self._malformed(token, statement, form)
        path = self._evaluated(token) if statement.text == "loadmodulex" else token.value
        if in_parentheses:
            self._end_of_options(statement)
        name = path.rsplit("/", 1)[-1]
        name = name[: -len(_MODULE_SUFFIX)] if name.endswith(_MODULE_SUFFIX) else name
        if any(module.name == name for module in self._modules):
            return  # Kamailio warns, and goes on
        try:
            self._source.definitions.define(f"MOD_{name}", "")
        except DefinitionError as error:
            remedy = f"loadmodule defines MOD_{name} itself: leave the other one out"
            raise token.position.error(error.problem, remedy) from None
        self._modules.append(Module(name, token.position))

    def _end_of_options(self, statement: Token) -> None:
        form = 'loadmodule("NAME.so", "options")'
        token = self._next()
        if token.text == ",":
            token = self._next()
            if token.kind is not Kind.STRING:
                raise self._malformed(token, statement, form)
            token = self._next()
        if token.text != ")":
            raise self._malformed(token, statement, form)

    def _modparam(self, statement: Token) -> None:
        form = f'{statement.text}("MODULE", "PARAMETER", VALUE), with a string or a number as the value'
        evaluated = statement.text == "modparamx"
        self._expect("(", statement, form)
        texts: list[str] = []
        module_position = statement.position
        for number in range(2):
            token = self._next()
            if token.kind is not Kind.STRING:
                raise self._malformed(token, statement, form)
            module_position = module_position if number else token.position
            texts.append(self._evaluated(token) if evaluated else token.value)
            self._expect(",", statement, form)
        value, position = self._value(statement, form, evaluated=evaluated)
        self._expect(")", statement, form)
        for module in self._modules_of(texts[0], module_position):
            self._modparams.append(Modparam(module, texts[1], value, position))

    def _value(self, statement: Token, form: str, *, evaluated: bool) -> tuple[int | str, Position]:
        token = self._next()
        position, sign = token.position, 1
        while token.text in ("-", "+"):
            sign = -sign if token.text == "-" else sign
            token = self._next()
        number = number_of(token.text) if token.kind is Kind.WORD else None
        if number is not None:
            return sign * number, position
        if token.position == position and token.kind is Kind.STRING:
            return (self._evaluated(token) if evaluated else token.value), position
        if token.position == position and token.kind is Kind.VARIABLE and evaluated:
            try:
                value = self._source.start.value(token.text)
            except ExpressionError as error:
                raise position.error(f"{token.text}: {error.problem}", "Correct it") from None
            if value is None:
                raise position.error(f"{token.text} has no value", "Give it one, or leave the modparamx out")
            return value, position
        raise self._malformed(token, statement, form)

    def _evaluated(self, token: Token) -> str:
        """The value of a string with the values of the variables in it."""
        if "$" not in token.value:
            return token.value
        try:
            return self._source.start.text(token.value)
        except ExpressionError as error:
            raise token.position.error(f"{error.problem} in this string", "Correct it; $$ is a dollar sign") from None

    def _modules_of(self, pattern: str, position: Position) -> list[str]:
        """The modules that a modparam is for: those that are loaded and match, or those that it names."""
        if _PLAIN_MODULES.fullmatch(pattern):
            return [name.lower() for name in pattern.split("|")]
        try:
            matches = compile_regex(f"^({pattern})$".encode("utf-8", "surrogateescape"), ignore_case=True)
        except BadExpressionError as error:
            problem = f"the module of a modparam is no regular expression: {error}"
            raise position.error(problem, 'Write "MODULE" or "MODULE|MODULE"') from None
        names = [module.name for module in self._modules]
        return [name for name in names if matches.search(name.encode("utf-8", "surrogateescape"))]

    def _block(self, statement: Token) -> None:
        kind = statement.text
        name, token = self._block_name(statement)
        if token.text != "{":
            raise self._malformed(token, statement, f"{kind}[NAME] {{ … }}" if _NAMED[kind] else f"{kind} {{ … }}")
        opening = token.position
        pieces: list[Piece] = []
        depth = 1
        while depth:
            token = self._source.next()
            if token.kind is Kind.END:
                problem = f"the block {kind}{f'[{name}]' if name else ''} is never closed"
                raise opening.error(problem, "Write the brace that closes it")
            if token.kind is Kind.MARK and token.text in "{}":
                depth += 1 if token.text == "{" else -1
            elif token.kind is Kind.DIRECTIVE:
                raise token.position.error(
                    f"#!{token.value} inside of a block", "Write it outside of all blocks, before what it is for"
                )
            elif token.kind is Kind.WORD and token.text in _TOP_LEVEL_ONLY:
                problem = f"{token.text} inside of the block that begins at {statement.position}"
                raise token.position.error(problem, "Write the brace that closes that block")
            if depth:
                pieces.extend(token.pieces)
        pieces.append(Piece(" ", token.position))
        for block in self._blocks:
            if name and (block.kind, block.name) == (kind, name):
                problem = f"{kind}[{name}] is there already, at {block.position}"
                raise statement.position.error(problem, "Remove one of them")
        self._blocks.append(Block(kind, name, SourceText(_joined(pieces)), statement.position))

    def _block_name(self, statement: Token) -> tuple[str, Token]:
        """The name of a block, and the token behind it."""
        kind = statement.text
        if kind == "event_route":
            return self._event_route_name(statement), self._next()
        token = self._next()
        if token.text != "[":
            return "", token
        if _NAMED[kind] is False:
            raise token.position.error(f"{kind} has no name", f"Write {kind} {{ … }}")
        token = self._next()
        name = token.value if token.kind is Kind.STRING else token.text
        if token.kind not in (Kind.STRING, Kind.WORD) or not name:
            raise self._malformed(token, statement, f"{kind}[NAME] {{ … }}")
        if token.kind is Kind.WORD and name[0].isdigit():
            number = number_of(name)
            if number is None:
                raise self._malformed(token, statement, f'{kind}["{name}"] {{ … }}')
            name = str(number)
        self._expect("]", statement, f"{kind}[NAME] {{ … }}")
        return name, self._next()

    def _event_route_name(self, statement: Token) -> str:
        found = self._source.event_route_name()
        if found is None:
            raise statement.position.error("event_route is malformed", "Write event_route[nats:SUBJECT] { … }")
        name = found[0].strip(" \t\b\r\n\"'")
        if _EVENT_ROUTE_NAME.fullmatch(name) is None:
            problem = f"event_route[{name}] has no name of the form MODULE:EVENT"
            raise found[1].error(problem, "Write event_route[nats:SUBJECT] { … }")
        return name


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces, those joined that stand behind each other in the same file."""
    run: list[Piece] = []
    for piece in pieces:
        if run and (run[-1].replaced or piece.replaced or _end(run[-1]) != piece.position):
            yield _join(run)
            run = []
        run.append(piece)
    if run:
        yield _join(run)


def _join(run: Sequence[Piece]) -> Piece:
    return run[0] if len(run) == 1 else Piece("".join([piece.text for piece in run]), run[0].position)


def _end(piece: Piece) -> Position:
    """Where the character behind a piece stands, if it stands in the same file."""
    file, line, column = piece.position.file, piece.position.line, piece.position.column
    newlines = piece.text.count("\n")
    if newlines:
        return Position(file, line + newlines, len(piece.text) - piece.text.rindex("\n"))
    return Position(file, line, column + len(piece.text))
