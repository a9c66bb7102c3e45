"""natsroute.kamailio.kemi.python_script"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from natsroute.errors import ScriptError
from natsroute.kamailio.kemi import ksr_module
from natsroute.kamailio.kemi.hook_names import HookName, HookNames
from natsroute.kamailio.kemi.instance import Instance
from natsroute.kamailio.kemi.python_script import PythonScript
from tests.support.kemi_scripts import ScriptCase, new_event

FUNCTIONS = """\
import KSR as KSR

seen = []

def script_init():
    seen.append("init")

def script_child_init(rank):
    seen.append(rank)

def on_event(evname):
    seen.append(evname)
    KSR.nats.publish("out", " ".join(map(str, seen)) + KSR.pv.gete("$natsData"))
    return 1
"""

METHODS = """\
import KSR

def mod_init():
    return Routes()

class Routes:
    def __init__(self):
        self.seen = []

    def child_init(self, rank):
        self.seen.append(rank)
        return 0

    def on_event(self, msg, evname):
        self.seen.append(msg.Method + evname)
        KSR.nats.publish("out", " ".join(map(str, self.seen)))
        return -255
"""


class PythonScriptCase(ScriptCase):
    """A test that leaves this thread without an instance."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(ksr_module.forget)

    def error(self, source: str, callback: str = "on_event") -> ScriptError:
        """Why a script cannot be used."""
        return self.assertRaises(ScriptError, self.load, source, callback)

    def check_error(self, source: str, line: int, problem: str, remedy: str, column: int | None = None) -> None:
        """A script cannot be used."""
        error = self.error(source)
        self.assertEqual((error.line, Path(error.file).suffix), (line, ".py"), error)
        self.assertIn(problem, error.problem)
        self.assertIn(remedy, error.remedy)
        if column is not None:
            self.assertEqual(error.column, column)


class ConventionTests(PythonScriptCase):
    """Both conventions of Kamailio."""

    def test_functions(self) -> None:
        instance = self.load(FUNCTIONS)
        instance.run(new_event(b"!", route="nats:a.*"))
        self.assertEqual(self.published, [("out", b"init -2 nats:a.*!", None)])

    def test_methods(self) -> None:
        instance = self.load(METHODS)
        instance.run(new_event())
        self.assertEqual(self.published, [("out", b"-2 OPTIONSnats:a", None)])

    def test_child_hook_without_a_rank(self) -> None:
        """As Kamailio's manual shows it."""
        instance = self.load(FUNCTIONS.replace("script_child_init(rank)", "script_child_init(rank='none')"))
        instance.run(new_event())
        instance = self.load(FUNCTIONS.replace("(rank):\n    seen.append(rank)", "():\n    seen.append('none')"))
        instance.run(new_event())
        self.assertEqual([payload for _, payload, _ in self.published], [b"init -2 nats:a", b"init none nats:a"])

    def test_publish_workers(self) -> None:
        """They have no hook for child processes."""
        for source in (FUNCTIONS, METHODS):
            self.load(source, rank=None).run(new_event(subject="", route="nats:connected"))
        self.assertEqual(
            [payload for _, payload, _ in self.published], [b"init nats:connected", b"OPTIONSnats:connected"]
        )

    def test_instances(self) -> None:
        """Each has globals of its own."""
        script = PythonScript(self.script(FUNCTIONS), "on_event")
        instances = [script.load(self.new_context(), None) for _ in range(2)]
        ksr_module.use(self.new_context())
        for instance in instances:
            instance.run(new_event())
        self.assertEqual([payload for _, payload, _ in self.published], [b"init nats:a"] * 2)

    def test_module_beside_the_script(self) -> None:
        """A script can import one, and that can import KSR too."""
        path = self.script("import kemi_helper_of_a_test\non_event = kemi_helper_of_a_test.on_event\n")
        helper = Path(path).with_name("kemi_helper_of_a_test.py")
        helper.write_text("import KSR\ndef on_event(evname):\n    KSR.nats.publish('out', KSR.pv.get('$natsData'))\n")
        self.addCleanup(sys.path.remove, str(helper.parent))
        self.addCleanup(sys.modules.pop, "kemi_helper_of_a_test", None)
        PythonScript(path, "on_event").load(self.new_context(), None).run(new_event(b"x"))
        self.assertEqual(self.published, [("out", b"x", None)])

    def test_dataclass(self) -> None:
        """It finds the module of the script while that is in use."""
        source = """\
            from __future__ import annotations
            import dataclasses

            @dataclasses.dataclass
            class Call:
                name: str

            def on_event(evname):
                return Call(evname)
            """
        modules = set(sys.modules)
        instance = self.load(source)
        self.assertEqual(str(instance.run(new_event())), "Call(name='nats:a')")
        self.assertEqual(len(set(sys.modules) - modules - {"KSR"}), 1)
        instance.close()
        self.assertEqual(set(sys.modules) - modules - {"KSR"}, set())

    def test_event_callback_that_is_written_in_c(self) -> None:
        self.assertEqual(self.load("on_event = len").run(new_event()), 6)
        self.assertEqual(self.load("on_event = repr").run(new_event()), "'nats:a'")


