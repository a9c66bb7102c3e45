"""natsroute.daemon.code.check_code; tests.integration.test_check_kemi has code that does harm"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.code import check_code as check_code_module
from natsroute.daemon.code.check_code import CheckedCode, check_code

#: Say and do nothing more.
BLOCKS = "import time; time.sleep(600)"


class CheckCodeTests(SynchronousTestCase):
    """What a process says about code. The processes are real, and load nothing."""

    def check(self, program: str, seconds: float = 60.0) -> CheckedCode:
        """What comes of a process that runs a program in Python."""
        self.patch(check_code_module, "command", lambda settings, seconds: [sys.executable, "-I", "-S", "-c", program])
        return check_code(Settings(kemi_script="/a.py", event_callback="f", reload_timeout=seconds))

    def test_no_code(self) -> None:
        """No process is started."""
        self.patch(check_code_module, "command", None)
        self.assertEqual(check_code(Settings()), CheckedCode())

    def test_it_can_be_used(self) -> None:
        """What it prints is escaped, whoever writes it."""
        program = "import os; print('\\nnull', flush=True); os.write(2, b'a\\x1bb\\n'); os.system('echo c >&2')"
        self.assertEqual(self.check(program), CheckedCode(None, ("a\\x1bb", "c")))

    def test_an_error(self) -> None:
        self.assertEqual(self.check("print('\\n\"/a.py is wrong\"')"), CheckedCode("/a.py is wrong"))

    def test_it_ends_its_process(self) -> None:
        problem = "/a.py: it ended the process that it was tried in (exit code 7)"
        self.assertEqual(self.check("import os; os._exit(7)").problem, problem)

    def test_it_prints_without_end(self) -> None:
        """Only the last lines are kept."""
        found = self.check("import os\nfor _ in range(5000): os.write(2, b'x' * 99 + b'\\n')\nprint('null')")
        self.assertEqual((found.problem, len(found.printed)), (None, 41))

    def test_it_does_not_answer(self) -> None:
        """In time, after its start. Its process is ended."""
        text = "the code was not loaded within 0.01 s (reload_timeout): it blocks, or something it imports"
        self.patch(check_code_module, "ANSWER_TIME", 0.05)
        found = self.check(f"import os; os.write(2, b'a\\n'); print(flush=True); {BLOCKS}", 0.01)
        self.assertEqual(found, CheckedCode(text, ("a",)))
        self.patch(check_code_module, "START_TIME", 0.01)
        self.assertEqual(self.check(BLOCKS, 0.01).problem, text)

    def test_no_process(self) -> None:
        """The system starts no more of them."""

        def start(*arguments: object, **more: object) -> None:
            raise OSError("out of processes")

        self.patch(check_code_module.subprocess, "Popen", start)
        self.assertIn("out of processes", str(self.check("").problem))
