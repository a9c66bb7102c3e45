"""
Which packages may import which. :data:`MAY_IMPORT` is the table, and it is written down nowhere else.

The imports are read from the source, including those inside functions and those for type checkers only: a module that
uses another one depends on it, whenever the import happens.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import ROOT
from tests.support.imports import Import, imports, imports_of, modules
from tests.support.tree import DOCUMENT, tree, written

#: The packages and modules in natsroute, from the bottom to the top, and what each may import in addition to itself:
#: packages, or single modules of packages. ``natsroute`` is the ``__init__.py`` of natsroute.
MAY_IMPORT: dict[str, set[str]] = {
    "text": set(),
    "turns": set(),
    "nearest": set(),
    "log": {"text"},
    "hot": set(),
    "errors": {"text"},
    "_version": set(),
    "ledger": {"hot"},
    "payloads": {"errors"},
    "wire": {"hot", "errors", "text"},
    "message": {"payloads", "wire"},
    "confirmation": {"errors", "text", "log"},
    "client": {"hot", "errors", "text", "turns", "log", "wire", "_version"},
    "jetstream": {
        "errors", "text", "turns", "log", "wire", "payloads", "message", "confirmation", "ledger", "client",
    },
    "publishing": {"hot", "errors", "text", "turns", "log", "wire", "payloads", "confirmation", "ledger"},
    "routes": {"hot", "errors", "text", "turns", "log", "wire", "payloads", "ledger", "message"},
    "middleware": {"routes"},
    "services": {"errors", "text", "log", "wire", "payloads", "ledger", "message", "routes"},
    "kamailio": {"errors", "log", "ledger", "nearest", "payloads", "routes"},
    "admin": {"errors", "text", "log", "nearest"},
    "monitoring": {
        "errors", "text", "log", "_version", "ledger", "payloads", "wire", "message", "client.status", "client.state",
        "routes.event", "routes.results", "routes.route_errors", "routes.outgoing",
    },
    "recording": {"errors", "text", "turns", "wire"},
    "daemon": {
        "text", "turns", "log", "nearest", "errors", "_version", "ledger", "payloads", "wire", "message",
        "confirmation", "client", "jetstream", "publishing", "routes", "middleware", "services", "kamailio",
        "monitoring", "admin", "hot",
    },
    "natsroute": {"_version", "errors", "client.auth", "routes", "daemon", "monitoring.log_observer"},
    "console": {
        "text", "nearest", "errors", "wire", "admin", "recording", "monitoring.overview", "daemon", "natsroute",
    },
    "__main__": {"console"},
    "testing": {
        "text", "log", "errors", "_version", "ledger", "payloads", "wire", "message", "client", "jetstream",
        "publishing", "routes", "middleware", "services", "kamailio", "monitoring", "admin", "daemon", "natsroute",
    },
}  # fmt: skip

#: What is in the table and does not exist yet. Remove a name here when you add the package.
TO_COME: set[str] = set()

#: The only module that joins all parts.
COMPOSITION_ROOT = "natsroute.daemon.service"
#: The only one that builds the publisher.
PUBLISHER_BUILDER = "natsroute.daemon.sending.publish_workers"

#: The modules that make the settings. They import nothing else of ``daemon``.
SETTINGS_MODULES = {module for module in modules("natsroute") if module.startswith("natsroute.daemon.settings")}
#: What they take from the packages above ``wire``: values that a setting becomes, and the readers of two of them.
#: Nothing that connects, publishes or runs.
SETTINGS_TAKE = {
    "natsroute.client.inbox": {"DEFAULT_INBOX_PREFIX"},
    "natsroute.client.options": {"InboundLimits", "Timing"},
    "natsroute.client.server_pool": {"Backoff"},
    "natsroute.client.servers": {"Server", "parse_url"},
    "natsroute.client.subscription": {"PendingLimits", "PendingPolicy", "PENDING_POLICIES"},
    "natsroute.client.transport.tls": {"Tls"},
    "natsroute.hot.choice": {"PURE_VARIABLE"},
    "natsroute.jetstream.management.configs": {
        "ConsumerConfig",
        "DISCARDS",
        "DeliverPolicy",
        "PRIORITY_POLICIES",
        "RETENTIONS",
        "STORAGES",
        "StreamConfig",
    },
    "natsroute.jetstream.times": {"parse_time"},
    "natsroute.kamailio.cfg.document": {"KamailioCfg", "Modparam"},
    "natsroute.kamailio.cfg.files": {"find_included"},
    "natsroute.kamailio.cfg.htables": {"tables_of"},
    "natsroute.kamailio.cfg.reader": {"read_cfg"},
    "natsroute.kamailio.evaluation": {"DEFAULT_PUA_JSON_SUBJECT", "DEFAULT_SCRIPT_TIMEOUT"},
    "natsroute.monitoring.log_levels": {"parse_rule"},
    "natsroute.monitoring.log_observer": {"LOG_FORMATS", "LogFormat"},
    "natsroute.publishing.options": {"PublishLimits", "PublishPolicy", "PUBLISH_POLICIES"},
    "natsroute.services.identity": {"is_version"},
}

#: What does not use Twisted: values and bytes.
WITHOUT_TWISTED = {"hot", "text", "errors", "_version", "ledger", "payloads", "wire", "message"}

#: What observes the log.
OBSERVERS = {
    "natsroute.daemon.processes.log_relay",
    "natsroute.daemon.operations.process_log",
    "natsroute.monitoring.log_levels",
    "natsroute.monitoring.log_lines",
    "natsroute.monitoring.log_observer",
    "natsroute.monitoring.recent_errors",
}

#: Files of natsroute that may have more lines than :data:`MAX_LINES`, and why.
LONG_FILES: dict[str, str] = {
    "natsroute.errors": "every exception, so that one look shows all; each has a few lines",
    "natsroute.jetstream.errors": "the same for those of JetStream",
}
MAX_LINES = 400

#: Modules of natsroute without a ``tests/test_<module>.py``, and why.
TESTED_ELSEWHERE = {
    "natsroute._version": "a number that incremental writes; tests.test_options compares it with --version",
    "natsroute.kamailio.cfg.document": "values; the tests of what makes them and of what takes them use them",
    "natsroute.kamailio.cfg.reserved": "words; tests.test_preprocessor has two that are not replaced",
    "natsroute.kamailio.script.syntax": "values; tests.test_script_parser",
    "natsroute.kamailio.script.nodes": "what the parser calls: tests.test_script_parser",
    "natsroute.kamailio.script.operands": "what the compiler of expressions calls: tests.test_script_expressions",
    "natsroute.kamailio.script.flow": "what the compiler of statements calls: tests.test_statements",
    "natsroute.kamailio.script.context": "what compiled statements share: tests.test_statements",
    "natsroute.kamailio.script.functions.definitions": "types; the tests of the functions use them",
    "natsroute.kamailio.kemi.instance": "types; the tests of the languages and of the worker use them",
    "natsroute.kamailio.kemi.ksr.definitions": "types; the tests of the functions use them",
    "natsroute.admin.errors": "classes; tests.test_admin_client, tests.test_methods",
    "natsroute.hot.pure": "tests.test_hot, for both implementations",
    "natsroute.hot.pure_reader": "tests.test_hot, tests.test_parser",
    "natsroute.__main__": "it calls natsroute.console.main: tests.integration.test_console",
    "natsroute.console.commands": "the list of commands: tests.test_main",
    "natsroute.console.run": "it starts twistd: tests.integration.test_console",
    "natsroute.console.check": "it reads the options of twistd natsroute: tests.integration.test_console",
    "natsroute.console.settings_help": "it prints a help: tests.integration.test_console",
    "natsroute.daemon.settings.setting_group": "the base of the groups of settings: tests.test_settings",
    "natsroute.daemon.settings.connection_settings": "a group of settings: tests.test_settings",
    "natsroute.daemon.settings.routing_settings": "a group of settings: tests.test_settings",
    "natsroute.daemon.settings.operation_settings": "a group of settings: tests.test_settings",
    "natsroute.routes.message_tracing": "an interface: tests.test_traced_runner",
    "natsroute.monitoring.publish_target": "values: tests.test_tracing",
    "natsroute.daemon.sending.sending": "it builds parts that have tests of their own: tests.test_service",
    "natsroute.daemon.sending.publish_workers": "it builds parts that have tests of their own: tests.test_service",
    "natsroute.daemon.sending.requesting": "tests.integration.test_requests",
    "natsroute.jetstream.publishing.outgoing_message": "values; tests.test_jetstream_publisher",
    "natsroute.jetstream.publishing.stream_options": "values; tests.test_jetstream_publisher",
    "natsroute.jetstream.publishing.stream_writer": "a part of the publisher: tests.test_jetstream_publisher",
    "natsroute.jetstream.publishing.stream_timers": "a part of the publisher: tests.test_jetstream_publisher",
    "natsroute.jetstream.publishing.stream_outcomes": "a part of the publisher: tests.test_jetstream_publisher",
    "natsroute.daemon.sending.jetstream": "it builds the API that the settings name: tests.test_jetstream_settings",
    "natsroute.jetstream.consuming.ephemeral_consumers": "a part of the ordered consumer: tests.test_ordered_consumer",
    "natsroute.jetstream.consuming.ordered_subscription": "a part of the ordered consumer: tests.test_ordered_consumer",
    "natsroute.daemon.consuming.replay_consumer": "tests.integration.test_jetstream_replay",
    "natsroute.daemon.operations.operations": "it joins parts that have tests of their own: tests.test_service",
    "natsroute.monitoring.metric_table": "the list of all metrics: tests.test_metrics",
    "natsroute.daemon.child_guard": "it watches processes: tests.integration.test_child_guard",
}

#: The parts of benchmarks/, from the bottom to the top. Each may import those above it in this list.
BENCHMARKS = ("load", "peers", "run", "in_process", "scenarios", "catalogue", "report", "guard", "__main__")


def package(module: str) -> str:
    """The package in natsroute that a module belongs to, or the part of benchmarks/."""
    return module.split(".")[1] if "." in module else module


def packages_imported(path: Path) -> set[str]:
    """The packages in natsroute that a file imports."""
    return {package(found.module) for found in imports(path) if found.module.split(".")[0] == "natsroute"}


def may_import(module: str, imported: str) -> bool:
    """Whether the table lets a module of natsroute import another one."""
    own = package(module)
    return package(imported) in {own, *MAY_IMPORT[own]} or imported.removeprefix("natsroute.") in MAY_IMPORT[own]


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, and of which the first is also the last; empty if there are none."""
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []


