"""``twistd natsroute --check`` with KEMI scripts that do what a script must not do: each is one message, in time"""

from __future__ import annotations

from tests.support.twistd import TwistdTestCase

#: Scripts, and the position and the message of each.
MISTAKES = {
    "blocks.py": ("import threading\n\nthreading.Event().wait()", ":3:1: ", "it is still busy here after {seconds} s"),
    "blocks.lua": ("while true do end", ":1:1: ", "the code was not loaded within {seconds} s"),
    "blocks_everything.py": (
        "import ctypes\nctypes.PyDLL(None).sleep(600)",
        "",
        "the code was not loaded within {seconds} s",
    ),
    "exits.py": ("import sys\nsys.exit(3)", ":2:1: ", "SystemExit: 3. A script must not end itself"),
    "ends.py": ("import os\nos._exit(4)", ": ", "it ended the process that it was tried in (exit code 4)"),
    "ends.lua": ("os.exit(4)", ": ", "it ended the process that it was tried in (exit code 4)"),
}


class CheckKemiTests(TwistdTestCase):
    """Scripts run in another process, which they may block or end."""

    files = {
        **{name: source for name, (source, _, _) in MISTAKES.items()},
        "prints.py": "import KSR\nprint('a\\x1bb')\nKSR.nats.publish('a', 'b')\ndef f(name): print('c')\n",
        "kamailio.cfg": (
            'modparam("nats", "event_callback", "f")\n'
            'modparam("app_python3", "load", "hooks.py")\n'
            'modparam("app_python3", "mod_init_function", "begin")\n'
            'modparam("app_python3", "child_init_method", "start")\n'
        ),
        "hooks.py": (
            "class Routes:\n    def f(self, msg, name): pass\n    def start(self, rank): 1 / 0\n"
            "def begin(): return Routes()\n"
        ),
    }

    def check(self, *arguments: str, seconds: int = 120) -> tuple[int, str]:
        """The exit code and the output of ``--check``, for which a script has these seconds."""
        program = self.run_program(
            "natsroute", "--check", "--subject_queue_group", "a:q", *arguments, NATSROUTE_RELOAD_TIMEOUT=str(seconds)
        )
        return program.wait(), program.output()

    def test_mistakes(self) -> None:
        """Each with file, line, column and remedy."""
        for name, (_, position, message) in MISTAKES.items():
            for seconds in (2, 20, 120) if name.startswith("blocks") else (120,):
                code, output = self.check("--kemi_script", name, "--event_callback", "f", seconds=seconds)
                expected = message.format(seconds=seconds)
                if expected in output:
                    break  # on a busy machine, a script may not have begun in 2 s
            self.assertEqual((code, len(output.splitlines())), (1, 1), output)
            self.assertIn(f"/{name}{position}" if position else "natsroute: ", output)
            self.assertIn(expected, output)

    def test_prints(self) -> None:
        """What a script prints is shown escaped, and nothing is sent."""
        code, output = self.check("--kemi_script", "prints.py", "--event_callback", "f")
        self.assertEqual((code, output.splitlines()[0]), (0, "printed while it was loaded: a\\x1bb"))
        self.assertNotIn("printed", output.split("\n", 1)[1])

    def test_hooks(self) -> None:
        """As for ``kamailio -c``, the hook for child processes is not called."""
        code, output = self.check("--kamailio_cfg", "kamailio.cfg")
        self.assertIn("/hooks.py\n", output)
        self.assertEqual(code, 0)
