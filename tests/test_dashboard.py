"""deploy/grafana and deploy/prometheus, and docs/metrics.md: what they name is what a service exposes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.merged_metrics import merged_text
from natsroute.monitoring.metric_table import METRICS
from natsroute.monitoring.metrics import Metrics
from tests.support import ROOT
from tests.support.metrics_page import DOCUMENT, table, written
from tests.support.promtool import promtool
from tests.test_metrics import an_overview, some_extras

DASHBOARD = ROOT / "deploy" / "grafana" / "natsroute.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = PROMETHEUS / "alerts.yml"

#: Labels that Prometheus adds, and the one of histograms.
OTHER_LABELS = {"instance", "job", "le"}


class Exposed(SynchronousTestCase):
    """
    What a service exposes, and several processes.

    :ivar labels: the labels of each sample, by its name.
    """

    def setUp(self) -> None:
        clock = Clock()
        asked = Metrics(clock, an_overview, some_extras).text()
        clock.pump([0.0] * 100)
        self.labels: dict[str, set[str]] = {"up": set()}
        for family in text_string_to_metric_families(merged_text([self.successResultOf(asked)]).decode()):
            for sample in family.samples:
                self.labels.setdefault(sample.name, set()).update(sample.labels)

    def check(self, expression: str) -> None:
        """Each metric of an expression is exposed, with the labels that the expression names."""
        without_text = re.sub(r'"[^"]*"', '""', expression)
        without_labels = re.sub(r"\{[^}]*\}|\b(by|without|on)\s*\([^)]*\)", "", without_text)
        names = set(re.findall(r"\b(?:natsroute|process|python)_\w+|\bup\b", without_labels))
        self.assertTrue(names, expression)
        self.assertEqual(names - set(self.labels), set(), expression)
        allowed = OTHER_LABELS.union(*(self.labels[name] for name in names))
        used = {
            label for found in re.findall(r"\b(?:by|without|on)\s*\(([^)]*)\)", without_text) for label in _list(found)
        }
        used |= {
            label for found in re.findall(r"\{([^}]*)\}", without_text) for label in re.findall(r"(\w+)\s*[=!]", found)
        }
        self.assertEqual(used - allowed, set(), expression)


class DashboardTests(Exposed):
    """The dashboard for Grafana."""

    def setUp(self) -> None:
        super().setUp()
        self.dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
        self.panels: list[dict[str, Any]] = self.dashboard["panels"]

    def targets(self) -> Iterator[dict[str, Any]]:
        for panel in self.panels:
            yield from panel.get("targets", ())

    def test_expressions(self) -> None:
        """All metrics and labels exist."""
        expressions = [target["expr"] for target in self.targets()]
        self.assertGreater(len(expressions), 40)
        for expression in [*expressions, *(one["expr"] for one in self.dashboard["annotations"]["list"])]:
            self.check(expression)

    def test_legends(self) -> None:
        """A legend names labels that the expression keeps."""
        for target in self.targets():
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                kept = {one for found in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for one in _list(found)}
                self.assertIn(label, kept or OTHER_LABELS, target["expr"])

    def test_variables(self) -> None:
        """Each expression is about the chosen instances, each panel about the chosen data source."""
        names = {variable["name"] for variable in self.dashboard["templating"]["list"]}
        self.assertEqual(names, {"datasource", "instance"})
        for target in self.targets():
            metrics = re.findall(r"\b(?:natsroute|process)_\w+", re.sub(r"\([^()]*\)(?= \()", "", target["expr"]))
            self.assertEqual(target["expr"].count('{instance=~"$instance"}'), len(metrics), target["expr"])
            self.assertEqual(target["datasource"]["uid"], "${datasource}")
        query = self.dashboard["templating"]["list"][1]["definition"]
        self.check(re.sub(r"label_values\((\w+), \w+\)", r"\1", query))

    def test_layout(self) -> None:
        """Panels do not overlap, and none is wider than the page; each has an id of its own, and a title."""
        taken: set[tuple[int, int]] = set()
        for panel in self.panels:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            self.assertTrue(panel["title"])
            taken |= cells
        self.assertEqual(len({panel["id"] for panel in self.panels}), len(self.panels))
        self.assertEqual({panel["type"] for panel in self.panels}, {"row", "stat", "timeseries"})

    def test_targets(self) -> None:
        """Each target of a panel has a letter of its own."""
        for panel in self.panels:
            letters = [target["refId"] for target in panel.get("targets", ())]
            self.assertEqual(len(set(letters)), len(letters), panel["title"])


class AlertTests(Exposed):
    """The alerts for Prometheus."""

    def setUp(self) -> None:
        super().setUp()
        text = ALERTS.read_text("utf-8")
        self.rules = re.split(r"\n      - alert: ", text)[1:]
        self.names = [rule.partition("\n")[0] for rule in self.rules]

    def test_expressions(self) -> None:
        """All metrics and labels exist, those of the summaries too."""
        self.assertGreater(len(self.rules), 10)
        for rule in self.rules:
            expression = re.search(r"expr: (?:>-\n)?(.*?)\n        (?:for|labels):", rule, re.DOTALL)
            assert expression is not None, rule
            self.check(expression[1])
            names = re.findall(r"\b(?:natsroute|process)_\w+|\bup\b", expression[1])
            labels = OTHER_LABELS.union(*(self.labels[name] for name in names))
            self.assertEqual(set(re.findall(r"\$labels\.(\w+)", rule)) - labels, set(), rule)

    def test_each_is_tested(self) -> None:
        """Each alert has a test, in which it fires, and in which it does not."""
        tests = (PROMETHEUS / "alerts_test.yml").read_text("utf-8")
        for name in self.names:
            self.assertIn(f"- alertname: {name}\n", tests)
            self.assertRegex(tests, rf"alertname: {name}, eval_time: \d+m, exp_alerts: \[\]")

    def test_check(self) -> None:
        """promtool accepts the rules."""
        self.assertIn(f"SUCCESS: {len(self.names)} rules found", promtool("check", "rules", str(ALERTS)))

    def test_rules(self) -> None:
        """promtool runs their tests."""
        self.assertIn("SUCCESS", promtool("test", "rules", str(PROMETHEUS / "alerts_test.yml")))


class PageTests(SynchronousTestCase):
    """docs/metrics.md."""

    def test_table(self) -> None:
        """It has all metrics."""
        self.assertEqual(written(DOCUMENT.read_text("utf-8")), table(), "run: python -m tests.support.metrics_page")

    def test_names(self) -> None:
        """The other metrics that the page names exist, too."""
        known = {metric.name for metric in METRICS} | {"natsroute_process_up"}
        found = set(re.findall(r"\bnatsroute_\w+[a-z]\b", DOCUMENT.read_text("utf-8")))
        self.assertEqual({re.sub("_(bucket|count|sum)$", "", name) for name in found} - known, set())


def _list(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]