class HookNameTests(PythonScriptCase):
    """Hooks under other names, which modparams give them."""

    def load_with(self, source: str, hooks: HookNames, rank: int | None = -2) -> Instance:
        return PythonScript(self.script(source), "on_event", hooks).load(self.new_context(), rank)

    def run_with(self, source: str, hooks: HookNames) -> bytes:
        """What it publishes for an event."""
        self.load_with(source, hooks).run(new_event())
        return self.published.pop()[1]

    def check_hook(self, source: str, hooks: HookNames, problem: str, remedy: str, rank: int | None = -2) -> None:
        """A script cannot be used."""
        error = self.assertRaises(ScriptError, self.load_with, source, hooks, rank)
        self.assertEqual((error.problem, error.remedy), (problem, remedy))

    def test_methods(self) -> None:
        hooks = HookNames(mod_init=HookName("begin", "m (f:1:1)"), child_init=HookName("start", "c (f:2:1)"))
        source = METHODS.replace("mod_init", "begin").replace("child_init", "start")
        self.assertEqual(self.run_with(source, hooks), b"-2 OPTIONSnats:a")

    def test_functions(self) -> None:
        hooks = HookNames(script_init=HookName("begin", "s (f:1:1)"), script_child_init=HookName("start", "c (f:2:1)"))
        source = FUNCTIONS.replace("script_init", "begin").replace("script_child_init", "start")
        self.assertEqual(self.run_with(source, hooks), b"init -2 nats:a")

    def test_script_for_the_other_module(self) -> None:
        """app_python3s calls no mod_init()."""
        hooks = HookNames(script_init=HookName("script_init", "s (f:1:1)"))
        self.assertEqual(self.run_with(FUNCTIONS + "def mod_init(): 1 / 0\n", hooks), b"init -2 nats:a")

    def test_none(self) -> None:
        """An empty name."""
        hooks = HookNames(script_init=HookName(""), script_child_init=HookName(""))
        self.assertEqual(self.run_with(FUNCTIONS, hooks), b"nats:a")

    def test_missing(self) -> None:
        """A hook that a modparam names must be there, as in Kamailio."""
        hooks = HookNames(mod_init=HookName("mod_initt", "mod_init_function (f:1:1)"))
        problem = "there is no 'mod_initt', which mod_init_function (f:1:1) names"
        self.check_hook(METHODS, hooks, problem, "Did you mean mod_init?")
        self.check_hook(FUNCTIONS, hooks, problem, "Define it, or leave mod_init_function (f:1:1) out")
        hooks = HookNames(child_init=HookName("start", "child_init_method (f:1:1)"))
        problem = "there is no 'start', which child_init_method (f:1:1) names"
        for rank in (-2, None):  # also where it is not called, as by --check
            self.check_hook(METHODS, hooks, problem, "Define it, or leave child_init_method (f:1:1) out", rank)

    def test_no_function(self) -> None:
        source = FUNCTIONS.replace('def script_init():\n    seen.append("init")', "script_init = 5")
        self.check_hook(
            source, HookNames(), "'script_init' cannot be called", "Kamailio calls it when it starts: define a function"
        )


