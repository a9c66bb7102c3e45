"""natsroute.kamailio.kemi.lua_script"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from natsroute.errors import PublisherStoppedError, ScriptError
from natsroute.kamailio.kemi.lua_script import LuaInstance, LuaScript
from tests.support.garbage import left_in_cycles
from tests.support.kemi_scripts import ScriptCase, new_event


class LuaCase(ScriptCase):
    """A test with scripts in Lua."""

    def load_lua(self, source: str, callback: str = "on_event") -> LuaInstance:
        """Load a script."""
        return LuaScript(self.script(source, ".lua"), callback).load(self.new_context(), -2)

    def load_body(self, body: str) -> LuaInstance:
        """Load a script with this body of its callback."""
        return self.load_lua(f"function on_event(evname)\n{body}\nend")

    def values(self, body: str, data: bytes = b"") -> list[bytes]:
        """What a callback publishes, whose body has ``show(...)`` in it."""
        instance = self.load_lua(
            "function show(...)\n"
            "  local shown = {}\n"
            "  for i = 1, select('#', ...) do\n"
            "    local value = select(i, ...)\n"
            "    shown[i] = type(value) .. ':' .. tostring(value)\n"
            "  end\n"
            "  KSR.nats.publish('shown', table.concat(shown, ' '))\n"
            f"end function on_event(evname) {body} end"
        )
        instance.run(new_event(data))
        return [payload for _, payload, _ in self.published]

    def check_error(self, source: str, line: int, problem: str, remedy: str) -> None:
        """A script cannot be used."""
        error = self.assertRaises(ScriptError, self.load_lua, source)
        self.assertEqual((error.line, Path(error.file).suffix), (line, ".lua"), error)
        self.assertIn(problem, error.problem)
        self.assertIn(remedy, error.remedy)


class ValueTests(LuaCase):
    """Lua's conventions, as in Kamailio's app_lua."""

    def test_types(self) -> None:
        """nil for null, numbers for numbers, booleans, and strings of bytes."""
        self.assertEqual(
            self.values(
                "show(KSR.pv.get('$vn(x)'), KSR.pv.get('$var(x)'), KSR.pv.get('$natsData'), KSR.is_OPTIONS(),"
                "KSR.pv.getw('$vn(x)'), KSR.pv.sets('$var(x)', 'a'), KSR.info('x'), type(KSR.pv.get), KSRVERSION)",
                b"a\xff",
            ),
            [
                b"nil:nil number:0 string:a\xff boolean:true string:<null> boolean:true boolean:false string:function "
                b"string:2.0"
            ],
        )

    def test_payload(self) -> None:
        """It needs no call of Python. A connection event has none."""
        (shown,) = self.values(
            "show(#KSR.pv.get('$natsData'), KSR.pv.gete('$natsData'), KSR.pv.getw('$natsData'))", b"a\0b"
        )
        self.assertEqual(shown, b"number:3 string:a\0b string:a\0b")
        instance = self.load_body(
            "KSR.nats.publish(evname, tostring(KSR.pv.get('$natsData')) .. KSR.pv.getw('$natsData'))"
        )
        instance.run(new_event(subject="", route="nats:connected"))
        self.assertEqual(self.published[-1], ("nats:connected", b"nil<null>", None))

    def test_arguments(self) -> None:
        """Numbers are strings, strings are numbers; what is neither, or missing, is refused."""
        shown = self.values(
            "KSR.pv.sets('$var(x)', 5) KSR.pv.seti('$var(y)', '7') KSR.pv.seti('$var(z)', 1.9)"
            "KSR.pv.seti('$var(n)', nil) KSR.pv.sets('$var(f)', 0.5)"
            "show(KSR.pv.get('$var(x)'), KSR.pv.get('$var(y)'), KSR.pv.get('$var(z)'), KSR.pv.get('$var(n)'),"
            " KSR.pv.get('$var(f)'), KSR.pv.get(), KSR.pv.get({}), KSR.pv.sets('$var(x)'),"
            " KSR.pv.sets('$var(x)', true), KSR.pv.seti('$var(x)', 'no number'), KSR.pv.seti('$var(x)', 1/0),"
            " KSR.pv.get('$var(x)', 'and more'))"
        )
        self.assertEqual(
            shown,
            [
                b"string:5 number:7 number:1 number:0 string:0.5 boolean:false boolean:false boolean:false "
                b"boolean:false boolean:true boolean:true number:0"
            ],
        )
        self.assertEqual(
            [reason for _, reason in self.failures if reason.startswith("KSR.pv.sets()")],
            ["KSR.pv.sets(): argument 2 is not a string"] * 2,
        )

    def test_failure_of_a_function(self) -> None:
        """The log names the line of the script that calls it, as far as Lua knows it."""
        source = (
            "function on_event(evname)\n\n  KSR.nats.publish('a')\n  local n = KSR.pv.sets('$var(x)')\n"
            "  local f = loadstring('local n = KSR.pv.sets(1)')\n  f()\nend"
        )
        self.load_lua(source).run(new_event())
        found = [(position.rpartition("/")[2].partition(":")[2], problem) for position, problem in self.failures]
        self.assertEqual(
            found,
            [
                ("3:1", "KSR.nats.publish(): argument 2 is not a string"),
                ("4:1", "KSR.pv.sets(): argument 2 is not a string"),
                ("6:1", "KSR.pv.sets(): argument 2 is not a string"),
            ],
        )

    def test_print(self) -> None:
        """As in Python, so that twistd logs it, and escapes it."""
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        self.load_lua("print('load')\nfunction on_event(evname) print(evname, 5, nil, 'a\\255') print() end").run(
            new_event()
        )
        self.assertEqual(output.getvalue(), "load\nnats:a\t5\tnil\ta\\xff\n\n")

    def test_publish(self) -> None:
        """Its arguments are taken as those of any function."""
        shown = self.values(
            "show(KSR.nats.publish('a', 'b'), KSR.nats.publish(1, 2), KSR.nats.publish('a'),"
            " KSR.nats.publish('a', nil), KSR.nats.publish('a', {}), KSR.nats.publish_request('a', 'b', 'r'),"
            " KSR.nats.publish_request('a', 'b', ''), KSR.nats.publish_request('a', 'b'))"
        )
        self.assertEqual(
            shown[-1],
            b"number:1 number:1 boolean:false boolean:false boolean:false number:1 number:1 boolean:false",
        )
        self.assertEqual(
            self.published[:-1], [("a", b"b", None), ("1", b"2", None), ("a", b"b", "r"), ("a", b"b", None)]
        )

    def test_what_is_not_there(self) -> None:
        """It is nil, and so is lupa's way to Python."""
        self.assertEqual(self.values("show(KSR.tm, KSR.pv.nosuch, python)"), [b"nil:nil nil:nil nil:nil"])

    def test_modules_beside_the_script(self) -> None:
        path = self.script("local helper = require('kemi_helper_of_a_test') on_event = helper.f", ".lua")
        Path(path).with_name("kemi_helper_of_a_test.lua").write_text(
            "return {f = function() KSR.nats.publish('out', 'x') end}"
        )
        LuaScript(path, "on_event").load(self.new_context(), -2).run(new_event())
        self.assertEqual(self.published, [("out", b"x", None)])

    def test_first_line(self) -> None:
        """It may name the interpreter, as for the ``lua`` command; line numbers are right nevertheless."""
        self.load_lua("#!/usr/bin/lua\nfunction on_event() end")
        self.check_error("#!/usr/bin/lua\nx = = 1", 2, "syntax error", "Fix that line")


