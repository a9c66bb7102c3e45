"""natsroute.kamailio.cfg.preprocessor"""

from __future__ import annotations

from collections.abc import Mapping

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg import preprocessor
from natsroute.kamailio.cfg.lexemes import Kind
from natsroute.kamailio.cfg.preprocessor import MAX_INCLUDE_DEPTH, Preprocessor, Token
from natsroute.kamailio.cfg.source import Position, SourceText
from tests.support.cfg_files import CfgTestCase


class PreprocessorTestCase(CfgTestCase):
    """Texts, and the tokens that they become."""

    def tokens(self, text: str | bytes, environment: Mapping[str, str] | None = None) -> list[Token]:
        """All tokens but the last one. Rules of #!subst are added as they come."""
        self.warnings: list[tuple[Position, str]] = []
        source = Preprocessor(
            str(self.write(text)), environment or {}, lambda position, text: self.warnings.append((position, text))
        )
        tokens: list[Token] = []
        directive = ""
        while (token := source.next()).kind is not Kind.END:
            tokens.append(token)
            if token.kind is Kind.DIRECTIVE:
                directive = token.value
            elif directive and token.kind is Kind.STRING:
                source.substitute(directive, token.value, token.position)
                directive = ""
        self.assertIs(source.next().kind, Kind.END)
        return tokens

    def result(self, text: str | bytes, environment: Mapping[str, str] | None = None) -> str:
        """The tokens with single blanks between them."""
        blank = (Kind.BLANK, Kind.DIRECTIVE)
        return " ".join(token.text for token in self.tokens(text, environment) if token.kind not in blank)

    def refuse(self, text: str, line: int, column: int, problem: str) -> ScriptError:
        """The text has this error."""
        error = self.assertRaises(ScriptError, self.tokens, text)
        self.assertEqual((error.line, error.column, error.problem), (line, column, problem))
        self.assertTrue(error.remedy)
        return error


class DefineTests(PreprocessorTestCase):
    """#!define and its kin."""

    def test_replaced(self) -> None:
        """Whole identifiers are, and what replaces them is read again."""
        for text, expected in [
            ("#!define A 5\nA AB B.A", "5 AB B . 5"),
            ("#!def A\nA x A", "x"),
            ("#!define A 'x y' # z\nA;\nb", "'x y' b"),
            ("#!define A B B\n#!define B 5\nA", "5 5"),
            ('#!define A "x\nA y"', '"x y"'),
            ("#!define A /*\nA x */ y", "y"),
            ("#!define A 1\\\n2\nA", "12"),
            ("#!define A\t 1 \t\nA", "1"),
            ("#!define A=1\nA", "= 1"),
            ("#!define A 1\r\nA", "1"),
            ("x #!define A 1\nA", "x 1"),
            ("!!define A 1\nA", "1"),
            ("#!define A #!define B 2\nA\nB", "2"),
            ("#!define A", ""),
        ]:
            self.assertEqual(self.result(text), expected, text)

    def test_not_replaced(self) -> None:
        """In strings, comments, variables, reserved words, and as a part of another word."""
        text = "#!define A 5\n#!define if 6\n#!define TCP 7\n"
        kept = "\"A\" 'A' $A $var(A) @A %A if TCP A5 5A"
        self.assertEqual(self.result(text + kept + " # A /* A */"), kept)

    def test_kinds(self) -> None:
        """trydef keeps a value, redefine replaces it, undef forgets it."""
        text = (
            "#!define A 1\n#!trydef A 2\n#!trydefine B 3\n#!redef B 4\n#!redefine C 5\n#!define D 6\n#!undef D\nA B C D"
        )
        self.assertEqual(self.result(text + "\n#!tryundef D\n#!tryundefine A\nA"), "1 4 5 D A")

    def test_expressions(self) -> None:
        """#!defexp and #!defexps."""
        self.assertEqual(
            self.result("#!define A 5\n#!defexp B 1 + A\n#!defexps C 'x' + B\n#!defexp D\nB C D"), '6 "x6"'
        )

    def test_environment(self) -> None:
        """#!defenv and its kin; what follows on the line is read."""
        text = "#!defenv A\n#!defenvs B=A\n#!trydefenv C=NONE\n#!trydefenvs D=A x\nA B C D"
        self.assertEqual(self.result(text, {"A": "v w"}), 'x v w "v w" C "v w"')

    def test_errors(self) -> None:
        """Each is where the name or value stands."""
        for text, line, column, problem in [
            ("#!define A 1\n#!define A 1\n", 2, 10, "A is defined already"),
            ("#!undef A\n", 1, 9, "A is not defined"),
            ("#!undef A B\n", 1, 9, "something behind #!undef A"),
            ("#!define A-B 1\n", 1, 10, "a name with '-' in it"),
            ("#!define 5 1\n", 1, 10, "#!define without a name"),
            ("#!define A A\nA", 2, 1, "#!define A contains itself"),
            ("#!define A B\n#!define B x A\n\n  A", 4, 3, "#!define A contains itself"),
            ("#!define A 1", 1, 12, "the file ends in #!define, whose value Kamailio does not see then"),
            ("#!define A \\\n1\n", 1, 12, "the value of #!define does not begin on its line"),
            ("#!defexp A 1 +\n", 1, 10, "the expression '1 +': it ends too early"),
            ("#!defenv A\n", 1, 10, "the environment variable A is not set"),
            ("#!defenv \n", 1, 10, "'' is not NAME or NAME=VARIABLE"),
            ("#!SER\n", 1, 1, "the syntax of SER, which natsroute does not read"),
        ]:
            self.refuse(text, line, column, problem)

    def test_too_much(self) -> None:
        """Definitions that multiply each other end in an error, not in an endless file."""
        self.patch(preprocessor, "MAX_REPLACED", 10_000)
        text = "".join(f"#!define A{n} A{n + 1} A{n + 1}\n" for n in range(30)) + "A0"
        self.assertIn("makes the file too large", self.assertRaises(ScriptError, self.tokens, text).problem)