def formats_that_vary(source: str) -> list[str]:
    """The calls of a logger in a source text whose first argument is not a constant."""
    levels = {"debug", "info", "warn", "error", "critical", "failure", "emit"}
    return [
        ast.get_source_segment(source, call) or ""
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in levels
        if getattr(call.func.value, "attr", getattr(call.func.value, "id", "")) in {"log", "_log"}
        if not (call.args and isinstance(call.args[0], ast.Constant))
    ]


class PackageTests(SynchronousTestCase):
    """The table, and rules that are finer than it."""

    def test_every_package_is_in_the_table(self) -> None:
        """Each package has its line, and each line has its package, unless that is to come."""
        self.assertEqual({package(module) for module in modules("natsroute")}, set(MAY_IMPORT) - TO_COME)

    def test_table(self) -> None:
        """No module imports what the table does not allow it to."""
        for module, path in modules("natsroute").items():
            ours = {found.module for found in imports(path) if found.module.split(".")[0] == "natsroute"}
            forbidden = {imported for imported in ours if not may_import(module, imported)}
            self.assertEqual(forbidden, set(), f"{module} must not import these")

    def test_nobody_knows_both_routes_and_publisher(self) -> None:
        """The composition root hands the publisher's functions to the routes, as arguments."""
        both = [
            module
            for module, path in modules("natsroute").items()
            if {"routes", "publishing"} <= packages_imported(path)
        ]
        self.assertEqual([module for module in both if package(module) != "testing"], [])

    def test_one_module_builds_the_publisher(self) -> None:
        """In ``daemon``, only it takes more from the publisher than a value for the settings."""
        takers = {
            module
            for module, path in modules("natsroute").items()
            if package(module) == "daemon"
            and any(
                package(found.module) == "publishing" and found.module != "natsroute.publishing.options"
                for found in imports(path)
                if found.module.startswith("natsroute.")
            )
        }
        self.assertEqual(takers, {PUBLISHER_BUILDER})

    def test_settings_take_values_only(self) -> None:
        """From ``client`` and ``publishing`` come the values that the settings hold, from ``routes`` nothing."""
        taken: dict[str, set[str]] = {}
        for module in SETTINGS_MODULES:
            for found in imports(modules()[module]):
                if (
                    found.module.split(".")[0] == "natsroute"
                    and package(found.module) not in ("errors", "nearest", "wire")
                    and found.module not in SETTINGS_MODULES
                ):
                    taken.setdefault(found.module, set()).add(found.name)
        self.assertEqual(
            {module: names - SETTINGS_TAKE.get(module, set()) for module, names in taken.items()},
            {module: set() for module in taken},
        )

    def test_the_root_is_known_to_the_command_line_only(self) -> None:
        """``options`` makes the service, the package exports it; no other module knows the composition root."""
        knowing = [
            module
            for module, path in modules("natsroute").items()
            if any(found.module == COMPOSITION_ROOT for found in imports(path)) and package(module) != "testing"
        ]
        self.assertEqual(sorted(knowing), ["natsroute", "natsroute.daemon.options"])

    def test_packages_without_twisted(self) -> None:
        """The wire can be fuzzed, compiled or moved to another reactor."""
        for module, path in modules("natsroute").items():
            if package(module) in WITHOUT_TWISTED:
                twisted = [found.module for found in imports(path) if found.module.split(".")[0] == "twisted"]
                self.assertEqual(twisted, [], f"{module} must not import Twisted")

    def test_plugin_and_tac(self) -> None:
        """The plugin names ``daemon.options`` without importing it, the ``.tac`` imports that alone."""
        self.assertEqual(packages_imported(ROOT / "twisted" / "plugins" / "natsroute_plugin.py"), set())
        known = {found.module for found in imports(ROOT / "natsroute.tac") if "natsroute" in found.module}
        self.assertEqual(known, {"natsroute.daemon.options"})