class CallTests(LuaCase):
    """Calls of the callback."""

    def test_instances(self) -> None:
        """Each has globals of its own."""
        script = LuaScript(
            self.script("n = 0 function on_event() n = n + 1 KSR.nats.publish('out', n) end", ".lua"), "on_event"
        )
        first, second = (script.load(self.new_context(), -2) for _ in range(2))
        for instance in (first, first, second):
            instance.run(new_event())
        self.assertEqual([payload for _, payload, _ in self.published], [b"1", b"2", b"1"])

    def test_batch(self) -> None:
        """Each message has its own payload and variables; what is published is in order."""
        instance = self.load_body(
            "KSR.pv.sets('$avp(x)', 'only in ' .. KSR.pv.get('$natsData'))"
            "KSR.nats.publish('out', KSR.pv.get('$(avp(x)[*])') .. evname)"
            "KSR.nats.publish_request('more', KSR.pv.get('$(natsData{s.len})'), 'r')"
        )
        events = [new_event(data) for data in (b"a", b"bb")]
        self.assertEqual(instance.run_batch(events), ())
        self.assertEqual(
            self.published,
            [
                ("out", b"only in anats:a", None),
                ("more", b"1", "r"),
                ("out", b"only in bbnats:a", None),
                ("more", b"2", "r"),
            ],
        )

    def test_failures(self) -> None:
        """Of a batch, they have their index. Line, message and traceback are Lua's."""
        instance = self.load_body(
            "local data = KSR.pv.get('$natsData')\n"
            "if data == 'nil' then local x = nil .. 'a' end\n"
            "if data == 'error' then error({}) end\n"
            "if data == 'exit' then KSR.x.exit() end\n"
            "if data == 'drop' then KSR.x.drop() end\n"
            "KSR.nats.publish('out', data)"
        )
        events = [new_event(data) for data in (b"1", b"nil", b"exit", b"error", b"drop", b"2")]
        failures = instance.run_batch(events)
        self.assertEqual([index for index, _ in failures], [1, 3])
        self.assertEqual([payload for _, payload, _ in self.published], [b"1", b"2"])
        error = failures[0][1]
        assert isinstance(error, ScriptError)
        self.assertEqual((error.line, error.problem), (3, "attempt to concatenate a nil value"))
        self.assertIn(f"{Path(error.file).name}:3: in function", error.remedy)
        self.assertIn(":3:1: attempt to concatenate a nil value. Called by: ", str(error))
        self.assertIn("table: 0x", str(failures[1][1]))

    def test_failure_without_a_traceback(self) -> None:
        """Such as that of Lua when it has no memory."""
        error = LuaScript(self.script("function on_event() end", ".lua"), "on_event")._call_error("not enough memory")
        self.assertEqual((error.problem, error.remedy), ("not enough memory", "Lua does not say what called it"))

    def test_failure_of_one(self) -> None:
        error = self.assertRaises(ScriptError, self.load_body("\nnosuch()").run, new_event())
        self.assertEqual((error.line, error.problem), (3, "attempt to call global 'nosuch' (a nil value)"))
        self.assertIs(self.load_body("KSR.x.exit()").run(new_event()), None)

    def test_no_cycles(self) -> None:
        """The error of a call goes when nobody has it."""
        instance = self.load_body("nosuch()")

        def fail() -> None:
            with contextlib.suppress(ScriptError):
                instance.run(new_event())

        self.assertEqual(left_in_cycles(fail), [])

    def test_error_of_a_function(self) -> None:
        """What a function of KSR raises is an error in Lua, which pcall() catches."""

        def fail(*arguments: object) -> None:
            raise KeyError("full")

        self.publish = fail  # type: ignore[method-assign, assignment]
        self.publish_all = fail  # type: ignore[method-assign, assignment]
        instance = self.load_body("local ok = pcall(KSR.nats.publish, 'a', 'b') KSR.pv.sets('$shv(x)', tostring(ok))")
        instance.run(new_event())
        self.assertEqual(self.service.shared, {b"x": b"false"})

    def test_publisher_that_stopped(self) -> None:
        """What a batch has kept is lost then. Its calls have ended."""

        def refuse(messages: object) -> None:
            raise PublisherStoppedError("stopped")

        self.publish_all = refuse  # type: ignore[method-assign]
        instance = self.load_lua("function on_event(evname) KSR.nats.publish('a', 'b') end")
        self.assertEqual(instance.run_batch([new_event(b"1"), new_event(b"2")]), ())


