"""README and docs/: their links lead somewhere; the tests, modules, errors and settings that they name are there."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from unittest import mock

import attrs
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Event, Settings, errors, middleware
from natsroute.daemon.settings.connection_settings import DEFAULT_URL
from natsroute.daemon.settings.settings import SETTING_FIELDS
from natsroute.daemon.settings.sources import ENVIRONMENT_PREFIX, HOT_PATH_VARIABLES
from natsroute.jetstream import errors as jetstream_errors
from natsroute.wire.publish_options import PublishOptions
from tests.support import ROOT
from tests.support.documents import (
    PRELUDE,
    Document,
    Snippet,
    documents,
    free_names,
    snippet,
    snippets,
    tests_of_the_project,
)

#: All that a program may import, and all that the documents may name.
PUBLIC_MODULES = {
    "natsroute",
    "natsroute.errors",
    "natsroute.jetstream",  # its errors, and how buckets are configured
    "natsroute.kamailio",
    "natsroute.middleware",
    "natsroute.testing",
    "natsroute.tac",  # these four are files
    "natsroute.env",
    "natsroute.json",
    "natsroute.service",
}
#: A namespace of the log, before its level: natsroute.client=debug, natsroute.daemon.startup.Startup#info.
LOG_NAMESPACE = r'\b(natsroute(?:\.[a-z_]\w*)+)(?:\.[A-Z]\w*)?(?=[=#]|", *\n? *"event")'
#: These two are for those who work on natsroute itself.
FOR_DEVELOPERS = {"CONTRIBUTING.md", "docs/performance.md"}

#: The pages that name the test behind each promise.
PROVEN = {"docs/publishing.md", "docs/reliability.md", "docs/routes.md", "docs/security.md"}

#: Options of other programs, by the program.
OTHER_OPTIONS = {
    "pip": {"quiet", "no-binary", "no-build-isolation"},
    "twistd": {"nodaemon", "pidfile", "python", "help", "logfile", "logger", "syslog"},
    "kubectl apply": {"kustomize"},
    "twistd natsroute": {"check", "check-connect"},
    "natsroute record": {"count", "seconds", "queue-group"},
    "natsroute replay": {"publish", "speed"},
    "natsroute": {"json", "watch", "name", "pid", "socket", "help"},
    "python -m tests.chaos": {"seed", "restarts", "seconds"},
    "python -m benchmarks": {"full", "shared", "update", "scenarios", "peers"},
}
SNIPPETS = "tests.integration.test_snippets"
CONSOLE = "tests.integration.test_console.DocumentTests"

#: The tests that run the snippets of a language under a heading, one for each; or why a snippet does not run.
RUN_BY: dict[tuple[str, str, str], list[str]] = {
    ("README.md", "natsroute", "python"): [f"{SNIPPETS}.RoutesTests.test_readme"],
    ("README.md", "Try it", "console"): [
        "tests.packaging.test_quick_start.QuickStartTests.test_first_command",
        "not run: it is the command that runs the tests, and .ci/run runs it",
    ],
    ("README.md", "Deployment", "console"): [f"{SNIPPETS}.CommandTests.test_tac"],
    ("README.md", "Deployment", "python"): [f"{SNIPPETS}.CommandTests.test_application"],
    ("docs/coming-from-txnats.md", "Coming from txnats", "console"): [
        "not run: it shows that txnats cannot be installed",
        "not run: it needs txnats, which cannot be installed",
    ],
    ("docs/deployment.md", "systemd", "console"): [
        "not run: it installs into /opt; tests.packaging.test_deploy_tools runs the same commands of the Dockerfile",
    ],
    ("docs/deployment.md", "systemd", "ini"): [f"{SNIPPETS}.CommandTests.test_systemd"],
    ("docs/command.md", "The command natsroute", "console"): [f"{CONSOLE}.test_commands"],
    ("docs/command.md", "The admin socket", "console"): [f"{CONSOLE}.test_socket"],
    ("docs/command.md", "Over NATS", "console"): [f"{CONSOLE}.test_nats"],
    ("docs/kamailio/README.md", "natsroute for Kamailio users", "console"): [
        f"{SNIPPETS}.CommandTests.test_kamailio_cfg",
    ],
    ("docs/kamailio/from-kamailio-cfg.md", "From kamailio.cfg to natsroute", "console"): [
        f"{SNIPPETS}.CommandTests.test_kamailio_cfg",
    ],
    **{
        ("docs/kamailio/from-kamailio-cfg.md", heading, "python"): [f"tests.test_from_kamailio_cfg.PairTests.{test}"]
        for heading, test in {
            "Parameters": "test_parameters",
            "Event routes": "test_event_routes",
            "Publishing": "test_publishing",
            "Variables that last": "test_variables_that_last",
            "Decisions": "test_decisions",
            "Building JSON": "test_building_json",
            "Requests and replies": "test_requests_and_replies",
            "Connections": "test_connections",
            "The KEMI callback": "test_kemi_callback",
        }.items()
    },
    ("docs/kamailio/variables.md", "Pseudo-variables", "python"): [f"{SNIPPETS}.RoutesTests.test_kamailio"],
    ("docs/kamailio/script.md", "The script language", "python"): [f"{SNIPPETS}.RoutesTests.test_script"],
    ("docs/kamailio/functions.md", "Functions in Python", "python"): [f"{SNIPPETS}.RoutesTests.test_script_functions"],
    ("docs/kamailio/presence.md", "Presence: back to Kamailio", "python"): [f"{SNIPPETS}.RoutesTests.test_pua_json"],
    ("docs/kamailio/transactions.md", "SIP transactions", "python"): [f"{SNIPPETS}.RoutesTests.test_transactions"],
    ("docs/kamailio/kemi.md", "KEMI scripts", "console"): [f"{SNIPPETS}.CommandTests.test_kemi"],
    ("docs/kamailio/kemi.md", "KEMI scripts", "python"): [f"{SNIPPETS}.CommandTests.test_kemi"],
    ("docs/jetstream.md", "From a program", "python"): [f"{SNIPPETS}.ServiceTests.test_jetstream"],
    ("docs/logging.md", "Levels", "console"): [f"{SNIPPETS}.CommandTests.test_log_levels"],
    ("docs/logging.md", "In your own program", "python"): [f"{SNIPPETS}.CommandTests.test_log_of_a_program"],
    ("docs/processes.md", "Several processes", "console"): [
        "tests.integration.test_processes.RunTests.test_messages",
    ],
    ("docs/publishing.md", "What the Deferred tells you", "python"): [f"{SNIPPETS}.ServiceTests.test_flush"],
    ("docs/publishing.md", "From a thread", "python"): [f"{SNIPPETS}.ServiceTests.test_thread"],
    ("docs/jetstream.md", "Delivery guarantees", "console"): [
        "not run: it takes two minutes; tests.chaos.test_stream_kills makes a shorter run",
        "not run: it takes two minutes; tests.chaos.test_stream_leaders makes a shorter run",
    ],
    ("docs/reliability.md", "A hundred restarts", "console"): [
        "not run: it takes 25 minutes; test_chaos_options looks at its options",
    ],
    ("docs/reliability.md", "The ledger", "python"): [f"{SNIPPETS}.ServiceTests.test_ledger"],
    ("docs/reload.md", "Reload", "python"): ["tests.integration.test_reload.ReloadTests.test_routes_change"],
    **{
        ("docs/requests.md", heading, "python"): ["tests.integration.test_requests.DocumentTests.test_examples"]
        for heading in ("Requests", "Several answers", "Routes that answer", "In a thread", "Testing")
    },
    ("docs/jetstream-publishing.md", "Publishing to streams", "python"): [
        "tests.integration.test_jetstream_publishing.DocumentTests.test_snippet",
    ],
    **{
        ("docs/jetstream-consuming.md", heading, "python"): [
            f"tests.test_jetstream_consuming_document.DocumentTests.{test}"
        ]
        for heading, test in {
            "Consuming from streams": "test_testing",
            "When it is acknowledged": "test_manual",
            "Testing": "test_testing",
        }.items()
    },
    ("docs/key-value.md", "Key-value buckets", "python"): ["tests.test_key_value_document.DocumentTests.test_testing"],
    ("docs/key-value.md", "Watching", "python"): ["tests.test_key_value_document.DocumentTests.test_watching"],
    ("docs/key-value.md", "Event routes for changes", "python"): [
        "tests.test_key_value_document.DocumentTests.test_routes",
    ],
    ("docs/key-value.md", "Testing", "python"): ["tests.test_key_value_document.DocumentTests.test_testing"],
    ("docs/jetstream-publishing.md", "Several messages, all or none", "python"): [
        "tests.integration.test_jetstream_publishing.DocumentTests.test_batch",
    ],
    ("docs/services.md", "Services", "python"): ["tests.integration.test_services.AnnouncedTests.test_document"],
    ("docs/routes.md", "Hooks", "python"): [f"{SNIPPETS}.RoutesTests.test_hooks"],
    ("docs/routes.md", "Middleware", "python"): [f"{SNIPPETS}.RoutesTests.test_middleware"],
    ("docs/routes.md", "Testing your routes", "python"): [f"{SNIPPETS}.RoutesTests.test_testing"],
    ("docs/security.md", "Logging in", "python"): [f"{SNIPPETS}.LoginTests.test_credentials"],
    ("docs/security.md", "Errors from the server", "python"): [f"{SNIPPETS}.RoutesTests.test_errors"],
    ("docs/record-and-replay.md", "Record and replay", "console"): [
        "tests.integration.test_recording.ReplayTests.test_documented"
    ],
    ("docs/tracing.md", "Tracing", "console"): [f"{SNIPPETS}.CommandTests.test_tracing"],
    ("docs/tracing.md", "In a route", "python"): [f"{SNIPPETS}.ServiceTests.test_tracing"],
    ("docs/tracing.md", "In a program", "python"): [f"{SNIPPETS}.ServiceTests.test_tracing"],
}

#: The languages of snippets, with who checks them.
LANGUAGES = {
    "python": SNIPPETS,
    "console": SNIPPETS,
    "ini": SNIPPETS,
    "json": "tests.test_log_lines.DocumentTests and tests.test_readiness.DocumentTests",
    "yaml": "tests.integration.test_http.DocumentTests",
    "lua": "tests.integration.test_snippets.CommandTests.test_kemi and tests.integration.test_kamailio_manual",
    "text": "output of programs: tests.packaging.test_quick_start; and equations",
    "kamailio": "tests.test_kamailio_snippets",
}


def named_tests(document: Document) -> list[str]:
    """The tests that a document names, and the files and folders of tests."""
    return [code for code in document.code if re.fullmatch(r"tests(\.\w+)+|(\w+\.)*test_\w+", code)]


def unknown_tests(document: Document, there: set[str]) -> list[str]:
    """
    The tests that a document names and that are not there.

    A test may be named without its module or its class, if the document names something of that module in full.
    """
    named = named_tests(document)
    modules = {module_of(code) for code in named if code.startswith("tests.")}
    within = {name for name in there if module_of(name) in modules}
    folders = {name.rpartition(".")[0] for name in map(module_of, there)}
    return [
        code for code in named if code not in folders and not any(f".{name}".endswith(f".{code}") for name in within)
    ]


def module_of(name: str) -> str:
    """``tests.test_a`` of ``tests.test_a.OneTests.test_it``."""
    found = re.match(r"(\w+\.)*?test_\w+", name)
    return found[0] if found else name


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """The words of the commands in a console snippet, or in the comments of another one."""
    text = snippet.text
    if snippet.language != "console":
        text = "\n".join(re.findall(r"^# ?(.*)$", text, re.MULTILINE))
    for line in text.replace("\\\n", " ").splitlines():
        for command in re.split(r" && ", line):
            if re.search(r"\btwistd\b", command):
                yield shlex.split(command)


class LinkTests(SynchronousTestCase):
    """Each link within the repository has a target."""

    def test_targets(self) -> None:
        pages = {document.name: document for document in documents()}
        missing = []
        for document in pages.values():
            for link in document.links:
                path, _, anchor = link.partition("#")
                if re.match(r"https?:", path):
                    continue
                target = (ROOT / document.name).parent / path if path else ROOT / document.name
                name = target.resolve().relative_to(ROOT).as_posix()
                if not target.exists() or (anchor and anchor not in pages[name].anchors):
                    missing.append(f"{document.name}: {link}")
        self.assertEqual(missing, [])

    def test_pictures(self) -> None:
        """Each picture of a page is there, and is small."""
        named = []
        for document in documents():
            for picture in re.findall(r'(?:src|srcset)="([^"]+)"', document.text):
                named.append(picture)
                self.assertLess(((ROOT / document.name).parent / picture).stat().st_size, 200_000, document.name)
        self.assertEqual(len(named), 4)

    def test_each_page_is_linked_from_the_readme(self) -> None:
        """Those of a folder are linked from the folder's own README."""
        linked = set()
        for document in documents():
            if PurePosixPath(document.name).name == "README.md":
                folder = PurePosixPath(document.name).parent
                linked.update(str(folder / link) for link in document.links)
        self.assertEqual({document.name for document in documents()} - {"README.md"} - linked, set())