class OtherFoldersTests(SynchronousTestCase):
    """What is not natsroute depends on natsroute, and never the other way round."""

    def known(self, *tops: str) -> dict[str, set[str]]:
        """The modules that each module of these folders imports."""
        return {module: {found.module for found in imports(path)} for module, path in modules(*tops).items()}

    def test_natsroute_knows_no_other_folder(self) -> None:
        """It works without tests, benchmarks and examples."""
        others = set(modules("tests", "benchmarks", "examples"))
        for module, known in self.known("natsroute").items():
            self.assertEqual(known & others, set(), module)

    def test_support_knows_no_test(self) -> None:
        """What the tests share depends on none of them."""
        others = set(modules("tests", "benchmarks", "examples"))
        for module, known in self.known("tests").items():
            if module.startswith("tests.support"):
                self.assertEqual({one for one in known & others if not one.startswith("tests.support")}, set(), module)

    def test_benchmarks(self) -> None:
        """Each part imports only parts below itself; of the tests, only what they share."""
        for module, known in self.known("benchmarks").items():
            if module == "benchmarks":
                continue
            own = BENCHMARKS.index(package(module))
            above = [one for one in known if one.startswith("benchmarks.") and BENCHMARKS.index(package(one)) > own]
            tests = [one for one in known if one.startswith("tests") and not one.startswith("tests.support.")]
            self.assertEqual(above + tests, [], f"{module} must not import these")


