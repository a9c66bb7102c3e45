"""
Who may import whom. The house has rooms, and each knows only what lies below it::

    errors <- wire <- client <- jetstream
                   <- routes, publisher
                               client, routes, publisher <- daemon <- the plugin, natsroute.tac

``payloads``, ``ledger`` and ``_version`` lie on the ground floor, beside ``errors``. The imports are read from the
source, also those inside functions and under ``TYPE_CHECKING``: what one module knows of another counts, not when it
learns it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

import natsroute

PACKAGE = Path(natsroute.__file__).parent
CHECKOUT = Path(__file__).parents[1]

#: The rooms, and what they may import beside themselves. ``natsroute`` is the package's own ``__init__.py``.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "_version": set(),
    "ledger": set(),
    "payloads": {"errors"},
    "wire": {"errors"},
    "client": {"errors", "wire", "_version"},
    "jetstream": {"errors", "wire", "client"},
    "routes": {"errors", "wire", "payloads", "ledger"},
    "publishing": {"errors", "wire", "payloads", "ledger"},
    "daemon": {
        "errors", "wire", "payloads", "ledger", "_version", "client", "jetstream", "routes", "publishing",
    },
    "natsroute": {"_version", "daemon", "routes"},
    "testing": {
        "errors", "wire", "payloads", "ledger", "_version", "client", "jetstream", "routes", "publishing",
        "daemon", "natsroute",
    },
}  # fmt: skip

#: Only the composition root knows both the routes and the publisher.
COMPOSITION_ROOT = "natsroute.daemon.service"

#: The modules that make the settings. They import nothing else of ``daemon``.
SETTINGS_MODULES = {f"natsroute.daemon.{name}" for name in ("settings", "fields", "sources", "contexts", "queue_entry")}
#: What they take from the rooms above ``wire``: values that a setting becomes, and the parser of one of them. Nothing
#: that connects, publishes or runs.
SETTINGS_TAKE = {
    "natsroute.client.options": {"Timing"},
    "natsroute.client.server_pool": {"Backoff"},
    "natsroute.client.servers": {"Server", "parse_url"},
    "natsroute.client.subscription": {"PendingLimits", "PendingPolicy", "PENDING_POLICIES"},
    "natsroute.client.transport.tls": {"Tls"},
    "natsroute.publishing.options": {"PublishLimits", "PublishPolicy", "PUBLISH_POLICIES"},
}

#: Rooms without Twisted: values and bytes.
WITHOUT_TWISTED = {"errors", "_version", "ledger", "payloads", "wire"}


@attrs.frozen
class Import:
    """One name that a module imports: ``from natsroute.errors import SettingError`` is one, with both its parts."""

    module: str
    name: str = ""
    at_import: bool = True  # neither in a function nor under TYPE_CHECKING
    in_function: bool = False


@cache
def modules() -> dict[str, Path]:
    """All modules of natsroute, by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("natsroute", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> list[Import]:
    """All imports of a file, wherever they stand in it."""
    return list(_walk(ast.parse(path.read_text(encoding="utf-8")), at_import=True, in_function=False))


def _walk(node: ast.AST, *, at_import: bool, in_function: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, at_import=at_import, in_function=in_function)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise AssertionError(f"line {node.lineno}: a relative import; name the module in full")
        for alias in node.names:
            module = f"{node.module}.{alias.name}"
            if module in modules():  # "from natsroute import payloads"
                yield Import(module, at_import=at_import, in_function=in_function)
            else:
                yield Import(str(node.module), alias.name, at_import=at_import, in_function=in_function)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        at_import, in_function = False, True
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        for child in node.body:
            yield from _walk(child, at_import=False, in_function=in_function)
        for child in node.orelse:
            yield from _walk(child, at_import=at_import, in_function=in_function)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, at_import=at_import, in_function=in_function)


def room(module: str) -> str:
    """The room that a module of natsroute belongs to."""
    return module.split(".")[1] if "." in module else module


def rooms_imported(path: Path) -> set[str]:
    """The rooms that a file knows."""
    return {room(found.module) for found in imports(path) if found.module.split(".")[0] == "natsroute"}


