"""
deploy/: what it names exists: settings, variables, metrics, paths and ports; and its times fit the settings.

tests.packaging.test_deploy_tools lets the tools look at it that read these files.
"""

from __future__ import annotations

import inspect
import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.settings.settings import SETTING_FIELDS
from natsroute.daemon.settings.sources import ENVIRONMENT_PREFIX, HOT_PATH_VARIABLES
from natsroute.daemon.shutdown import FLUSH_TIMEOUT
from natsroute.daemon.threads import Threads
from natsroute.monitoring.http.site import PATHS
from natsroute.monitoring.metric_table import METRICS
from natsroute.testing import RouteTester
from tests.support import ROOT

DEPLOY = ROOT / "deploy"
#: Seconds that a stop takes at most with the default settings, before threads that are blocked are left alone.
LONGEST_STOP = (
    Settings().drain_timeout
    + Settings().hook_timeout
    + FLUSH_TIMEOUT
    + inspect.signature(Threads).parameters["patience"].default
)


def files() -> list[Path]:
    """All files of deploy/ in text."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def manifests(name: str) -> list[dict[str, Any]]:
    """The objects of a file in deploy/kubernetes."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text("utf-8")))


def manifest(name: str) -> dict[str, Any]:
    """The first object of such a file."""
    return manifests(name)[0]


def unit(name: str = "natsroute.service") -> str:
    return (DEPLOY / "systemd" / name).read_text("utf-8")


def assignments(text: str) -> dict[str, str]:
    """The lines ``NAME=VALUE`` of a unit, or of a file of variables; of several the last one."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


class NamesTests(SynchronousTestCase):
    """Names in all files."""

    def test_variables(self) -> None:
        known = {ENVIRONMENT_PREFIX + name.upper() for name in SETTING_FIELDS}.union(HOT_PATH_VARIABLES)
        found: set[str] = set()
        for path in files():
            named = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+", path.read_text("utf-8")))
            self.assertEqual(named - known, set(), path)
            found |= named
        self.assertGreater(len(found), 4)

    def test_options(self) -> None:
        """An option with an underscore is one of natsroute's."""
        for path in files():
            named = set(re.findall(r"(?<![\w-])--([a-z]+_[a-z_]+)", path.read_text("utf-8")))
            self.assertEqual(named - SETTING_FIELDS.keys(), set(), path)

    def test_metrics(self) -> None:
        suffixes = {"histogram": ("_bucket", "_sum", "_count")}
        known = {metric.name for metric in METRICS} | {"natsroute_process_up"}  # the latter is of several processes
        known |= {metric.name + suffix for metric in METRICS for suffix in suffixes.get(metric.kind, ())}
        found: set[str] = set()
        for path in files():
            named = set(re.findall(r"\bnatsroute_[a-z_]+\b", path.read_text("utf-8")))
            self.assertEqual(named - known, set(), path)
            found |= named
        self.assertIn("natsroute_consumer_messages_waiting", found)


class SystemdTests(SynchronousTestCase):
    """The units."""

    def test_command(self) -> None:
        """It starts natsroute, as twistd understands it."""
        [command] = re.findall(r"^ExecStart=(.*)$", unit(), re.MULTILINE)
        options = ServerOptions()
        options.parseOptions(shlex.split(command)[1:])
        self.assertEqual((options.subCommand, bool(options["nodaemon"])), ("natsroute", True))

    def test_settings(self) -> None:
        settings = Settings.from_environment(assignments(unit("natsroute.env")))
        self.assertEqual(settings.event_routes, ("/etc/natsroute/routes.py",))
        named = assignments(unit())["EnvironmentFile"]
        self.assertIn(named, unit("natsroute.env"))

    def test_stop(self) -> None:
        """systemd waits as long as a stop may take, and ends the children only then."""
        found = assignments(unit())
        self.assertTrue(LONGEST_STOP + 5 <= float(found["TimeoutStopSec"]) <= LONGEST_STOP + 20, LONGEST_STOP)
        self.assertEqual(found["KillMode"], "mixed")

    def test_start(self) -> None:
        """It may take as long as there is no server; what blocks the reactor for long is ended."""
        found = assignments(unit())
        self.assertEqual((found["Type"], found["TimeoutStartSec"]), ("notify", "infinity"))
        self.assertGreater(float(found["WatchdogSec"]), 10 * Settings().blocked_reactor_warning)
        self.assertEqual(found["ExecReload"], "/bin/kill -HUP $MAINPID")

    def test_template(self) -> None:
        """It is the unit, with the name of the instance in the names of files and folders."""
        expected = (
            unit()
            .replace(
                "# Its settings are in /etc/natsroute/natsroute.env,",
                "# The settings of natsroute@NAME are in /etc/natsroute/NAME.env,",
            )
            .replace("Description=natsroute:", "Description=natsroute %i:")
            .replace("=/etc/natsroute/natsroute.env\n", "=/etc/natsroute/%i.env\n")
            .replace("Directory=natsroute\n", "Directory=natsroute-%i\n")
            .replace("=%S/natsroute\n", "=%S/natsroute-%i\n")
            .replace("/var/log/natsroute/", "/var/log/natsroute-%i/")
        )
        self.assertEqual(unit("natsroute@.service"), expected)

    def test_logrotate(self) -> None:
        """It rotates what the unit proposes to write, and uses the signal that opens the file again."""
        text = (DEPLOY / "logrotate" / "natsroute").read_text("utf-8")
        [pattern] = re.findall(r"^(/\S+) \{$", text, re.MULTILINE)
        [proposed] = re.findall(r"--logfile=(\S+), ", unit())
        self.assertTrue(Path(proposed).match(pattern))
        self.assertIn("--kill-who=main --signal=USR1 natsroute.service", text)
        self.assertNotRegex(text, r"(?m)^    (copytruncate|create)")