class CircleTests(SynchronousTestCase):
    """No module depends on itself."""

    def test_no_circle(self) -> None:
        """In natsroute, tests, benchmarks and examples; an import for type checkers or in a function counts too."""
        graph = {
            module: {found.module for found in imports(path) if found.module in modules()} - {module}
            for module, path in modules().items()
        }
        self.assertEqual(" -> ".join(circle(graph)), "")

    def test_sees_a_circle(self) -> None:
        """A circle is found and named in the order of its imports."""
        found = circle({"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": set()})
        self.assertEqual(sorted(found[:-1]), ["a", "b", "c"])
        self.assertIn("abc", "".join(found[:-1] * 2))
        self.assertEqual(found[0], found[-1])


class FileTests(SynchronousTestCase):
    """The files of natsroute."""

    def test_lengths(self) -> None:
        """No file is too long without a reason; a file that is shorter again leaves the list."""
        lengths = {module: len(path.read_text("utf-8").splitlines()) for module, path in modules("natsroute").items()}
        self.assertEqual({module for module, length in lengths.items() if length > MAX_LINES}, set(LONG_FILES))


def files_of(module: str) -> list[str]:
    """
    The names that the test file of a module may have: ``test_protocol``, or ``test_client_options`` if several modules
    have the same name.
    """
    *packages, name = module.split(".")
    return [f"test_{name}", f"test_{packages[-1]}_{name}"]