class RoomTests(SynchronousTestCase):
    """The table, and the finer rules in ``daemon``."""

    def test_every_room_is_in_the_table(self) -> None:
        """A new room gets its line before it is lived in."""
        self.assertEqual({room(module) for module in modules()} - set(MAY_IMPORT), set())

    def test_table(self) -> None:
        """No module imports a room that its own may not."""
        for module, path in modules().items():
            forbidden = rooms_imported(path) - MAY_IMPORT[room(module)] - {room(module)}
            self.assertEqual(forbidden, set(), f"{module} must not import these")

    def test_only_the_composition_root_joins_routes_and_publisher(self) -> None:
        """``settings`` knows the publisher's limits, ``loading`` the route table; ``service`` alone knows both."""
        both = [module for module, path in modules().items() if {"routes", "publishing"} <= rooms_imported(path)]
        self.assertEqual([module for module in both if room(module) != "testing"], [COMPOSITION_ROOT])

    def test_only_the_composition_root_publishes(self) -> None:
        """In ``daemon``, only it takes more from the publisher than a value for the settings."""
        takers = {
            module
            for module, path in modules().items()
            if room(module) == "daemon"
            and any(
                room(found.module) == "publishing" and found.module != "natsroute.publishing.options"
                for found in imports(path)
                if found.module.startswith("natsroute.")
            )
        }
        self.assertEqual(takers, {COMPOSITION_ROOT})

    def test_settings_take_values_only(self) -> None:
        """From ``client`` and ``publishing`` come the values that the settings hold, from ``routes`` nothing."""
        taken: dict[str, set[str]] = {}
        for module in SETTINGS_MODULES:
            for found in imports(modules()[module]):
                if (
                    found.module.split(".")[0] == "natsroute"
                    and room(found.module) not in ("errors", "wire")
                    and found.module not in SETTINGS_MODULES
                ):
                    taken.setdefault(found.module, set()).add(found.name)
        self.assertEqual(
            {module: names - SETTINGS_TAKE.get(module, set()) for module, names in taken.items()},
            {module: set() for module in taken},
        )

    def test_the_root_is_known_to_the_command_line_only(self) -> None:
        """``options`` makes the service, the package hands it out; no other module knows the composition root."""
        knowing = [
            module
            for module, path in modules().items()
            if any(found.module == COMPOSITION_ROOT for found in imports(path)) and room(module) != "testing"
        ]
        self.assertEqual(sorted(knowing), ["natsroute", "natsroute.daemon.options"])

    def test_rooms_without_twisted(self) -> None:
        """The wire can be fuzzed, compiled or moved to another reactor."""
        for module, path in modules().items():
            if room(module) in WITHOUT_TWISTED:
                twisted = [found.module for found in imports(path) if found.module.split(".")[0] == "twisted"]
                self.assertEqual(twisted, [], f"{module} must not import Twisted")

    def test_plugin_and_tac(self) -> None:
        """The doors: the plugin names ``daemon.options`` without importing it, the ``.tac`` imports that alone."""
        self.assertEqual(rooms_imported(CHECKOUT / "twisted" / "plugins" / "natsroute_plugin.py"), set())
        known = {found.module for found in imports(CHECKOUT / "natsroute.tac") if "natsroute" in found.module}
        self.assertEqual(known, {"natsroute.daemon.options"})


class ImportTimeTests(SynchronousTestCase):
    """What happens, and what does not, when natsroute is imported."""

    def test_no_cycles(self) -> None:
        """The modules can be sorted so that each is imported before those that need it."""
        graph = {
            module: {found.module for found in imports(path) if found.at_import and found.module in modules()}
            for module, path in modules().items()
        }
        try:
            tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            self.fail(f"these import each other: {' -> '.join(error.args[1])}")

    def test_no_reactor_outside_functions(self) -> None:
        """``from twisted.internet import reactor`` installs one; a module must leave the choice to the program."""
        for module, path in modules().items():
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
        program = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
        program += "".join(f"import {module}\n" for module in modules())
        program += "print('twisted.internet.reactor' in sys.modules)"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((ended.stdout.strip(), ended.stderr), ("False", ""))


class ReadingTests(SynchronousTestCase):
    """The reader of imports itself: a rule that sees nothing holds everything."""

    def read(self, source: str) -> list[Import]:
        """The imports of a source text."""
        return list(_walk(ast.parse(source), at_import=True, in_function=False))

    def test_modules(self) -> None:
        """Both ways to import a module are one."""
        expected = [Import("natsroute.payloads")]
        self.assertEqual(self.read("import natsroute.payloads"), expected)
        self.assertEqual(self.read("from natsroute import payloads"), expected)

    def test_names(self) -> None:
        """Each name is told with its module."""
        self.assertEqual(
            self.read("from natsroute.errors import DecodeError, HeaderError as Broken"),
            [Import("natsroute.errors", "DecodeError"), Import("natsroute.errors", "HeaderError")],
        )

    def test_in_functions(self) -> None:
        """An import in a function, even in a class, is found and known for what it is."""
        source = "class A:\n def a(self):\n  if self:\n   from twisted.internet import reactor"
        self.assertEqual(self.read(source), [Import("twisted.internet", "reactor", at_import=False, in_function=True)])

    def test_for_type_checkers(self) -> None:
        """An import for type checkers counts for the rooms, not for the cycles; its ``else`` counts for both."""
        source = "if TYPE_CHECKING:\n import natsroute.wire\nelse:\n import natsroute.client"
        self.assertEqual(
            self.read(source), [Import("natsroute.wire", at_import=False), Import("natsroute.client", at_import=True)]
        )

    def test_relative(self) -> None:
        """Relative imports are not read, so there must be none."""
        self.assertRaises(AssertionError, self.read, "from .errors import DecodeError")

    def test_sees_the_house(self) -> None:
        """The modules are found, and imports in them."""
        self.assertIn("natsroute.wire.parser", modules())
        self.assertIn("wire", rooms_imported(modules()["natsroute.client.protocol"]))
        self.assertTrue({"routes", "publishing", "client"} <= rooms_imported(modules()[COMPOSITION_ROOT]))