class ConditionTests(PreprocessorTestCase):
    """#!ifdef and its kin."""

    def test_skipped(self) -> None:
        """What does not hold is skipped, with all directives in it."""
        for text, expected in [
            ("#!ifdef A\nx\n#!else\ny\n#!endif\nz", "y z"),
            ("#!define A\n#!ifdef A # c\nx\n#!else\ny\n#!endif \nz", "x z"),
            ("#!ifndef A\nx\n#!endif\nz", "x z"),
            ("#!ifdef A\n#!define B 1\n#!ifndef A\nx\n#!else\ny\n#!endif\n\" ' /*\n#!endif\nB", "B"),
            ("#!ifdef A\n#!ifdef - in a comment\n#!ifexp ((\n#!endif\n#!endif\n#!endif\nB", "B"),
            ("#!ifexp NONE || 1 # c\nx\n#!endif\n#!ifexp NONE\ny\n#!endif\nz", "x z"),
            ("#!ifdef A\nx\n#!else\ny\n#!else\nz\n#!endif\n", "y"),
            ('"#!ifdef A\n" # #!ifdef A\nx', '"#!ifdef A\n" x'),
        ]:
            self.assertEqual(self.result(text), expected, text)

    def test_loaded_version(self) -> None:
        """The version and natsroute itself can be asked for."""
        text = "#!ifdef KAMAILIO_6_1\na\n#!endif\n#!ifdef NATSROUTE\nb\n#!endif\n#!ifdef KAMAILIO_5\nc\n#!endif\n"
        self.assertEqual(self.result(text), "a b")

    def test_else_alone(self) -> None:
        """Kamailio passes over it, and so do we, with a warning."""
        self.assertEqual(self.result("x\n#!else\ny"), "x y")
        self.assertEqual(
            [(at.line, text) for at, text in self.warnings], [(2, "#!else without #!ifdef counts as a comment")]
        )

    def test_errors(self) -> None:
        """A condition that is not closed is where it begins."""
        for text, line, column, problem in [
            ("\n #!ifdef A\n", 2, 2, "#!ifdef A is never closed by #!endif"),
            ("#!ifdef A\n#!endif", 1, 1, "#!ifdef A is never closed by #!endif"),
            ("x #!endif\n", 1, 3, "#!endif without #!ifdef"),
            ("#!ifdef 5\n#!endif\n", 1, 9, "#!ifdef without a name"),
            ("#!ifexp 1 +\n#!endif\n", 1, 9, "the expression '1 +': it ends too early"),
        ]:
            self.refuse(text, line, column, problem)
        error = self.refuse("#!ifndef A\n#!endif # A\n", 1, 1, "#!ifndef A is never closed by #!endif")
        self.assertIn("kamailio.cfg:2:1 counts as a comment", error.remedy)