class _Shared(dict[bytes, Any]):
    """The values of ``$shv``. Tells of each change."""

    def __init__(self, on_change: Callable[[], object]) -> None:
        super().__init__()
        self._on_change = on_change

    def __setitem__(self, name: bytes, value: Any) -> None:
        self._on_change()


class KeepTests(LuaCase):
    """When what is published leaves: after a batch, or at once where the script may block."""

    def test_locks(self) -> None:
        """What an event of a batch has locked is released at its end, before the next one. It may block, too."""
        held: list[tuple[int, int]] = []
        source = (
            "KSR.htable.sht_lock('t', 'loading')\nfunction on_event(evname)\n"
            "local data = KSR.pv.get('$natsData')\nKSR.nats.publish('out', data)\n"
            "if data == '1' then KSR.htable.sht_lock('t', 'a') KSR.pv.sets('$shv(x)', data) error('x')\n"
            "elseif data == '3' then KSR.htable.sht_lock('t', 'b') end\nKSR.pv.sets('$shv(x)', data)\nend"
        )
        instance = self.load_lua(source)
        self.assertEqual(len(self.service.locks), 0)

        self.service.shared = _Shared(lambda: held.append((len(self.service.locks), len(self.published))))
        failures = instance.run_batch([new_event(data) for data in (b"1", b"2", b"3")])
        self.assertEqual([index for index, _ in failures], [0])
        self.assertEqual(held, [(1, 1), (0, 2), (1, 3)])
        self.assertEqual(len(self.service.locks), 0)

    def seen_by(self, blocking: str, data: Sequence[bytes] = (b"1", b"2"), before: str = "") -> list[int]:
        """How many messages had left when the script called a function of Python, in each event of a batch."""
        seen: list[int] = []
        body = f"KSR.nats.publish('a', 'b') {blocking} KSR.pv.get('$var(x)')"
        instance = self.load_lua(f"{before} function on_event(evname) {body} end")
        enter = instance._context.begin

        def begin(event: Any) -> None:
            seen.append(len(self.published))
            enter(event)

        instance._context = _Watched(instance._context, begin)  # type: ignore[assignment]
        instance.run_batch([new_event(one) for one in data])
        return seen

    def test_batch(self) -> None:
        self.assertEqual((self.seen_by(""), len(self.published)), ([0, 0], 2))

    def test_single(self) -> None:
        """A script that is slow gets one message at a time, and what it publishes leaves at once."""
        self.assertEqual(self.seen_by("", [b"1"]), [1])

    def test_files_and_programs(self) -> None:
        """They may be what the script waits for. From then on, nothing is kept."""
        for call in (
            "os.execute('true')",
            "pcall(io.popen, 'true')",
            "io.open('/dev/null')",
            "pcall(package.loadlib, 'x', 'y')",
        ):
            self.published.clear()
            self.assertEqual(self.seen_by(call), [1, 2], call)

    def test_module_in_c(self) -> None:
        """One that computes changes nothing, nor does a module that is not there."""
        self.assertEqual(self.seen_by("pcall(require, 'nosuch_module')"), [0, 0])

    def test_cjson(self) -> None:
        """Debian's package lua-cjson: a module written in C that computes."""
        if not list(Path("/usr/lib").glob("*/lua/5.1/cjson.so")):
            raise SkipTest("not installed: lua-cjson")
        body = "KSR.nats.publish('out', cjson.encode({1, cjson.decode(KSR.pv.get('$natsData')).a}))"
        instance = self.load_lua(f"cjson = require('cjson') function on_event(evname) {body} end")
        instance.run_batch([new_event(b'{"a":"x"}'), new_event(b'{"a":2}')])
        self.assertEqual([payload for _, payload, _ in self.published], [b'[1,"x"]', b"[1,2]"])
        self.published.clear()
        self.assertEqual(self.seen_by("", before="require('cjson')"), [0, 0])

    def test_module_that_may_wait(self) -> None:
        """Any other module written in C."""
        found = list(Path("/usr/lib").glob("*/lua/5.1/cjson.so"))
        if not found:
            raise SkipTest("not installed: lua-cjson")
        library = found[0]
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "waits-cjson.so").symlink_to(library)  # Lua looks for a function behind the hyphen
        before = f"package.cpath = '{folder}/?.so' require('waits-cjson')"
        self.assertEqual(self.seen_by("", before=before), [1, 2])

    def test_files_while_the_script_is_loaded(self) -> None:
        self.assertEqual(self.seen_by("", before="io.open('/dev/null'):close()"), [0, 0])

    def test_long_loop(self) -> None:
        """It is interrupted to publish."""
        self.assertEqual(self.seen_by("for i = 1, 3000000 do end"), [1, 2])

    def test_many(self) -> None:
        """They leave in between."""
        self.assertEqual(self.seen_by("for i = 1, 999 do KSR.nats.publish('a', 'b') end"), [1000, 2000])


