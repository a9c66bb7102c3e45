"""docs/kamailio lists the variables, transformations, functions and differences of natsroute.kamailio."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.settings.settings import SETTING_FIELDS
from natsroute.errors import SettingError
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.transformations import CLASSES
from natsroute.kamailio.variables import VARIABLES, script
from natsroute.routes.route import CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER
from tests.support import kamailio_page
from tests.support.expressions import evaluate
from tests.support.kamailio_page import FOLDER, TABLES, written

_NAMED = re.compile(r"`\$([\w.?]+)(\([^`]*\))?`")


def section(name: str) -> str:
    """What is between the marks of a section of a page."""
    page = FOLDER / ("transformations.md" if name == "transformations" else "variables.md")
    return page.read_text("utf-8").partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]


def variables(name: str) -> list[tuple[str, bool]]:
    """The variables in the first column of a section, or of one of its rows, and whether they have a name."""
    found = []
    for row in section(name).splitlines():
        found += [(one, bool(key)) for one, key in _NAMED.findall(row.rpartition(" | ")[0])]
    return found


class PageTests(SynchronousTestCase):
    """The lists are complete."""

    def test_variables(self) -> None:
        """Each once, in its form, and in the right table."""
        of_scripts = {name for name in script.VARIABLES if name not in ("null", "_s")} | {
            name for name in VARIABLES if name.startswith("def")
        }
        for name, expected in (
            ("script variables", of_scripts),
            ("variables", VARIABLES.keys() - of_scripts),
        ):
            forms = [(one, VARIABLES[one].has_name) for one in expected]
            self.assertEqual(sorted(variables(name)), sorted(forms), name)

    def test_null(self) -> None:
        """What the page calls null is null, for any message."""
        (row,) = (row for row in section("variables").splitlines() if row.endswith("| What it does not have: null |"))
        names = _NAMED.findall(row)
        self.assertGreater(len(names), 50)
        for name, _ in names:
            self.assertIsNone(evaluate(f"${name}", b"{}"), name)

    def test_unset(self) -> None:
        """What no script has set."""
        for name, _ in variables("script variables"):
            key = {"cnt": "$avp(x)"}.get(name, "x=>y" if name.startswith("sht") else "x")
            text = f"${name}({key})" if VARIABLES[name].has_name else f"${name}"
            expected = 0 if name in ("var", "vz", "shv", "rc", "retcode", "?", "cnt", "defn") else None
            self.assertEqual(evaluate(text), expected, text)

    def test_transformations(self) -> None:
        named = re.findall(r"`\{(\w+)\.([\w.]+)\}`", section("transformations"))
        self.assertEqual(sorted(named), sorted((kind, name) for kind, names in CLASSES.items() for name in names))

    def test_tables(self) -> None:
        """Those that are made from the code."""
        for name, (_, table) in TABLES.items():
            self.assertEqual(written(name), table(), "run: python -m tests.support.kamailio_page")

    def test_functions(self) -> None:
        """The table has all of them."""
        listed = [name for _, _, functions in kamailio_page.FUNCTIONS for name in functions]
        self.assertEqual(sorted(listed), sorted(FUNCTIONS))

    def test_reference_has_all_parameters(self) -> None:
        """Each has a section; those of Kamailio's module are where the others are not."""
        of_nats, own = (
            set(re.findall(r"^### (\w+) \(", written(name), re.MULTILINE)) for name in ("parameters", "own parameters")
        )
        self.assertEqual(of_nats | own | {"kamailio_cfg"}, set(SETTING_FIELDS))
        path = Path(self.mktemp())
        for name in own:
            path.write_text(f'modparam("nats", "{name}", 1)', "utf-8")
            with self.assertRaisesRegex(SettingError, "nats has no such parameter"):
                Settings.from_environment({}, kamailio_cfg=str(path))

    def test_reference_chapters(self) -> None:
        """Those of Kamailio's manuals, in their order; and all event routes with a name of their own."""
        text = (FOLDER / "reference.md").read_text("utf-8")
        self.assertEqual(
            [one for one in re.findall(r"^## (.+)$", text, re.MULTILINE) if one != "Parameters of natsroute"],
            [
                "Overview",
                "How it works",
                "Dependencies",
                "Parameters",
                "Functions",
                "Pseudo variables",
                "Event routes",
                "RPC",
            ],
        )
        routes = re.findall(r"^### event_route\[(.+)\]$", text, re.MULTILINE)
        self.assertEqual(routes, ["nats:SUBJECT", CONNECTED, DISCONNECTED, ERROR, SLOW_CONSUMER])

    def test_signatures(self) -> None:
        """The number of arguments that stand there is the one that the function takes."""
        for function in FUNCTIONS.values():
            text = kamailio_page.signature(function)
            arguments = text.partition("(")[2][:-1]
            needed_text = arguments
            while "[" in needed_text:  # the inner ones first
                needed_text = re.sub(r"\[[^\[\]]*\]", "", needed_text)
            needed = [one for one in needed_text.split(",") if one.strip()]
            every = [one for one in arguments.replace("[", "").replace("]", "").split(",") if one.strip()]
            self.assertEqual((len(needed), len(every)), (function.minimum, function.maximum), text)

    def test_code(self) -> None:
        """Dollar signs, angle brackets and backslashes outside of code would be changed by Markdown."""
        for page, table in TABLES.values():
            if page == "reference.md":
                continue  # it has blocks of code
            prose = re.sub(r"`[^`]*`", "", table())
            self.assertEqual(re.findall(r".*[$<>\\~{}].*", prose), [])