def tests_module(path: Path, module: str) -> bool:
    """Whether the docstring of a test file begins with the name of that module."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return re.match(rf"{re.escape(module)}(?![.\w]*\w)", docstring) is not None


class TestFileTests(SynchronousTestCase):
    """Each module of natsroute has its tests."""

    def test_each_module_has_its_tests(self) -> None:
        """There is ``tests/test_<module>.py``, and its docstring begins with the module. A needless exception goes."""
        files = {path.stem: path for path in (ROOT / "tests").glob("test_*.py")}
        without = {
            module
            for module, path in modules("natsroute").items()
            if path.name != "__init__.py"
            and not any(name in files and tests_module(files[name], module) for name in files_of(module))
        }
        self.assertEqual(without, set(TESTED_ELSEWHERE))

    def test_no_tests_of_a_module_that_is_gone(self) -> None:
        """A test file whose docstring begins with a module of natsroute names one that exists."""
        for path in (ROOT / "tests").glob("test_*.py"):
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            named = re.match(r"natsroute(\.\w+)+", docstring)
            if named:
                self.assertIn(named[0], modules("natsroute"), path.name)

    def test_reads_docstrings(self) -> None:
        """The name of a module is not the beginning of another one's name."""
        path = Path(self.mktemp())
        for docstring, expected in [
            ("natsroute.client.status", True),
            ("natsroute.client.status: its totals.", True),
            ("natsroute.client.status.", True),
            ("natsroute.client.status_line", False),
            ("natsroute.client.status.line", False),
            ("Tests of natsroute.client.status", False),
        ]:
            path.write_text(f'"""{docstring}"""')
            self.assertEqual(tests_module(path, "natsroute.client.status"), expected, docstring)


class LogTests(SynchronousTestCase):
    """What was received reaches the log only through :mod:`natsroute.log`, which makes it safe to show."""

    def test_one_logger(self) -> None:
        """No other module imports a logger. Those that observe the log import what events are made of."""
        for module, path in modules("natsroute").items():
            loggers = {
                found.module
                for found in imports(path)
                if found.module.startswith(("twisted.logger", "twisted.python.log", "logging"))
                or (found.module, found.name) in {("twisted", "logger"), ("twisted.python", "log")}
            }
            if module == "natsroute.daemon.exit_code":
                loggers.discard("logging")  # for its shutdown()
            if module == "natsroute.daemon.operations.exporter_log":
                loggers.discard("logging")  # to take the lines of OpenTelemetry, which uses it
            if module in OBSERVERS:
                names = {found.name for found in imports(path) if found.module == "twisted.logger"}
                self.assertNotIn("Logger", names, module)
                loggers -= {"twisted.logger", "twisted.python.logfile"}
            if module != "natsroute.log":
                self.assertEqual(loggers, set(), f"{module}: import Logger from natsroute.log")

    def test_formats_are_constant(self) -> None:
        """A text that was received is a field, never a part of the format, which would read its braces."""
        for module, path in modules("natsroute").items():
            self.assertEqual(formats_that_vary(path.read_text("utf-8")), [], module)

    def test_sees_a_format_that_varies(self) -> None:
        source = 'self.log.info("x" "y")\n_log.warn(f"{x}")\nlog.error("a" + x)\nother.info(x)\nself._log.failure(x, y)'
        self.assertEqual(
            formats_that_vary(source), ['_log.warn(f"{x}")', 'log.error("a" + x)', "self._log.failure(x, y)"]
        )