class DockerfileTests(SynchronousTestCase):
    """The image."""

    def setUp(self) -> None:
        self.text = (DEPLOY / "Dockerfile").read_text("utf-8")

    def test_what_is_copied(self) -> None:
        """It is there, and .dockerignore lets through that alone."""
        copied = [
            source
            for line in re.findall(r"^COPY (?!--from)(.*)$", self.text, re.MULTILINE)
            for source in line.split()[:-1]
        ]
        for source in copied:
            self.assertTrue((ROOT / source).exists(), source)
        ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
        self.assertIn("*", ignored)
        self.assertEqual(sorted(line[1:] for line in ignored if line.startswith("!")), sorted(copied))

    def test_extras(self) -> None:
        setup = (ROOT / "setup.py").read_text("utf-8")
        [extras] = re.findall(r"^ARG EXTRAS=(.*)$", self.text, re.MULTILINE)
        for extra in extras.split(","):
            self.assertIn(f'        "{extra}": ', setup)

    def test_base(self) -> None:
        """A version in full, which natsroute supports; both stages have the same. The first one has a compiler."""
        [version] = re.findall(r"^ARG PYTHON_VERSION=(\d+\.\d+)\.\d+$", self.text, re.MULTILINE)
        self.assertIn(f'"Programming Language :: Python :: {version}",', (ROOT / "setup.py").read_text("utf-8"))
        bases = re.findall(r"^FROM (\S+)", self.text, re.MULTILINE)
        self.assertEqual(bases, ["python:${PYTHON_VERSION}-bookworm", "python:${PYTHON_VERSION}-slim-bookworm"])

    def test_user(self) -> None:
        """It is the one that Kubernetes is told, and not root."""
        [user] = re.findall(r"^USER (\d+):\d+$", self.text, re.MULTILINE)
        pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
        self.assertEqual(pod["securityContext"]["runAsUser"], int(user))
        self.assertNotEqual(int(user), 0)
        self.assertLess(self.text.rindex("\nFROM"), self.text.index("\nUSER"))

    def test_command(self) -> None:
        [command] = re.findall(r"^ENTRYPOINT (.*)$", self.text, re.MULTILINE)
        options = ServerOptions()
        options.parseOptions(json.loads(command)[1:])
        self.assertEqual((options.subCommand, bool(options["nodaemon"])), ("natsroute", True))

    def test_health(self) -> None:
        """The check asks where natsroute listens."""
        [listen] = re.findall(r"NATSROUTE_HTTP_LISTEN=(\S+)", self.text)
        port = Settings(http_listen=listen).http_address.port
        self.assertEqual(re.findall(r"^EXPOSE (\d+)$", self.text, re.MULTILINE), [str(port)])
        [asked] = re.findall(r"urlopen\('http://127\.0\.0\.1:(\d+)(/\w+)'", self.text)
        self.assertEqual(asked, (str(port), "/livez"))


