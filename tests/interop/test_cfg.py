"""kamailio.cfg: what the real Kamailio reads and refuses, and what natsroute does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Timer

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.document import KamailioCfg
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.cfg.strings import string_value
from tests.support.cfg_snippets import EXPRESSION_NAMES, EXPRESSIONS, FILES, ROUTE, SNIPPETS, STRICTER, VALUES
from tests.support.kamailio import REQUIRE, find, reserve_udp_port

#: The configuration that the package installs.
DEFAULT = Path("/etc/kamailio/kamailio.cfg")

#: Kamailio writes each value as hexadecimal digits, since any character may be in it.
PROGRAM = """#!KAMAILIO
debug=2
log_stderror=yes
disable_tcp=yes
children=1
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "htable.so"
modparam("htable", "htable", "t=>size=4")
{definitions}
request_route {{ exit; }}
event_route[htable:mod-init] {{
{assignments}
    xlog("L_ERR", "all shown\\n");
}}
"""
ASSIGNMENT = """    $var(x) = {expression};
    xlog("L_ERR", "value {number} [$(var(x){{s.encode.hexa}})]\\n");
"""
TIMEOUT = 120
#: The version of Kamailio that has ``#!ifexp`` and ``#!defexp``.
EXPRESSIONS_SINCE = (5, 7)


def unsigned(value: bytes) -> bytes:
    """A negative number as Kamailio's #!defexp writes it: as an unsigned one of 64 bits."""
    return b"%d" % (int(value) + 2**64) if re.fullmatch(rb"-[0-9]+", value) else value