class StringTests(PreprocessorTestCase):
    """Strings and #!subst."""

    def test_verbatim(self) -> None:
        """A string stands as it was written, and has its value."""
        (token,) = self.tokens(r'"a\tb"')
        self.assertEqual((token.text, token.value), (r'"a\tb"', "a\tb"))
        self.assertFalse(token.pieces[0].replaced)

    def test_joined(self) -> None:
        """Strings in double quotes with nothing but blanks between them are one."""
        for text, expected in [
            ('"a" "b\\\\"\n\t"c"', '"ab\\\\c"'),
            ("\"a\" 'b'", "\"a\" 'b'"),
            ('\'a\' "b" "c"', "'a' \"bc\""),
            ('"a" /* c */ "b"', '"a" "b"'),
            ('#!define A "b"\n"a" A', '"a" "b"'),
        ]:
            self.assertEqual(self.result(text), expected, text)

    def test_substituted(self) -> None:
        """In strings and variables, and in nothing else."""
        text = '#!KAMAILIO\n#!subst \'/x/y"/\'\nx "axx" \'x\' $x $var(x) $rc "none" # x'
        self.assertEqual(self.result(text), '\'/x/y"/\' x "ay\\"x" "y\\"" $y" $var(y") $rc "none"')
        self.assertEqual(self.result('#!subst "/x/y/"\n$x $(x)'), '"/x/y/" $x $(y)')

    def test_substdef(self) -> None:
        """It is a #!define, too, with quotes if asked for; variables in it have their values."""
        text = '#!substdef "!A!5!g"\n#!substdefs "/B/$env(HOME)/"\nA "AA" B; "B"'
        self.assertEqual(self.result(text, {"HOME": "/root"}), '"!A!5!g" "/B/$env(HOME)/" 5 "55" "/root" ; "/root"')

    def test_errors(self) -> None:
        """Malformed rules, and a byte that ends a string in Kamailio."""
        for text, line, column, problem in [
            ('"a\\x00"', 1, 1, "a string with a NUL byte, where it ends for Kamailio"),
            ("x 'a", 1, 3, "the string that begins here is never closed"),
            ('"a" \n "b', 2, 2, "the string that begins here is never closed"),
            ('#!substdef "//5/"', 1, 12, "#!substdef without a name"),
            ('#!define A\n#!substdef "/A/5/"', 2, 12, "A is defined already"),
        ]:
            self.refuse(text, line, column, problem)
        for rule in ("/a/", "/a/b/x", "/(/b/", "", "/a/$nosuch(x)/"):
            error = self.assertRaises(ScriptError, self.tokens, f'#!subst "{rule}"')
            self.assertIn("the rule of #!subst is malformed: ", error.problem)


class IncludeTests(PreprocessorTestCase):
    """include_file and import_file."""

    def test_included(self) -> None:
        """The file is read there; what it defines counts behind it."""
        self.write("#!define A 5\nx", "inc.cfg")
        self.write("y", "ix.cfg")
        for text, expected in [
            ('include_file "inc.cfg"\n=A', "x = 5"),
            ('#!import_file "inc.cfg"', "x"),
            ('!!include_file   "inc.cfg" y', "x y"),
            ('import_file "none.cfg"\ny', "y"),
            ('#!subst "/none/inc/"\ninclude_file "none.cfg"', '"/none/inc/" x'),
            ('include_file "i\\x.cfg"', "y"),
        ]:
            self.assertEqual(self.result(text), expected, text)

    def test_positions(self) -> None:
        """Each token stands in its own file."""
        self.write("#!ifdef A\nx", "inc.cfg")
        tokens = [
            token
            for token in self.tokens('#!define A\ninclude_file "inc.cfg"\n y\n#!endif\n')
            if token.kind is Kind.WORD
        ]
        self.assertEqual(
            [token.position for token in tokens],
            [Position(str(self.folder / "inc.cfg"), 2, 1), Position(str(self.folder / "kamailio.cfg"), 3, 2)],
        )

    def test_errors(self) -> None:
        """A file that is missing, without a name, or that includes itself."""
        for text, column, problem in [
            ("include_file inc.cfg", 14, "include_file without a file name"),
            ("import_file", 12, "import_file without a file name"),
            ("include_file 'inc.cfg'", 14, "include_file without a file name"),
            ('include_file ""', 14, "include_file without a file name"),
            ('include_file "a\\"', 14, "include_file without a file name"),
            ('include_file "a.cfg";', 14, "include_file without a file name"),
            ('include_file "none.cfg"', 14, f"{self.folder / 'none.cfg'} cannot be read: No such file or directory"),
            ('import_file "."', 13, ". cannot be read: Is a directory"),
        ]:
            self.refuse(text, 1, column, problem)
        path = self.folder / "kamailio.cfg"
        self.refuse('\ninclude_file "kamailio.cfg"', 2, 14, f"{path} includes itself")

    def test_depth(self) -> None:
        """As many files as Kamailio allows may include each other."""
        for number in range(MAX_INCLUDE_DEPTH):
            self.write(f'include_file "{number + 1}.cfg"\n', f"{number}.cfg")
        self.write("x", f"{MAX_INCLUDE_DEPTH - 1}.cfg")
        self.assertEqual(self.result('include_file "0.cfg"'), "x")
        self.write('include_file "last.cfg"', f"{MAX_INCLUDE_DEPTH - 1}.cfg")
        self.write("x", "last.cfg")
        error = self.assertRaises(ScriptError, self.tokens, 'include_file "0.cfg"')
        self.assertEqual(error.problem, "files are included 10 deep")


class BlankTests(PreprocessorTestCase):
    """What is not delivered is blank."""

    def test_positions_hold(self) -> None:
        """Each line and column is where it was."""
        text = "a # c\n/* \té\n */ b\n#!ifdef A\nskipped\n#!endif\n#!define C d\ne"
        tokens = self.tokens(text)
        blanked = "a    \n     \n    b\n         \n       \n       \n            \ne"
        self.assertEqual("".join(token.text for token in tokens), blanked)
        whole = SourceText([piece for token in tokens for piece in token.pieces])
        self.assertEqual((whole.position_at(len(text) - 1).line, whole.position_at(len(text) - 1).column), (8, 1))

    def test_bytes(self) -> None:
        """Bytes that are not UTF-8 are kept."""
        self.assertEqual(self.result(b"'\xff'"), "'\udcff'")