class NamesTests(SynchronousTestCase):
    """What the documents name is there."""

    def test_tests(self) -> None:
        """What a page claims to be shown by a test is shown by one that is there."""
        there = tests_of_the_project()
        for document in documents():
            self.assertEqual(unknown_tests(document, there), [], document.name)
            if document.name in PROVEN:
                self.assertGreater(len(named_tests(document)), 10, document.name)

    def test_tests_that_are_not_there_are_found(self) -> None:
        there = {"tests.test_a", "tests.test_a.OneTests", "tests.test_a.OneTests.test_it", "tests.test_b"}
        for text, unknown in [
            ("`tests.test_a`: `test_it`, `OneTests.test_it`", []),
            ("`tests.test_a.OneTests.test_it`", []),
            ("`tests.test_b`: `test_it`", ["test_it"]),
            ("`tests.test_a`: `test_other`, `TwoTests.test_it`", ["test_other", "TwoTests.test_it"]),
            ("`tests.test_c`", ["tests.test_c"]),
            ("`test_it`", ["test_it"]),
        ]:
            self.assertEqual(unknown_tests(Document("page", text), there), unknown, text)

    def test_modules(self) -> None:
        """Nothing but the public modules, in imports and in the text around them."""
        for document in documents():
            if document.name not in FOR_DEVELOPERS:
                text = re.sub(LOG_NAMESPACE, self.log_namespace, document.text)
                named = {match[0] for match in re.finditer(r"\bnatsroute\.[a-z_]\w*", text)}
                self.assertEqual(named - PUBLIC_MODULES, set(), document.name)

    def log_namespace(self, found: re.Match[str]) -> str:
        """A namespace of the log may be a module that is not public, but must be there."""
        path = ROOT.joinpath(*found[1].lower().split("."))
        self.assertTrue(path.is_dir() or path.with_suffix(".py").is_file(), found[0])
        return ""

    def test_errors(self) -> None:
        for document in documents():
            named = {code for code in document.code if re.fullmatch(r"\w+Error", code)} - {"CancelledError"}
            places = (errors, jetstream_errors, builtins)
            unknown = [name for name in sorted(named) if not any(hasattr(place, name) for place in places)]
            self.assertEqual(unknown, [], document.name)

    def test_variables(self) -> None:
        known = {ENVIRONMENT_PREFIX + name.upper() for name in SETTING_FIELDS}.union(HOT_PATH_VARIABLES)
        for document in documents():
            named = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+", document.text))
            self.assertEqual(named - known, set(), document.name)

    def test_options(self) -> None:
        known = {name.replace("_", "-") for name in SETTING_FIELDS}.union(*OTHER_OPTIONS.values())
        for document in documents():
            named = set(re.findall(r"(?<![\w-])--([a-z][\w-]+)", document.text))
            self.assertEqual({name for name in named if name.replace("_", "-") not in known}, set(), document.name)

    def test_signatures(self) -> None:
        """Functions that are written with their parameters have these, with these defaults."""
        functions = {name: getattr(middleware, name) for name in middleware.__all__}
        functions |= {"publish": Event.publish, "respond": Event.respond, "": Event.publish}
        found = []
        for document in documents():
            for code in document.code:
                written = re.fullmatch(r"(\w*)\((\w+(?:=.+)?(?:, .+)?)\)", code)
                if written and written[1] in functions:
                    found.append(written[1])
                    parameters = inspect.signature(functions[written[1]]).parameters
                    for parameter in written[2].split(", "):
                        name, _, default = parameter.partition("=")
                        is_option = name in PublishOptions.__annotations__ and name not in parameters
                        expected = None if is_option else parameters[name].default
                        if default not in ("", "…"):
                            self.assertEqual(ast.literal_eval(default), expected, code)
        self.assertEqual(
            sorted(set(found)),
            ["", "correlation", "dead_letter", "deduplicate", "publish", "respond", "retry", "throttle", "timeout"],
        )

    def test_extras(self) -> None:
        setup = (ROOT / "setup.py").read_text(encoding="utf-8")
        for document in documents():
            for extras in re.findall(r"'(?:natsroute|\.)\[([\w,]+)\]'", document.text):
                for extra in extras.split(","):
                    self.assertIn(f'        "{extra}": ', setup, document.name)


