"""natsroute.kamailio.cfg.reader"""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg import reader
from natsroute.kamailio.cfg.document import Block, KamailioCfg
from natsroute.kamailio.cfg.source import Piece, Position
from tests.support.cfg_files import CfgTestCase

EXAMPLE = """\
#!KAMAILIO
#!define WITH_NATS
#!define URL "nats://127.0.0.1:4222"
debug = 3  listen=udp:127.0.0.1:5060 /* } */
socket = { bind = udp:127.0.0.1:5061; workers = 2; }
mpath="/usr/lib/kamailio/modules/"
loadmodule "pv.so"
#!ifdef WITH_NATS
loadmodule "/usr/lib/kamailio/nats.so"
modparam("nats", "nats_url", URL)
modparam("nats|pv", "num", 0x10)
#!endif
tm.fr_timer = 5 desc "a { b"
event_route[nats:Kamailio-World]
{
    xlog("L_INFO", "}"); # }
#!ifdef NONE
    }
#!endif
    route(DONE);
}
route[DONE] { exit; }
request_route { if (1) { exit; } }
"""


class ReadTests(CfgTestCase):
    """What a file says."""

    def blocks(self, text: str) -> list[tuple[str, str, str]]:
        return [(block.kind, block.name, block.body.text) for block in self.read(text).blocks]

    def values(self, text: str) -> list[tuple[str, str, int | str]]:
        return [(one.module, one.name, one.value) for one in self.read(text).modparams]

    def test_a_long_block(self) -> None:
        """The time that it takes is in proportion to its length: no part of it is looked at again for each token."""
        looked_at = 0
        end = reader._end

        def counting_end(piece: Piece) -> Position:
            nonlocal looked_at
            looked_at += len(piece.text)
            return end(piece)

        self.patch(reader, "_end", counting_end)
        body = "$var(x) = 1;\n" * 500
        [(_, _, text)] = self.blocks(f"route[A] {{{body}}}")
        self.assertEqual(text.strip(), body.strip())
        self.assertLessEqual(looked_at, len(text))

    def test_example(self) -> None:
        """Modules, modparams, blocks and definitions; the rest is passed over."""
        cfg = self.read(EXAMPLE)
        path = str(self.folder / "kamailio.cfg")
        self.assertEqual(cfg.path, path)
        self.assertEqual([str(module.position) for module in cfg.modules], [f"{path}:7:12", f"{path}:9:12"])
        self.assertEqual([module.name for module in cfg.modules], ["pv", "nats"])
        self.assertEqual(
            [(one.module, one.name, one.value, one.position.line, one.position.column) for one in cfg.modparams],
            [
                ("nats", "nats_url", "nats://127.0.0.1:4222", 10, 30),
                ("nats", "num", 16, 11, 28),
                ("pv", "num", 16, 11, 28),
            ],
        )
        self.assertEqual(
            [(block.kind, block.name, block.position) for block in cfg.blocks],
            [
                ("event_route", "nats:Kamailio-World", Position(path, 14, 1)),
                ("route", "DONE", Position(path, 22, 1)),
                ("request_route", "", Position(path, 23, 1)),
            ],
        )
        self.assertEqual(cfg.blocks[0].body.text.split(), ['xlog("L_INFO",', '"}");', "route(DONE);"])
        self.assertEqual((cfg.definitions[b"WITH_NATS"], cfg.definitions[b"MOD_nats"]), (b"", b""))
        self.assertEqual(cfg.definitions[b"URL"], b'"nats://127.0.0.1:4222"')
        self.assertEqual(cfg.warnings, ())
        self.assertEqual([one.value for one in cfg.modparams_of("pv")], [16])

    def test_warnings(self) -> None:
        """They have their positions."""
        (warning,) = self.read("\n#!else\n").warnings
        self.assertEqual(str(warning), f"{self.folder}/kamailio.cfg:2:1: #!else without #!ifdef counts as a comment")

    def test_values(self) -> None:
        """Strings, numbers in all forms, and words for numbers."""
        for written, value in [
            ('"a\\x41" "b"', "aAb"),
            ("'a\\x41'", "a\\x41"),
            ("5", 5),
            ("-5", -5),
            ("+5", 5),
            ("0x1F", 31),
            ("010", 8),
            ("101b", 5),
            ("yes", 1),
            ("off", 0),
            ('""', ""),
        ]:
            self.assertEqual(self.values(f'modparam("m", "p", {written})'), [("m", "p", value)], written)

    def test_evaluated(self) -> None:
        """modparamx and loadmodulex have variables in them, modparam and loadmodule do not."""
        text = """#!define A 7
        modparam("m", "$def(A)", "$def(A)")
        modparamx("m$def(A)", "p$def(A)", "v$def(A)$$")
        modparamx("m", "p", $def(A))
        modparamx("m", "p", $(def(A){s.len}))
        modparamx("m", "p", 5)
        """
        self.assertEqual(
            self.values(text),
            [("m", "$def(A)", "$def(A)"), ("m7", "p7", "v7$"), ("m", "p", "7"), ("m", "p", 1), ("m", "p", 5)],
        )
        text = 'loadmodule "$def(A).so"\nloadmodulex "x$def(A).so"'
        self.assertEqual([module.name for module in self.read("#!define A 7\n" + text).modules], ["$def(A)", "x7"])

    def test_modules_of_modparams(self) -> None:
        """Names that are separated by | need not be loaded; a regular expression matches those that are."""
        text = 'loadmodule "nats.so"\nloadmodule "nathelper.so"\n'
        for pattern, modules in [
            ("nats|none", ["nats", "none"]),
            ("NATS", ["nats"]),
            ("nat.*", ["nats", "nathelper"]),
            ("nat", ["nat"]),
            ("x.*", []),
        ]:
            found = [module for module, _, _ in self.values(f'{text}modparam("{pattern}", "p", 1)')]
            self.assertEqual(found, modules, pattern)

    def test_load_forms(self) -> None:
        """With options, without suffix, and twice."""
        text = 'loadmodule "a"\nloadmodule("/x/b.so")\nloadmodule("c.so", "g")\nloadmodule "a.so"\nloadpath "/x"\n'
        self.assertEqual([module.name for module in self.read(text).modules], ["a", "b", "c"])

    def test_blocks(self) -> None:
        """All kinds, with names in all forms."""
        for text, kind, name in [
            ("route {x}", "route", ""),
            ("route[A] {x}", "route", "A"),
            ('route [ "A b" ] {x}', "route", "A b"),
            ("#!define A B\nroute[A]{x}", "route", "B"),
            ("route[0x10]{x}", "route", "16"),
            ("request_route\n{x}", "request_route", ""),
            ("reply_route{x}", "reply_route", ""),
            ("onreply_route{x}", "onreply_route", ""),
            ("onreply_route[1]{x}", "onreply_route", "1"),
            ("failure_route[A]{x}", "failure_route", "A"),
            ("branch_route[A]{x}", "branch_route", "A"),
            ("onsend_route{x}", "onsend_route", ""),
            ("event_route[nats:a]{x}", "event_route", "nats:a"),
            ("event_route [ nats:a.*.> ] {x}", "event_route", "nats:a.*.>"),
            ("event_route['nats:a_b-c']{x}", "event_route", "nats:a_b-c"),
            ('event_route["nats:1"]{x}', "event_route", "nats:1"),
            ("#!define nats x\nevent_route[nats:a]{x}", "event_route", "nats:a"),
        ]:
            self.assertEqual(self.blocks(text), [(kind, name, "x ")], text)

    def test_bodies(self) -> None:
        """Braces in strings, comments and variables do not count; #!define is replaced."""
        for body, expected in [
            ("{ a } { { b } }", "{ a } { { b } }"),
            ("\"}\" '{' $var(}) # }\n /* } */", "\"}\" '{' $var(})"),
            ("BLOCK }", "{ 5 }"),
            ("$x(a)", "$y(a)"),
            ('"x"', '"y"'),
        ]:
            text = '#!subst "/x/y/"\n#!define BLOCK { 5\nroute[A]{' + body + "}"
            ((_, _, found),) = self.blocks(text)
            self.assertEqual(found.split(), expected.split(), body)

    def test_parameters(self) -> None:
        """Global parameters that natsroute uses; the last one counts, and a word of this name is nothing else."""
        for text, expected in [
            ("max_while_loops = 5\nmax_while_loops=0x10\nroute { max_while_loops = 7; }", {"max_while_loops": 16}),
            ('max_while_loops "x"\ndebug = 3', {}),
            ("#!define LOOPS 9\nmax_while_loops=LOOPS", {"max_while_loops": 9}),
        ]:
            self.assertEqual(self.read(text).parameters, expected, text)

    def test_included_in_a_body(self) -> None:
        """A body may come from several files, and each character knows which."""
        cfg = self.read('route[A] {\n  a;\ninclude_file "b.cfg"\n  c; }', {"b.cfg": "\n  b;"})
        body = cfg.blocks[0].body
        found = {character: body.position_at(body.text.index(character)) for character in "abc"}
        path = str(self.folder)
        self.assertEqual(found["a"], Position(f"{path}/kamailio.cfg", 2, 3))
        self.assertEqual(found["b"], Position(f"{path}/b.cfg", 2, 3))
        self.assertEqual(found["c"], Position(f"{path}/kamailio.cfg", 4, 3))
        self.assertEqual(body.position_at(len(body) - 1), Position(f"{path}/kamailio.cfg", 4, 6))

    def test_replaced_in_a_body(self) -> None:
        """What a #!define puts there stands where its name does."""
        cfg = self.read('#!define A "x" + 1\nroute[R] {\n  b = A; c }')
        body = cfg.blocks[0].body
        self.assertEqual(body.text.split(), ["b", "=", '"x"', "+", "1;", "c"])
        positions = {text: body.position_at(body.text.index(text)) for text in ("b", '"x"', "1", ";", "c")}
        self.assertEqual([(at.line, at.column) for at in positions.values()], [(3, 3), (3, 7), (3, 7), (3, 8), (3, 10)])


