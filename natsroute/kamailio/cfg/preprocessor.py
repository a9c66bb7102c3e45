"""
The preprocessor of ``kamailio.cfg``: the characters of its files become tokens.

A ``#!define`` replaces whole identifiers, but no reserved word, and what it puts there is read again. ``#!subst``
replaces inside of strings and pseudo-variables. What is not delivered is blank: each character of a comment, of a
directive, or of what ``#!ifdef`` skips is a space, and a line end stays. So positions hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from natsroute.errors import ExpressionError
from natsroute.kamailio.cfg.buffer import Buffer
from natsroute.kamailio.cfg.conditions import Conditions
from natsroute.kamailio.cfg.define_expressions import holds, value_of
from natsroute.kamailio.cfg.definitions import DefinitionError, Definitions
from natsroute.kamailio.cfg.files import find_included, is_missing, read_file
from natsroute.kamailio.cfg.lexemes import Kind, Lexeme, NoLexemeError, can_be_substituted, condition_from, lexeme_at
from natsroute.kamailio.cfg.reserved import RESERVED
from natsroute.kamailio.cfg.source import Piece, Position
from natsroute.kamailio.cfg.start_evaluation import StartEvaluation
from natsroute.kamailio.cfg.strings import quoted, string_value

MAX_INCLUDE_DEPTH = 10
#: Characters that definitions may put into the files. Only those that multiply each other reach it.
MAX_REPLACED = 16 * 1024 * 1024

_IDENTIFIER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(-?)")
_BLANKS_OF_LINE = re.compile(r"[ \t\b\r]*")
_DATA = re.compile(r"(?:\\\n|[^\n])*")
_REST_OF_LINE = re.compile(r"[^\n]*\n?")
_ARGUMENT = re.compile(r"[ \t]*([^ \t\r\n]*)")
_NEXT_STRING = re.compile(r'[ \t\b\r\n]*(?=")')
_EVENT_ROUTE_NAME = re.compile(r"[ \t\b\r\n]*\[([^\[\]{}]*)\]")
_CONDITION_IN_COMMENT = re.compile(r"#!(?:else|endif)\b")
_FILE_NAME_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_FILE_NAME_ESCAPES = {"t": "\t", "n": "\n", "r": "\r"}


class Token(NamedTuple):
    """
    A token.

    :ivar text: its characters. A string has its quotes and escapes; several strings in a row have become one.
    :ivar pieces: where they stand.
    :ivar position: where it begins.
    :ivar value: the value of a string, after all ``#!subst``; the name of a directive.
    """

    kind: Kind
    text: str
    pieces: list[Piece]
    position: Position
    value: str = ""


class Preprocessor:
    """
    Reads a file, and those that it includes.

    The only directives among its tokens are ``subst``, ``substdef`` and ``substdefs``. The next token must be a string,
    which may come from a ``#!define``: call :meth:`substitute` with its value.

    :param path: the path of the first file.
    :param environment: the environment variables, for ``#!defenv`` and ``$env``.
    :param on_warning: called with a position and a text, for what Kamailio ignores in silence.
    :raises ScriptError: the file cannot be read.

    :ivar definitions: what is defined so far.
    :ivar start: evaluates variables, and has the rules of ``#!subst``.
    :ivar files: the paths of the files that were read so far, in order.
    """

    def __init__(self, path: str, environment: Mapping[str, str], on_warning: Callable[[Position, str], None]) -> None:
        self.definitions = Definitions(environment)
        self.start = StartEvaluation(self.definitions.values, environment)
        self._on_warning = on_warning
        self._conditions = Conditions()
        self._replaced = 0
        self._after_mode = False
        self._buffer = Buffer(read_file(path))
        self.files = [path]
        self._including: list[Buffer] = []
        self._directives: dict[str, Callable[[Lexeme], Token]] = {
            "define": self._define,
            "if": self._if,
            "end": self._else_or_endif,
            "env": self._define_from_environment,
            "subst": self._substitution,
            "include": lambda lexeme: self._include(lexeme.name, lexeme.end),
            "mode": self._mode,
        }

    def next(self) -> Token:
        """
        The next token. At the end, it is one of the kind END, again and again.

        :raises ScriptError: the preprocessor cannot go on.
        """
        while self._buffer.index >= len(self._buffer.text) and self._including:
            self._buffer = self._including.pop()
        buffer = self._buffer
        if buffer.index >= len(buffer.text):
            self._conditions.check_closed()
            return Token(Kind.END, "", [], buffer.position_at(buffer.index))
        if self._conditions.skipping:
            return self._skipped()
        try:
            lexeme = lexeme_at(buffer.text, buffer.index)
        except NoLexemeError as error:
            raise buffer.position_at(buffer.index).error(error.problem, error.remedy) from None
        if lexeme.kind is Kind.WORD:
            return self._word(lexeme.end)
        if lexeme.kind is Kind.STRING:
            return self._string(lexeme.end)
        if lexeme.kind is Kind.DIRECTIVE:
            return self._directives[lexeme.directive](lexeme)
        if lexeme.kind is Kind.BLANK:
            if buffer.text[buffer.index] == "#" and _CONDITION_IN_COMMENT.match(buffer.text, buffer.index):
                self._conditions.saw_in_comment(buffer.position_at(buffer.index))
            return self._blank(lexeme.end)
        if lexeme.kind is Kind.VARIABLE:
            return self._variable(lexeme.end)
        return self._verbatim(lexeme.kind, lexeme.end)

    def event_route_name(self) -> tuple[str, Position] | None:
        """The name in square brackets behind ``event_route``, as it stands there; None if there is none."""
        buffer = self._buffer
        found = _EVENT_ROUTE_NAME.match(buffer.text, buffer.index)
        if found is None:
            return None
        position = buffer.position_at(found.start(1))
        buffer.index = found.end()
        return found[1], position

    def substitute(self, directive: str, rule: str, position: Position) -> None:
        """
        ``#!subst``, ``#!substdef`` or ``#!substdefs``.

        :param directive: which of them, without ``#!``.
        :param rule: the value of its string.
        :raises ScriptError: the rule is malformed, or its name is defined already.
        """
        try:
            self.start.add_substitution(rule)
            if directive != "subst":
                name, value = re.split(rf"(?<!\\){re.escape(rule[0])}", rule)[1:3]
                if not name:
                    raise position.error(f"#!{directive} without a name", 'Write "/NAME/value/"')
                if "$" in value:
                    value = self.start.text(value)
                self.definitions.define(name, f'"{value}"' if directive == "substdefs" else value)
        except ExpressionError as error:
            problem = f"the rule of #!{directive} is malformed: {error.problem}"
            raise position.error(problem, 'Write "/pattern/replacement/flags"') from None
        except DefinitionError as error:
            raise position.error(error.problem, error.remedy) from None

    # What becomes a token.

    def _verbatim(self, kind: Kind, end: int, value: str = "") -> Token:
        """The characters up to an index, as they stand there."""
        buffer = self._buffer
        start, buffer.index = buffer.index, end
        text = buffer.text[start:end]
        return Token(kind, text, buffer.pieces(start, end, text), buffer.position_at(start), value)

    def _blank(self, end: int) -> Token:
        """The characters up to an index, blanked."""
        buffer = self._buffer
        start, buffer.index = buffer.index, end
        text = re.sub(r"[^\n]", " ", buffer.text[start:end])
        return Token(Kind.BLANK, text, buffer.pieces(start, end, text), buffer.position_at(start))

    def _replacement(self, kind: Kind, end: int, text: str, value: str = "") -> Token:
        """A text instead of the characters up to an index."""
        buffer = self._buffer
        position, buffer.index = buffer.position_at(buffer.index), end
        return Token(kind, text, [Piece(text, position, replaced=True)], position, value)

    def _word(self, end: int) -> Token:
        buffer = self._buffer
        word = buffer.text[buffer.index : end]
        if word in ("include_file", "import_file"):
            return self._include(word, end)
        value = None if word in RESERVED or not _IDENTIFIER.fullmatch(word) else self.definitions.get(word)
        if value is None:
            return self._verbatim(Kind.WORD, end)
        position = buffer.position_at(buffer.index)
        if buffer.is_expanding(word):
            raise position.error(f"#!define {word} contains itself", "Give it a value without that name")
        self._replaced += len(value) + 1
        if self._replaced > MAX_REPLACED:
            raise position.error(f"#!define {word} makes the file too large", "Shorten the values of the definitions")
        buffer.replace(end, word, value)
        return Token(Kind.BLANK, " ", [Piece(" ", position, replaced=True)], position)

    def _string(self, end: int) -> Token:
        buffer = self._buffer
        start = buffer.index
        value = string_value(buffer.text[start:end])
        joined = False
        while buffer.text[start] == '"' and (blanks := _NEXT_STRING.match(buffer.text, end)) is not None:
            try:
                lexeme = lexeme_at(buffer.text, blanks.end())
            except NoLexemeError as error:
                raise buffer.position_at(blanks.end()).error(error.problem, error.remedy) from None
            value, end, joined = value + string_value(buffer.text[blanks.end() : lexeme.end]), lexeme.end, True
        substituted = self.start.substituted(value)
        if "\0" in substituted:
            problem = "a string with a NUL byte, where it ends for Kamailio"
            raise buffer.position_at(start).error(problem, "Leave that byte out")
        if joined or substituted != value:
            return self._replacement(Kind.STRING, end, quoted(substituted), substituted)
        return self._verbatim(Kind.STRING, end, value)

    def _variable(self, end: int) -> Token:
        text = self._buffer.text[self._buffer.index : end]
        if can_be_substituted(text, after_mode=self._after_mode):
            substituted = self.start.substituted(text)
            if substituted != text:
                return self._replacement(Kind.VARIABLE, end, substituted)
        return self._verbatim(Kind.VARIABLE, end)

    # Directives.

    def _skipped(self) -> Token:
        """What does not count up to the next condition, and that condition."""
        buffer = self._buffer
        found = condition_from(buffer.text, buffer.index)
        if found is None:
            return self._blank(len(buffer.text))
        start, lexeme = found
        if start > buffer.index:
            return self._blank(start)
        return self._directives[lexeme.directive](lexeme)

    @contextmanager
    def _definition_errors(self, index: int) -> Iterator[None]:
        try:
            yield
        except DefinitionError as error:
            raise self._buffer.position_at(index).error(error.problem, error.remedy) from None

    def _name(self, lexeme: Lexeme) -> re.Match[str]:
        """The identifier behind a directive."""
        buffer = self._buffer
        found = _IDENTIFIER.match(buffer.text, lexeme.end)
        if found is None or found[2]:
            problem = f"#!{lexeme.name} without a name" if found is None else "a name with '-' in it"
            remedy = f"Write #!{lexeme.name} NAME; a name has letters, digits and _ only"
            raise buffer.position_at(lexeme.end).error(problem, remedy)
        return found

    def _define(self, lexeme: Lexeme) -> Token:
        buffer, name = self._buffer, self._name(lexeme)
        blanks = _BLANKS_OF_LINE.match(buffer.text, name.end())
        assert blanks is not None
        data = _DATA.match(buffer.text, blanks.end())
        assert data is not None
        value, end = data[0], data.end()
        if value and end == len(buffer.text):
            problem = f"the file ends in #!{lexeme.name}, whose value Kamailio does not see then"
            raise buffer.position_at(blanks.end()).error(problem, "Put a line end behind it")
        if value.startswith("\\\n"):
            problem = f"the value of #!{lexeme.name} does not begin on its line"
            raise buffer.position_at(blanks.end()).error(problem, "Begin it there; a backslash may follow")
        with self._definition_errors(name.start()):
            self._set_definition(lexeme.name, name[1], value.replace("\\\n", ""))
        return self._blank(min(end + 1, len(buffer.text)))

    def _set_definition(self, directive: str, name: str, value: str) -> None:
        definitions = self.definitions
        if directive.endswith(("undefine", "undef")):
            if value:
                raise DefinitionError(f"something behind #!{directive} {name}", "Leave it out")
            (definitions.try_undefine if directive.startswith("try") else definitions.undefine)(name)
        elif directive.startswith("try"):
            definitions.try_define(name, value)
        elif directive.startswith("re"):
            definitions.redefine(name, value)
        elif directive.startswith("defexp") and value:
            value = value_of(value, definitions)
            definitions.define(name, f'"{value}"' if directive == "defexps" else value)
        else:
            definitions.define(name, value)

    def _define_from_environment(self, lexeme: Lexeme) -> Token:
        found = _ARGUMENT.match(self._buffer.text, lexeme.end)
        assert found is not None
        with self._definition_errors(found.start(1)):
            required, in_quotes = not lexeme.name.startswith("try"), lexeme.name.endswith("s")
            self.definitions.from_environment(found[1], required=required, in_quotes=in_quotes)
        return self._blank(found.end())

    def _if(self, lexeme: Lexeme) -> Token:
        buffer = self._buffer
        position = buffer.position_at(buffer.index)
        rest = _REST_OF_LINE.match(buffer.text, lexeme.end)
        assert rest is not None
        shown, condition = rest[0].strip(), False
        if lexeme.name == "ifexp" and not self._conditions.skipping:
            with self._definition_errors(lexeme.end):
                condition = holds(rest[0], self.definitions)
        elif not self._conditions.skipping:
            shown = self._name(lexeme)[1]
            condition = (shown in self.definitions) == (lexeme.name == "ifdef")
        self._conditions.open(condition, position, f"#!{lexeme.name} {shown}")
        return self._blank(rest.end())

    def _else_or_endif(self, lexeme: Lexeme) -> Token:
        position = self._buffer.position_at(self._buffer.index)
        if lexeme.name == "endif":
            self._conditions.close(position)
        elif not self._conditions.otherwise():
            self._on_warning(position, "#!else without #!ifdef counts as a comment")
        return self._blank(lexeme.end)

    def _substitution(self, lexeme: Lexeme) -> Token:
        return self._blank(lexeme.end)._replace(kind=Kind.DIRECTIVE, value=lexeme.name)

    def _mode(self, lexeme: Lexeme) -> Token:
        buffer = self._buffer
        if lexeme.name == "SER":
            problem = "the syntax of SER, which natsroute does not read"
            raise buffer.position_at(buffer.index).error(problem, "Write #!KAMAILIO")
        self._after_mode = lexeme.name in ("KAMAILIO", "OPENSER")
        return self._blank(lexeme.end)

    def _include(self, directive: str, end: int) -> Token:
        """``include_file`` and ``import_file``, with or without ``#!``."""
        buffer = self._buffer
        found = _ARGUMENT.match(buffer.text, end)
        assert found is not None
        position = buffer.position_at(found.start(1))
        name = self.start.substituted(found[1])
        if len(name) < 3 or name[0] != '"' or name[-1] != '"' or name.endswith('\\"'):
            raise position.error(f"{directive} without a file name", 'Write the name in double quotes: "FILE"')
        name = _FILE_NAME_ESCAPE.sub(lambda escape: _FILE_NAME_ESCAPES.get(escape[1], escape[1]), name[1:-1])
        path = find_included(name, buffer.file.path)
        open_files = [one.file.path for one in (*self._including, buffer)]
        if len(open_files) > MAX_INCLUDE_DEPTH:
            loop = f"{path} includes itself" if path in open_files else f"files are included {MAX_INCLUDE_DEPTH} deep"
            raise position.error(loop, "Remove one of the includes")
        blank = self._blank(found.end())
        if directive == "import_file" and is_missing(path):
            return blank
        self._including.append(buffer)
        self._buffer = Buffer(read_file(path, position))
        self.files.append(path)
        return blank
