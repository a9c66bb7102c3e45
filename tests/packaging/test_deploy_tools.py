"""
deploy/ before the tools that read it: systemd, logrotate, hadolint, and the schemas of Kubernetes

And the steps of the Dockerfile, without Docker: pip installs what the Dockerfile copies, and its command and its health
check run. CI has all tools; elsewhere, a test whose tool is missing is skipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.packaging.builds import LEFT_BEHIND, has_compiler, run
from tests.support import ROOT
from tests.support.nats_server import reserve_tcp_port
from tests.support.twistd import TwistdTestCase
from tests.support.waiting import TIMEOUT

DEPLOY = ROOT / "deploy"
#: systemd's figure for what a service may do: 10 is everything. 1.2 when this was written.
MAX_EXPOSURE = 2.0


def tool(name: str) -> str:
    """The path of a tool: beside Python, or on PATH."""
    beside = Path(sys.executable).with_name(name)
    found = (
        str(beside) if beside.is_file() else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    )
    if found is None:
        if os.environ.get("CI"):
            raise AssertionError(f"CI has no {name}: see .ci/run")
        raise SkipTest(f"there is no {name}")
    return found


class SystemdTests(TwistdTestCase):
    """The units, with a command that is there."""

    def units(self) -> list[Path]:
        units = sorted((DEPLOY / "systemd").glob("*.service"))
        self.assertEqual(len(units), 2)
        for path in units:
            text = path.read_text("utf-8").replace("/opt/natsroute/bin/twistd", "/bin/true")
            (self.folder / path.name).write_text(text, "utf-8")
        return [self.folder / path.name for path in units]

    def test_verify(self) -> None:
        """Nothing is unknown, and nothing is said."""
        verify = tool("systemd-analyze")
        for path in self.units():
            ended = subprocess.run(
                [verify, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
            )
            self.assertEqual((ended.returncode, ended.stdout + ended.stderr), (0, ""), path.name)
        path.write_text(path.read_text("utf-8").replace("WatchdogSec", "WatchDogSec"), "utf-8")
        ended = subprocess.run([verify, "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
        self.assertIn("WatchDogSec", ended.stderr)

    def test_exposure(self) -> None:
        """It may do little but what it needs."""
        for path in self.units():
            text = run(tool("systemd-analyze"), "security", "--offline=true", "--no-pager", path, cwd=self.folder)
            [exposure] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", text)
            self.assertLessEqual(float(exposure), MAX_EXPOSURE)


class LogrotateTests(TwistdTestCase):
    """logrotate with a running natsroute."""

    def test_rotate(self) -> None:
        """The old file is moved away, and natsroute goes on in a new one."""
        logrotate = tool("logrotate")
        log = self.folder / "natsroute.log"
        program = self.run_program("--logfile", str(log), "natsroute", "--nats_url", "nats://127.0.0.1:1")
        self.until(lambda: log.exists() and "keeps trying" in log.read_text("utf-8"), program)
        text = (DEPLOY / "logrotate" / "natsroute").read_text("utf-8")
        changed = text.replace("/var/log/natsroute/", f"{self.folder}/")
        changed = re.sub(r"systemctl kill .*", f"kill -USR1 {program.process.pid}", changed)
        config = self.folder / "config"
        config.write_text(changed, "utf-8")
        config.chmod(0o600)
        run(logrotate, "-d", "-s", self.folder / "state", config, cwd=self.folder)
        self.assertFalse((self.folder / "natsroute.log.1").exists())
        run(logrotate, "-f", "-s", self.folder / "state", config, cwd=self.folder)
        self.until(lambda: log.exists(), program)
        self.assertIn("keeps trying", (self.folder / "natsroute.log.1").read_text("utf-8"))
        program.process.terminate()
        program.wait()
        self.assertIn("Server Shut Down", log.read_text("utf-8"))


class KubernetesTests(TwistdTestCase):
    """The manifests against the schemas of Kubernetes."""

    def test_valid(self) -> None:
        validate = tool("kubernetes-validate")
        names = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.name not in NO_OBJECTS]
        self.assertEqual(len(names), 6)
        run(validate, "--strict", "--no-warn", *names, cwd=self.folder)

    def test_invalid(self) -> None:
        """A key that is not known is found."""
        text = (DEPLOY / "kubernetes" / "deployment.yaml").read_text("utf-8")
        path = self.folder / "deployment.yaml"
        path.write_text(text.replace("readinessProbe:", "readynessProbe:"), "utf-8")
        self.assertRaises(AssertionError, run, tool("kubernetes-validate"), "--strict", path, cwd=self.folder)


#: They are for kustomize and for Helm.
NO_OBJECTS = {"kustomization.yaml", "prometheus-adapter.yaml"}


class DockerfileTests(TwistdTestCase):
    """The image, which no Docker has built here."""

    def setUp(self) -> None:
        super().setUp()
        self.text = (DEPLOY / "Dockerfile").read_text("utf-8").replace("\\\n", " ")

    def test_hadolint(self) -> None:
        run(tool("hadolint"), DEPLOY / "Dockerfile", cwd=self.folder)

    def test_steps(self) -> None:
        """What is copied can be installed; natsroute starts by the image's command, and is healthy."""
        source, target = self.folder / "source", self.folder / "opt"
        source.mkdir()
        for line in re.findall(r"^COPY (?!--from)(.*)$", self.text, re.MULTILINE):
            for name in line.split()[:-1]:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / name, ignore=LEFT_BEHIND)
                else:
                    shutil.copy(ROOT / name, source)
        [extras] = re.findall(r"^ARG EXTRAS=(.*)$", self.text, re.MULTILINE)
        install = re.findall(r"^RUN (.*)$", self.text, re.MULTILINE)[0]
        install = install.replace("python -m venv", f"{sys.executable} -m venv").replace("/opt/natsroute", str(target))
        if not has_compiler():
            install = install.replace("NATSROUTE_EXTENSION=require", "")
        run("bash", "-euo", "pipefail", "-c", f"EXTRAS={extras}; {install}", cwd=source)
        self.assertFalse((target / "bin" / "pip").exists())
        self.assertTrue((next(target.glob("lib/*/site-packages")) / "twisted/plugins/dropin.cache").exists())

        port = reserve_tcp_port()
        environment = dict(re.findall(r"\b([A-Z_]+)=(\S+)", re.findall(r"^ENV (.*)$", self.text, re.MULTILINE)[0]))
        self.assertEqual(environment.pop("PATH"), "/opt/natsroute/bin:$PATH")
        environment["NATSROUTE_HTTP_LISTEN"] = environment["NATSROUTE_HTTP_LISTEN"].replace(":8080", f":{port}")
        environment |= {"PATH": f"{target}/bin:{os.environ['PATH']}", "NATSROUTE_NATS_URL": "nats://127.0.0.1:1"}
        [command] = re.findall(r"^ENTRYPOINT (.*)$", self.text, re.MULTILINE)
        [check] = re.findall(r"^HEALTHCHECK .* CMD (.*)$", self.text, re.MULTILINE)
        check = check.replace(":8080", f":{port}")
        self.assertNotEqual(self.healthy(check, environment), 0)
        output = (self.folder / "output").open("wb")
        self.addCleanup(output.close)
        process = subprocess.Popen(
            json.loads(command),
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        give_up = time.monotonic() + TIMEOUT
        while self.healthy(check, environment) != 0:
            self.assertLess(time.monotonic(), give_up, (self.folder / "output").read_text("utf-8"))
            self.assertIsNone(process.poll(), (self.folder / "output").read_text("utf-8"))
        process.terminate()
        process.wait(TIMEOUT)
        for line in (self.folder / "output").read_text("utf-8").splitlines():
            self.assertEqual(next(iter(json.loads(line))), "time")

    def healthy(self, check: str, environment: dict[str, str]) -> int:
        """The exit code of the health check."""
        return subprocess.run(
            json.loads(check), cwd=self.folder, env=environment, capture_output=True, check=False
        ).returncode