class KubernetesTests(SynchronousTestCase):
    """The manifests."""

    def setUp(self) -> None:
        self.pod = manifest("deployment.yaml")["spec"]["template"]["spec"]
        [self.container] = self.pod["containers"]
        self.variables = {**manifest("configmap.yaml")["data"], **manifest("secret.example.yaml")["stringData"]}

    def test_kustomization(self) -> None:
        """It has each file but the examples and the values of another program."""
        found = manifest("kustomization.yaml")
        others = {"kustomization.yaml", "secret.example.yaml", "prometheus-adapter.yaml"}
        names = {path.name for path in (DEPLOY / "kubernetes").iterdir()}
        self.assertEqual(set(found["resources"]) | others, names)
        self.assertEqual([image["name"] for image in found["images"]], [self.container["image"]])

    def test_names(self) -> None:
        """What is referred to is there."""
        config, routes = manifests("configmap.yaml")
        secret = manifest("secret.example.yaml")
        self.assertEqual(
            self.container["envFrom"],
            [
                {"configMapRef": {"name": config["metadata"]["name"]}},
                {"secretRef": {"name": secret["metadata"]["name"]}},
            ],
        )
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.assertEqual(mounts.keys(), volumes.keys())
        self.assertEqual(volumes["routes"]["configMap"]["name"], routes["metadata"]["name"])
        labels = manifest("deployment.yaml")["spec"]["template"]["metadata"]["labels"]
        for selector in (
            manifest("deployment.yaml")["spec"]["selector"]["matchLabels"],
            manifest("service.yaml")["spec"]["selector"],
            manifest("poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        ):
            self.assertEqual(selector, labels)
        target = manifest("horizontalpodautoscaler.yaml")["spec"]["scaleTargetRef"]["name"]
        self.assertEqual(target, manifest("deployment.yaml")["metadata"]["name"])

    def test_settings(self) -> None:
        """They are valid, and the routes are where they say, and run."""
        settings = Settings.from_environment(self.variables)
        [path] = settings.event_routes
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container["volumeMounts"]}
        self.assertEqual(str(Path(path).parent), mounts["routes"])
        source = manifests("configmap.yaml")[1]["data"][Path(path).name]
        names: dict[str, Any] = {}
        exec(source, names)
        tester = RouteTester(names["event_route"])
        self.successResultOf(tester.deliver("Kamailio-World", {"Event-Package": "dialog"}))
        self.assertEqual([published.subject for published in tester.published], ["presence.dialog"])

    def test_ports_and_paths(self) -> None:
        port = Settings.from_environment(self.variables).http_address.port
        self.assertEqual(self.container["ports"], [{"name": "http", "containerPort": port}])
        self.assertEqual(manifest("service.yaml")["spec"]["ports"][0]["targetPort"], "http")
        probes = [self.container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")]
        self.assertEqual(probes, [{"path": "/livez", "port": "http"}, {"path": "/readyz", "port": "http"}])
        annotations = manifest("deployment.yaml")["spec"]["template"]["metadata"]["annotations"]
        self.assertEqual(annotations["prometheus.io/port"], str(port))
        self.assertEqual(annotations["prometheus.io/path"], "/metrics")
        for path in ("/livez", "/readyz", "/metrics"):
            self.assertIn(path.encode(), PATHS)

    def test_stop(self) -> None:
        """Kubernetes waits as long as preStop and a stop may take."""
        [sleep, seconds] = self.container["lifecycle"]["preStop"]["exec"]["command"]
        self.assertEqual(sleep, "sleep")
        longest = float(seconds) + LONGEST_STOP
        self.assertTrue(longest + 5 <= self.pod["terminationGracePeriodSeconds"] <= longest + 20, longest)

    def test_scaling(self) -> None:
        """The metric is one of natsroute's for a consumer, and the adapter makes it known under that name."""
        [metric] = manifest("horizontalpodautoscaler.yaml")["spec"]["metrics"]
        name = metric["pods"]["metric"]["name"]
        self.assertIn((name, "gauge"), {(known.name, known.kind) for known in METRICS})
        [rule] = manifest("prometheus-adapter.yaml")["rules"]["custom"]
        self.assertEqual(rule["name"]["matches"], name)
        self.assertTrue(rule["seriesQuery"].startswith(name + "{"))

    def test_security(self) -> None:
        """No rights, no token, and nothing that can be written but /tmp."""
        context = self.container["securityContext"]
        self.assertEqual((context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]), (False, True))
        self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
        self.assertTrue(self.pod["securityContext"]["runAsNonRoot"])
        self.assertFalse(self.pod["automountServiceAccountToken"])