class ContributingTests(SynchronousTestCase):
    """CONTRIBUTING.md describes natsroute as it is."""

    def test_tree(self) -> None:
        """The tree of folders has each folder and module of today, and their descriptions."""
        before = written(DOCUMENT.read_text("utf-8"))
        self.assertEqual(before, tree(before), "run: python -m tests.support.tree")

    def test_way_of_data(self) -> None:
        """Each class and method in the diagram exists."""
        (diagram,) = re.findall(r"```text\n(socket .*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
        named = set(re.findall(r"[A-Z]\w+(?:\.\w+)?", diagram))
        self.assertLessEqual({"Parser", "Gate.deliver", "Sender.publish"}, named)
        existing = set()
        for path in modules("natsroute").values():
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef):
                    methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
                    existing |= {node.name, *(f"{node.name}.{method}" for method in methods)}
        self.assertEqual(named - existing, set())


class ImportTimeTests(SynchronousTestCase):
    """What does not happen when natsroute is imported."""

    def test_no_reactor_outside_functions(self) -> None:
        """``from twisted.internet import reactor`` installs one; a module must leave the choice to the program."""
        for module, path in modules("natsroute").items():
            outside = [
                found
                for found in imports(path)
                if not found.in_function
                and (
                    (found.module, found.name) == ("twisted.internet", "reactor") or "internet.reactor" in found.module
                )
            ]
            self.assertEqual(outside, [], module)

    def test_importing_installs_no_reactor(self) -> None:
        """Neither natsroute nor any of its modules, imported in a Python of its own, nor what they import."""
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        program += "".join(f"import {module}\n" for module in modules("natsroute"))
        program += "print('twisted.internet.reactor' in sys.modules)"
        ended = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
        )
        self.assertEqual((ended.stdout.strip(), ended.stderr), ("False", ""))


class ReadingTests(SynchronousTestCase):
    """The reader of imports itself: rules that read no imports would always hold."""

    def read(self, source: str) -> list[Import]:
        """The imports of a source text."""
        return list(imports_of(source))

    def test_modules(self) -> None:
        """Both ways to import a module give the same."""
        expected = [Import("natsroute.payloads")]
        self.assertEqual(self.read("import natsroute.payloads"), expected)
        self.assertEqual(self.read("from natsroute import payloads"), expected)

    def test_names(self) -> None:
        """Each name comes with its module."""
        self.assertEqual(
            self.read("from natsroute.errors import DecodeError, HeaderError as Broken"),
            [Import("natsroute.errors", "DecodeError"), Import("natsroute.errors", "HeaderError")],
        )

    def test_in_functions(self) -> None:
        """An import in a function, even in a method, is found and marked."""
        source = "class A:\n def a(self):\n  if self:\n   from twisted.internet import reactor"
        self.assertEqual(self.read(source), [Import("twisted.internet", "reactor", at_import=False, in_function=True)])

    def test_for_type_checkers(self) -> None:
        """An import for type checkers is found and marked; its ``else`` is an ordinary import."""
        source = "if TYPE_CHECKING:\n import natsroute.wire\nelse:\n import natsroute.client"
        self.assertEqual(
            self.read(source), [Import("natsroute.wire", at_import=False), Import("natsroute.client", at_import=True)]
        )

    def test_relative(self) -> None:
        """Relative imports are not read, so there must be none."""
        self.assertRaises(AssertionError, self.read, "from .errors import DecodeError")

    def test_table_with_modules(self) -> None:
        """The table may allow a single module of a package."""
        self.assertTrue(may_import("natsroute.monitoring.health", "natsroute.client.status"))
        self.assertFalse(may_import("natsroute.monitoring.health", "natsroute.client.connection"))
        self.assertTrue(may_import("natsroute.monitoring.health", "natsroute.monitoring.metrics"))

    def test_finds_the_modules(self) -> None:
        """The modules are found, and imports in them."""
        self.assertIn("natsroute.wire.parser", modules())
        self.assertIn("wire", packages_imported(modules()["natsroute.client.protocol"]))
        self.assertTrue({"routes", "daemon", "client"} <= packages_imported(modules()[COMPOSITION_ROOT]))
        self.assertIn("tests.support.imports", modules())
        self.assertIn("benchmarks.run.testbed", modules())