class ErrorTests(CfgTestCase):
    """Each error has its position and a remedy."""

    def test_errors(self) -> None:
        """What is malformed, and where."""
        for text, line, column, problem in [
            ("loadmodule pv", 1, 12, "loadmodule is malformed at pv"),
            ('max_while_loops = "x"', 1, 19, "max_while_loops is malformed at a string"),
            ('loadmodule ""', 1, 12, "loadmodule is malformed at a string"),
            ('loadmodule("a" 5)', 1, 16, "loadmodule is malformed at 5"),
            ('loadmodule("a", 5)', 1, 17, "loadmodule is malformed at 5"),
            ('#!define MOD_a\nloadmodule "a"', 2, 12, "MOD_a is defined already"),
            ('loadmodulex "$x(y)"', 1, 13, "unknown variable $x"),
            ('modparam("a", "b", "c"', 1, 23, "modparam is malformed at the end of the file"),
            ('modparam("a", "b" "c")', 1, 22, "modparam is malformed at )"),
            ('modparam "a"', 1, 10, "modparam is malformed at a string"),
            ('modparam(a, "b", "c")', 1, 10, "modparam is malformed at a"),
            ('modparam("a", "b", c)', 1, 20, "modparam is malformed at c"),
            ('modparam("a", "b", 08)', 1, 20, "modparam is malformed at 08"),
            (f'modparam("a", "b", {"9" * 5000})', 1, 20, "modparam is malformed at 999"),
            (f"route[{'9' * 5000}] {{}}", 1, 7, "route is malformed at 999"),
            ('modparam("a", "b", -"c")', 1, 21, "modparam is malformed at a string"),
            ('modparam("a", "b", $def(X))', 1, 20, "modparam is malformed at $def(X)"),
            ('modparamx("a", "b", $def(X))', 1, 21, "$def(X) has no value"),
            ('modparamx("a", "b", $nosuch(X))', 1, 21, "unknown variable $nosuch"),
            ('modparam("(", "b", 1)', 1, 10, "the module of a modparam is no regular expression"),
            ("route[A] x", 1, 10, "route is malformed at x"),
            ("route[] {", 1, 7, "route is malformed at ]"),
            ("route[5a] {", 1, 7, "route is malformed at 5a"),
            ("route[A", 1, 8, "route is malformed at the end of the file"),
            ("request_route[A] {}", 1, 14, "request_route has no name"),
            ("event_route {}", 1, 1, "event_route is malformed"),
            ("event_route[nats] {}", 1, 13, "event_route[nats] has no name of the form MODULE:EVENT"),
            ("event_route[nats:] {}", 1, 13, "has no name of the form MODULE:EVENT"),
            ("event_route[nats:a b] {}", 1, 13, "has no name of the form MODULE:EVENT"),
            ("route[A] {}\n route[A] {}", 2, 2, "route[A] is there already"),
            ("\nroute[A] {\n{ }", 2, 10, "the block route[A] is never closed"),
            ("route[A] {\n request_route {}", 2, 2, "request_route inside of the block that begins at"),
            ('route[A] {\n #!subst "/a/b/"\n}', 2, 2, "#!subst inside of a block"),
            ("x }", 1, 3, "a closing brace that no block opens"),
            ("socket = { x", 1, 10, "this brace is never closed"),
            ("#!subst x", 1, 1, "#!subst without a rule in quotes"),
            ('#!subst "x"', 1, 9, "the rule of #!subst is malformed"),
        ]:
            self.assert_error(text, line, column, problem)

    def test_one_message(self) -> None:
        """The error shows file, line, column, problem and remedy in one line."""
        text = str(self.error("route[A] {"))
        self.assertEqual(
            text,
            f"{self.folder}/kamailio.cfg:1:10: the block route[A] is never closed. Write the brace that closes it",
        )

    def test_passwords(self) -> None:
        """No error shows the text of a string: it may be a URL with a password."""
        for text in (
            'modparam "nats://u:hunter2@h"',
            'modparam("nats" "nats_url", "nats://u:hunter2@h")',
            'modparamx("nats", "nats_url", "nats://u:hunter2@h/$x(y)")',
            'loadmodule("a" "b", "c" "hunter2"',
            '#!subst "/PASSWORD/hunter2"',
            '#!define P "hunter2"\n#!defexp Q 1 + P\n',
            '#!define P "hunter2"\n#!defexp Q -P\n',
            'x "hunter2',
        ):
            self.assertNotIn("hunter2", str(self.error(text)), text)

    def test_missing_file(self) -> None:
        """The file itself may be missing."""
        error = self.assertRaises(ScriptError, self.read_missing)
        self.assertIn("No such file or directory", error.problem)

    def read_missing(self) -> KamailioCfg:
        from natsroute.kamailio.cfg.reader import read_cfg

        return read_cfg(str(self.folder / "none.cfg"), {})