class BadScriptTests(PythonScriptCase):
    """One error with file, line, column and remedy."""

    def test_syntax_error(self) -> None:
        self.check_error("x = 1\nif x = 1:\n    pass\n", 2, "syntax error: ", "Fix that line", column=4)

    def test_no_script(self) -> None:
        error = self.assertRaises(ScriptError, PythonScript, "/nosuch.py", "on_event")
        self.assertEqual(
            str(error),
            "/nosuch.py:1:1: it cannot be read: No such file or directory. "
            "Set kemi_script, or the modparam load, to a readable file",
        )
        self.check_error("x = '\0'", 1, "null bytes", "")

    def test_error_while_it_is_loaded(self) -> None:
        self.check_error("import KSR\n\nx = 1 / 0\n", 3, "ZeroDivisionError: division by zero", "Fix that line")
        if sys.version_info >= (3, 11):
            self.assertEqual(self.error("x = 1; y = x / 0").column, 12)

    def test_error_in_a_function_that_was_called(self) -> None:
        """The line is the innermost in the script."""
        self.check_error("import json\ndef f():\n    json.loads('{')\nf()\n", 3, "JSONDecodeError", "")

    def test_error_in_a_hook(self) -> None:
        self.check_error(FUNCTIONS.replace("seen.append(rank)", "raise KeyError(rank)"), 9, "KeyError: -2", "")
        self.check_error(METHODS.replace("self.seen = []", "sys.exit()"), 8, "NameError", "")

    def test_hook_that_refuses(self) -> None:
        """Kamailio does not start if child_init returns a number below 0."""
        self.check_error(METHODS.replace("return 0", "return -1"), 10, "child_init() returned -1", "return 0")

    def test_exit(self) -> None:
        self.check_error("import sys\nsys.exit(3)\n", 2, "SystemExit: 3", "must not end itself")

    def test_missing_module(self) -> None:
        self.check_error("import nosuch_module\n", 1, "ModuleNotFoundError", "Install the module")

    def test_missing_function(self) -> None:
        self.check_error(
            "import KSR\nKSR.tm.t_relay()\n",
            2,
            "AttributeError: module 'KSR' has no attribute 'tm'",
            "docs/kamailio/kemi.md",
        )

    def test_signal_handler(self) -> None:
        """Scripts run in threads, which cannot set one."""
        errors: list[ScriptError] = []
        source = "import signal\nsignal.signal(signal.SIGTERM, print)\n"
        thread = threading.Thread(target=lambda: errors.append(self.error(source)))
        thread.start()
        thread.join()
        self.assertEqual(errors[0].line, 2)
        self.assertIn("leave the call out", errors[0].remedy)

    def test_no_callback(self) -> None:
        self.check_error("x = 1\n", 1, "event_callback is 'on_event', and there is no such", "a function of the script")
        self.check_error(METHODS.replace("on_event", "other"), 1, "there is no such", "a method of the object")
        self.check_error("on_event = 1\n", 1, "cannot be called", "a function of the script")

    def test_misspelled_callback(self) -> None:
        """The error names the nearest function or method."""
        for source in (FUNCTIONS, METHODS):
            self.check_error(source.replace("on_event", "on_evnt"), 1, "there is no such", "Did you mean on_evnt?")

    def test_arity(self) -> None:
        self.check_error("\ndef on_event():\n    pass\n", 2, "another number of arguments", "the name of the event")
        self.check_error("def on_event(msg, evname):\n    pass\n", 1, "another number of arguments", "take 1:")
        self.check_error(METHODS.replace("self, msg, evname", "self, evname"), 14, "another number", "take 2:")

    def test_coroutine(self) -> None:
        self.check_error("async def on_event(evname):\n    pass\n", 1, "coroutine", "Use 'def'")

    def test_mod_init_without_a_result(self) -> None:
        self.check_error("x = 1\ndef mod_init():\n    pass\n", 2, "mod_init() returned None", "return the object")

    def test_nothing_is_left(self) -> None:
        """Of a script that cannot be used, no module stays."""
        modules = set(sys.modules)
        self.error("x = 1 / 0")
        self.assertEqual(set(sys.modules) - modules - {"KSR"}, set())


class CallTests(PythonScriptCase):
    """What a call of the callback does."""

    def test_raises(self) -> None:
        """Whatever the script raises is for the caller."""
        for error in (ZeroDivisionError, KeyboardInterrupt):
            instance = self.load(f"def on_event(evname):\n    raise {error.__name__}\n")
            self.assertRaises(error, instance.run, new_event())

    def test_exit(self) -> None:
        """sys.exit() ends the call, and nothing else."""
        self.assertIs(self.load("import sys\ndef on_event(evname):\n    sys.exit(1)\n").run(new_event()), None)

    def test_locks(self) -> None:
        """What a call has locked is released at its end, however it ends; and what was locked while it was loaded."""
        self.addCleanup(sys.__dict__.pop, "seen", None)
        for end in ("return 1", "raise KeyError", "sys.exit()"):
            lock = "KSR.htable.sht_lock('t', 'a')"
            instance = self.load(
                f"import KSR, sys\n{lock}\ndef on_event(evname):\n    sys.seen = lock()\n    {end}\n"
                f"def lock():\n    return {lock}\n"
            )
            self.assertEqual(len(self.service.locks), 0)
            try:
                instance.run(new_event())
            except KeyError:
                self.assertEqual(end, "raise KeyError")
            self.assertEqual((sys.__dict__.pop("seen"), len(self.service.locks)), (1, 0))

    def test_failure_of_a_function(self) -> None:
        """The log names the line of the script, also if a module calls the function for it."""
        source = "import KSR\ndef lock():\n    KSR.htable.sht_lock('x', 'a')\ndef on_event(evname):\n\n    lock()\n"
        self.load(source).run(new_event())
        [(position, problem)] = self.failures
        self.assertEqual(
            (Path(position).suffix, problem), (".py:3:1", "KSR.htable.sht_lock(): there is no such hash table")
        )

    def test_connection_event(self) -> None:
        """It has no payload."""
        instance = self.load("import KSR\ndef on_event(evname):\n    return [evname, KSR.pv.get('$natsData')]\n")
        self.assertEqual(instance.run(new_event(subject="", route="nats:disconnected")), ["nats:disconnected", None])