class CfgTests(SynchronousTestCase):
    """Both read the same files."""

    def setUp(self) -> None:
        self.kamailio = find("kamailio") or ""
        if not self.kamailio:
            self.assertNotEqual(os.environ.get(REQUIRE), "1", f"Kamailio is not installed, and {REQUIRE} is 1")
            raise SkipTest("not installed: kamailio")
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        for name, text in FILES.items():
            (self.folder / name).write_text(text)
        self.path = self.folder / "kamailio.cfg"

    def accepts(self, text: str) -> bool:
        """Whether ``kamailio -c`` accepts a file."""
        self.path.write_bytes(text.encode())
        command = [self.kamailio, "-c", "-f", str(self.path), "-w", str(self.folder)]
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0

    def read(self, text: str) -> KamailioCfg:
        self.path.write_bytes(text.encode())
        return read_cfg(str(self.path), os.environ)

    def problem(self, text: str) -> str:
        """What natsroute says against a file; nothing if it reads it."""
        try:
            self.read(text)
        except ScriptError as error:
            return error.problem
        return ""

    def test_snippets(self) -> None:
        """Both accept or both refuse each of them."""
        self.assertTrue(len(SNIPPETS) >= 200)
        different: list[str] = []
        refused = 0
        for snippet in SNIPPETS:
            text = snippet + ROUTE
            theirs, ours = self.accepts(text), self.problem(text)
            refused += not theirs
            if theirs == bool(ours):
                different.append(f"{snippet!r}: Kamailio {'accepts' if theirs else 'refuses'} it; natsroute: {ours!r}")
        self.assertEqual(different, [])
        self.assertTrue(60 <= refused <= len(SNIPPETS) - 60, refused)

    def test_stricter(self) -> None:
        """natsroute refuses these, and Kamailio does not."""
        for snippet, problem in STRICTER.items():
            self.assertTrue(self.accepts(snippet + ROUTE), snippet)
            self.assertIn(problem, self.problem(snippet + ROUTE), snippet)

    def test_values(self) -> None:
        """What definitions, substitutions and strings end in."""
        self.compare(VALUES)

    def test_expressions(self) -> None:
        """What #!defexp gives, and whether #!ifexp holds."""
        version = subprocess.run([self.kamailio, "-v"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"kamailio (\d+)\.(\d+)", version)
        assert found is not None
        if (int(found[1]), int(found[2])) < EXPRESSIONS_SINCE:
            raise SkipTest("#!ifexp is in 5.7 and newer")
        names = "".join(f"#!define {name} {value}\n" for name, value in EXPRESSION_NAMES.items())
        cases = [(names, '"defined"')]
        for number, expression in enumerate(EXPRESSIONS):
            cases.append((f"#!defexps E{number} {expression}", f"E{number}"))
            cases.append(
                (f"#!ifexp {expression}\n#!define H{number} 1\n#!else\n#!define H{number} 0\n#!endif", f"H{number}")
            )
        self.compare(cases)

    def compare(self, cases: Sequence[tuple[str, str]]) -> None:
        """Both assign the same: for each case, definitions and an expression."""
        with reserve_udp_port() as reserved:
            program = PROGRAM.format(
                port=reserved.getsockname()[1],
                definitions="\n".join(definitions for definitions, _ in cases),
                assignments="".join(
                    ASSIGNMENT.format(expression=expression, number=number)
                    for number, (_, expression) in enumerate(cases)
                ),
            )
            theirs = self.kamailio_values(program)
        ours = [unsigned(value) for value in self.natsroute_values(program)]
        self.assertEqual((len(theirs), len(ours)), (len(cases), len(cases)))
        different = [
            f"{one}: Kamailio {their!r}, natsroute {our!r}"
            for one, their, our in zip(cases, theirs, ours)
            if their != our
        ]
        self.assertEqual(different, [])

    def kamailio_values(self, program: str) -> list[bytes]:
        """What the real Kamailio assigns. It is ended when it has logged all of it, or after a while."""
        self.path.write_bytes(program.encode())
        command = [self.kamailio, "-f", str(self.path), "-DD", "-E", "-m", "64", "-M", "8"]
        command += ["-w", str(self.folder), "-Y", str(self.folder)]
        lines: list[str] = []
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as kamailio:
            watch = Timer(TIMEOUT, os.killpg, (kamailio.pid, signal.SIGKILL))
            watch.start()
            try:
                assert kamailio.stderr is not None
                for line in kamailio.stderr:
                    lines.append(line)
                    if "all shown" in line:
                        os.killpg(kamailio.pid, signal.SIGKILL)  # with all that it has forked
                        break
            finally:
                watch.cancel()
        values = [re.search(r"value \d+ \[([0-9a-f]*)\]", line) for line in lines]
        found = [bytes.fromhex(value[1]) for value in values if value]
        self.assertTrue(found, "".join(lines))
        return found

    def natsroute_values(self, program: str) -> list[bytes]:
        """What natsroute makes of the assignments."""
        cfg = self.read(program)
        script = {b"var18": b"yes"}  # set by a modparam
        (body,) = [block.body.text for block in cfg.blocks if block.kind == "event_route"]
        found: list[bytes] = []
        for assigned in re.findall(
            r"\$var\(x\)\s*=\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*'|\$var\(\w+\)|\w+)\s*;", body, re.DOTALL
        ):
            if assigned[0] in "\"'":
                found.append(string_value(assigned).encode("utf-8", "surrogateescape"))
            elif assigned[0] == "$":
                found.append(script[assigned[5:-1].encode()])
            else:
                found.append(str(int(assigned, 0)).encode())
        return found

    def test_default_configuration(self) -> None:
        """The file that the package installs is read: all its modules and blocks."""
        if not DEFAULT.exists():
            raise SkipTest(f"there is no {DEFAULT}")
        cfg = read_cfg(str(DEFAULT), {})
        self.assertIn("tm", [module.name for module in cfg.modules])
        self.assertIn(("route", "REGISTRAR"), [(block.kind, block.name) for block in cfg.blocks])
        text = DEFAULT.read_text()
        blocks = re.findall(r"^(?:\w+_)?route(?:\[\w+\])? *\{", text, re.MULTILINE)
        self.assertEqual(len(cfg.blocks), len(blocks))