class SettingsTests(SynchronousTestCase):
    """The tables of settings in README."""

    def rows(self) -> Iterator[tuple[list[str], list[str]]]:
        """The names of a row, and their defaults."""
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        settings = text.partition("\n## Settings\n")[2].partition("\n## ")[0]
        for first, default in re.findall(r"^\| (`.*?) \| (.*?) ?\| ", settings, re.MULTILINE):
            names = re.findall(r"`(\w+)`", first)
            yield names, re.split(r", (?=\S)", default) if len(names) > 1 and default else [default] * len(names)

    def test_each_setting_has_one_row(self) -> None:
        names = [name for row, _ in self.rows() for name in row]
        self.assertEqual(sorted(names), sorted(SETTING_FIELDS))

    def test_defaults(self) -> None:
        for names, defaults in self.rows():
            for name, default in zip(names, defaults, strict=True):
                if SETTING_FIELDS[name].default in ((), ""):
                    self.assertNotRegex(default, r"\d+$|^no$", name)
                else:
                    self.assertEqual(default, written(SETTING_FIELDS[name]), name)
        self.assertIn((["nats_url"], [f"`{DEFAULT_URL}`"]), list(self.rows()))

    def test_repeatable(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        repeatable = [name for name, field in SETTING_FIELDS.items() if field.metadata["repeatable"]]
        self.assertEqual(sorted(re.findall(r"^\| `(\w+)` \(repeatable\) ", text, re.MULTILINE)), sorted(repeatable))


def written(field: attrs.Attribute[Any]) -> str:
    """How README writes the default of a setting."""
    value = field.default
    if isinstance(value, bool):
        return "no" if field.metadata["flag"] else "0"
    if isinstance(value, float):
        return f"{value:,g} s"
    if isinstance(value, int):
        return f"{value >> 20} MiB" if field.name.endswith(("_bytes", "_payload")) else f"{value:,}"
    return f"`{value}`"


class SnippetTests(SynchronousTestCase):
    """What can be said of a snippet without running it."""

    def test_languages(self) -> None:
        """Each snippet has a language that somebody checks."""
        found = {snippet.language for document in documents() for snippet in document.snippets}
        self.assertEqual(found, set(LANGUAGES))

    def test_names(self) -> None:
        """A snippet defines or imports what it uses, but for the few names of the prelude."""
        for one in snippets("python"):
            self.assertEqual(free_names(one.text) - PRELUDE.keys(), set(), str(one))

    def test_each_snippet_runs_or_has_a_reason(self) -> None:
        found = [one for language in ("python", "console", "ini") for one in snippets(language)]
        headings = Counter((one.document, one.heading, one.language) for one in found)
        self.assertEqual(headings, Counter({key: len(who) for key, who in RUN_BY.items()}))

    def test_what_runs_them_is_there(self) -> None:
        names = [name for names in RUN_BY.values() for name in names if not name.startswith("not run: ")]
        self.assertEqual(set(names) - tests_of_the_project(), set())

    def test_free_names(self) -> None:
        source = "import os.path\ndef f(a, *b): c = a; return [d for d in e]\nclass g: pass\nprint(os, f, g, h.i)\n"
        self.assertEqual(free_names(source), {"e", "h"})

    def test_commands(self) -> None:
        """``twistd`` and natsroute understand each command line."""
        found = [
            command
            for language in ("console", "python", "kamailio")
            for one in snippets(language)
            for command in commands(one)
        ]
        self.assertEqual(len(found), 12)
        cfg = Path(self.mktemp())
        cfg.write_text(snippet("README.md", "natsroute", "kamailio").text, "utf-8")
        for words in found:
            words = [str(cfg) if word == "kamailio.cfg" else word for word in words if word != "--check"]
            program = next(index for index, word in enumerate(words) if PurePosixPath(word).name == "twistd")
            variables = dict(word.split("=", 1) for word in words[:program])
            with mock.patch.dict("os.environ", variables):
                options = ServerOptions()
                options.parseOptions(words[program + 1 :])
                settings = options.subOptions.settings if options.subCommand else Settings.from_environment(variables)
            self.assertEqual(settings.subject_queue_group[0].queue_group, "2021")

    def test_systemd(self) -> None:
        """The page shows the variables that the file for the unit has; tests.test_deploy looks at the unit."""
        shown = snippet("docs/deployment.md", "systemd", "ini").text
        variables = dict(line.split("=", 1) for line in shown.splitlines())
        settings = Settings.from_environment(variables)
        self.assertTrue(settings.servers)
        self.assertEqual(settings.event_routes, ("/etc/natsroute/routes.py",))
        self.assertIn(shown, (ROOT / "deploy" / "systemd" / "natsroute.env").read_text("utf-8"))


class NewsTests(SynchronousTestCase):
    """CHANGELOG and what goes into it next."""

    def test_fragments(self) -> None:
        """Each is named as newsfragments/README.md asks for, and says something."""
        for path in (ROOT / "newsfragments").iterdir():
            if path.name not in ("README.md", ".gitignore"):
                self.assertRegex(path.name, r"^(\d+|\+[\w-]+)\.(feature|bugfix|doc|removal)(\.\d+)?\.md$")
                self.assertTrue(path.read_text(encoding="utf-8").strip(), path.name)

    def test_changelog(self) -> None:
        """towncrier finds where to write; the entries have versions and dates, the newest first."""
        text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        self.assertEqual(text.count("<!-- towncrier release notes start -->\n"), 1)
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        dates = [re.fullmatch(r"natsroute \d+\.\d+\.\d+ \((\d{4}-\d\d-\d\d)\)", heading) for heading in headings]
        self.assertNotIn(None, dates)
        written = [date[1] for date in dates if date is not None]
        self.assertEqual(written, sorted(written, reverse=True))