class _Watched:
    """A context that tells when an event begins."""

    def __init__(self, context: Any, begin: Any) -> None:
        self._context = context
        self.begin = begin

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


class BadScriptTests(LuaCase):
    """One error with file, line and remedy."""

    def test_syntax_error(self) -> None:
        self.check_error("x = 1\nx = = 2\n", 2, "syntax error: unexpected symbol near '='", "Fix that line")

    def test_error_while_it_is_loaded(self) -> None:
        self.check_error("\nKSR.tm.t_relay()", 2, "attempt to index field 'tm' (a nil value)", "Fix that line")
        self.check_error("\nerror('no text', 0)", 2, "no text", "Fix that line")
        self.check_error("error({})", 1, "an error without a text", "Fix that line")

    def test_exit_while_it_is_loaded(self) -> None:
        self.check_error("\nKSR.x.exit()", 2, "KSR.x.exit() or KSR.x.drop() was called", "must not end itself")

    def test_no_callback(self) -> None:
        self.check_error("", 1, "event_callback is 'on_event', and there is no such thing", "Define it as a function")
        self.check_error("function on_evnt(x) end", 1, "there is no such thing", "Did you mean on_evnt?")
        self.check_error("on_event = {}", 1, "event_callback is 'on_event', and it is a table", "Define it")

    def test_no_file(self) -> None:
        error = self.assertRaises(ScriptError, LuaScript, "/nosuch.lua", "on_event")
        self.assertEqual(
            str(error),
            "/nosuch.lua:1:1: it cannot be read: No such file or directory. "
            "Set kemi_script, or the modparam load, to a readable file",
        )

    def test_without_lupa(self) -> None:
        """The error names the extra."""

        def fail(name: str) -> Any:
            raise ImportError(name)

        self.patch(importlib, "import_module", fail)
        error = self.assertRaises(ScriptError, self.load_lua, "")
        self.assertIn("pip install 'natsroute[lua]'", error.remedy)