#: Parts of which any file is put together.
PARTS = [
    "#!define ", "#!trydef ", "#!redef ", "#!undef ", "#!defexp ", "#!ifdef ", "#!ifndef ", "#!ifexp ", "#!else\n",
    "#!endif\n", '#!subst "/A/B/g"\n', '#!substdef "/A/B/"\n', "#!substdefs ", "#!defenv ", "#!KAMAILIO\n", "!!",
    'include_file "', "import_file ", "kamailio.cfg", '"', "'", "/*", "*/", "//", "#", "\\", "\\\n", "\n", " ", "\t",
    "A", "B", "A_B", "5", "0x", "$var(", "$", "$A", ")", "(", "[", "]", "{", "}", ";", "=", ",", "|", "-", "\xe9",
    "route[", "event_route[nats:", "request_route ", "route ", 'modparam("nats", ', "modparamx(", 'loadmodule "',
    "\udcff", "\ufeff", "\x00", "\r\n", "MOD_nats", "::1", "@", "%", "&&", "== ",
]  # fmt: skip


class AnyFileTests(CfgTestCase):
    """Any file is read, or has an error at a place where it can have one."""

    @given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
    def test_parts(self, text: str) -> None:
        """Of parts that mean something."""
        self.check(text)

    @given(st.binary(max_size=200))
    def test_bytes(self, data: bytes) -> None:
        """Of any bytes."""
        self.check(data.decode("utf-8", "surrogateescape"))

    def check(self, text: str) -> None:
        """Positions of errors and of blocks are right."""
        path = self.write(text)
        lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
        try:
            cfg = self.read(text)
        except ScriptError as error:
            self.assertTrue(error.problem and error.remedy)
            self.assertEqual(Path(error.file).name, "kamailio.cfg")
            self.assertTrue(1 <= error.line <= len(lines))
            self.assertTrue(1 <= error.column <= len(lines[error.line - 1]) + 1)
            return
        for block in cfg.blocks:
            self.check_block(block, lines)

    def check_block(self, block: Block, lines: list[str]) -> None:
        """Each character that was not replaced stands in the file where its position says, or is blank."""
        start = block.position
        self.assertTrue(lines[start.line - 1][start.column - 1 :].startswith(block.kind) or "define" in "".join(lines))
        body = block.body
        closing = body.position_at(len(body) - 1)
        replaced = set(re.findall(r"(?:def\w*|subst\w*)", "".join(lines)))
        for index, character in enumerate(body.text):
            at = body.position_at(index)
            there = (lines[at.line - 1] + "\n")[at.column - 1]
            if not replaced:
                self.assertIn(character, (there, " "), str(at))
        if not replaced:
            self.assertEqual(lines[closing.line - 1][closing.column - 1], "}")
