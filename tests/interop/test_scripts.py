"""Scripts in Kamailio's language: what the real Kamailio does, and what natsroute does."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import attrs
from twisted.internet.defer import maybeDeferred

from natsroute import EventRoutes, Settings
from natsroute.errors import ScriptError
from natsroute.kamailio.cfg.reader import read_cfg
from natsroute.kamailio.differences import DIFFERENCES
from natsroute.kamailio.script.compiler import compile_script
from natsroute.kamailio.script.differences import SCRIPT_DIFFERENCES
from natsroute.kamailio.script.functions import FUNCTIONS
from natsroute.kamailio.script.functions.definitions import Argument, FunctionDefinition, WaitingAction
from natsroute.testing import RouteTester
from tests.support.judge.asking import AskingTestCase
from tests.support.judge.random_scripts import RandomScripts
from tests.support.judge.refused_scripts import ALLOWED, CONFIGURATION, SCRIPTS
from tests.support.judge.script_table import table
from tests.support.judge.scripts import Script, configuration
from tests.support.kamailio import find
from tests.support.log_recorder import LogRecorder

#: Another seed for the random scripts.
SEED = int(os.environ.get("NATSROUTE_JUDGE_SEED", "1"))

#: How many of the scripts are random.
RANDOM_SCRIPTS = 400

#: A difference is shown up to this often when a test fails.
_SHOWN = 10

_LOGGED = re.compile(r"<script>: (S\d+_\|.*)")


def random_scripts(count: int) -> list[Script]:
    """Random scripts; each second one shows values of expressions."""
    source = RandomScripts(SEED)
    return [source.expressions(4) if number % 2 else source.script() for number in range(count)]


def deferred(function: FunctionDefinition) -> FunctionDefinition:
    """The same function, but it gives Deferreds."""

    def build(*arguments: Argument) -> WaitingAction:
        action = function.build(*arguments)
        return lambda evaluation: maybeDeferred(action, evaluation)

    return attrs.evolve(function, build=build, waits=True)


class LanguageTests(AskingTestCase):
    """The same scripts in both: what they publish and log."""

    async def test_scripts(self) -> None:
        """
        At least 150 scripts, a part of them random, publish and log the same; also if natsroute has to wait for
        functions, so that they are coroutines.
        """
        scripts = [*table(), *random_scripts(RANDOM_SCRIPTS)]
        self.assertGreaterEqual(len(scripts), 800)
        questions = [f"{number};{script.payload}" for number, script in enumerate(scripts)]
        answers, lines = await self.ask(lambda url, port: configuration(scripts, url, port), questions)
        theirs = self.by_script([answer.decode("utf-8", "surrogateescape") for answer in answers], len(scripts))
        logged_by_them = self.by_script([found[1] for found in map(_LOGGED.search, lines) if found], len(scripts))
        different: list[str] = []
        for waiting in (False, True):
            ours, logged = self.natsroute_answers(scripts, questions, waiting=waiting)
            different += [
                f"{script.blocks(number)}\n  Kamailio  {theirs[number]} {logged_by_them[number]}\n"
                f"  natsroute {ours[number]} {logged[number]}{' waiting' if waiting else ''}"
                for number, script in enumerate(scripts)
                if (theirs[number], logged_by_them[number]) != (ours[number], logged[number])
            ]
        published, lines_logged = sum(map(len, theirs)), sum(map(len, logged_by_them))
        print(f"{len(scripts)} scripts, {published} messages and {lines_logged} log lines compared (seed {SEED})")
        if different:
            self.fail("\n\n".join([f"{len(different)} of {len(scripts)} differ (seed {SEED}):", *different[:_SHOWN]]))
        self.assertGreater(published, 2 * len(scripts))
        self.assertGreater(lines_logged, 5)

    def by_script(self, texts: Sequence[str], count: int) -> list[list[str]]:
        """What each script published or logged, in order."""
        found: list[list[str]] = [[] for _ in range(count)]
        for text in texts:
            found[int(text[1 : text.index("_")])].append(text)
        return found

    def natsroute_answers(
        self, scripts: Sequence[Script], questions: Sequence[str], *, waiting: bool
    ) -> tuple[list[list[str]], ...]:
        """
        What natsroute publishes and logs for each script.

        :param waiting: ``is_method()`` and ``nats_publish()`` give Deferreds.
        """
        path = Path(self.mktemp())
        path.write_text(configuration(scripts), "utf-8")
        recorder = LogRecorder(self)
        functions = {name: deferred(FUNCTIONS[name]) for name in ("is_method", "nats_publish")} if waiting else {}
        with patch.dict(FUNCTIONS, functions):
            tester = RouteTester(EventRoutes(), Settings.from_environment({}, kamailio_cfg=str(path)))
        for question in questions:
            call = tester.deliver("call", question)
            self.successResultOf(call)
        answers = [message.data.decode("utf-8", "surrogateescape") for message in tester.published]
        lines = [found[1] for found in map(_LOGGED.search, recorder.lines()) if found]
        return self.by_script(answers, len(scripts)), self.by_script(lines, len(scripts))


class InitializationTests(AskingTestCase):
    """``event_route[htable:mod-init]``: what the event routes find afterwards."""

    SCRIPT = """\
event_route[htable:mod-init] {
    $sht(t=>text) = "$rm"; $sht(t=>number) = 5; $sht(t=>gone) = 1; $sht(t=>gone) = $null;
    $var(x) = $var(x) + 1; $vn(x) = $shtinc(t=>number); $shv(x) = $shv(x) + 1; $var(data) = $natsData;
    if ($sht(t=>gone) == $null) route(FILL);
    exit;
    $sht(t=>late) = 1;
}
route[FILL] { $var(i) = 0; while ($var(i) < 3) { $sht(t=>$var(i)) = "v" + $var(i); $var(i) = $var(i) + 1; } }
modparam("pv", "varset", "x=i:7")
modparam("pv", "shvset", "x=i:8")
event_route[nats:call] {
    if ($natsData == "probe" || $natsData == "last") { nats_publish("answer", "$natsData"); exit; }
    $var(data) = $natsData;
    if ($var(data) == "tables") {
        nats_publish("answer", "$sht(t=>text) $sht(t=>number) $sht(t=>gone) $sht(t=>late)");
        nats_publish("answer", "$sht(t=>0) $sht(t=>1) $sht(t=>2) $sht(t=>3) $shtcn(t=>.*)");
    } else {
        nats_publish("answer", "$var(x) $vn(x) $shv(x) $var(i) $var(unset) $rc");
    }
    $var(x) = $var(x) + 1;
}
"""

    def configuration(self, url: str = "nats://127.0.0.1:4222", port: int = 5060) -> str:
        """The same file as that of the scripts, with another event route."""
        head, _, _ = configuration([], url, port).partition("event_route[nats:call]")
        return head + self.SCRIPT

    async def test_values(self) -> None:
        questions = ["tables", "variables", "variables", "tables"]
        answers, _ = await self.ask(self.configuration, questions)
        path = Path(self.mktemp())
        path.write_text(self.configuration(), "utf-8")
        tester = RouteTester(EventRoutes(), Settings.from_environment({}, kamailio_cfg=str(path)))
        for question in questions:
            self.successResultOf(tester.deliver("call", question))
        self.assertEqual([message.data for message in tester.published], answers)
        self.assertEqual(len(answers), 6)
        self.assertEqual(answers[0], b"$rm 6 <null> <null>")


class RefusedTests(AskingTestCase):
    """What both refuse at the start, and what both accept."""

    def file(self, script: str) -> str:
        """Write a script to a file."""
        path = Path(self.mktemp())
        path.write_text(CONFIGURATION.format(script=script), "utf-8")
        return str(path)

    def kamailio_accepts(self, path: str) -> bool:
        """Whether Kamailio can parse a file."""
        command = [find("kamailio") or "kamailio", "-c", "-f", path, "-m", "16", "-M", "4"]
        return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0

    def natsroute_accepts(self, path: str) -> bool:
        """Whether natsroute can compile a file."""
        try:
            compile_script(read_cfg(path, {}))
        except ScriptError:
            return False
        return True

    def test_scripts(self) -> None:
        """Kamailio's parser and natsroute accept the same, but for what is listed."""
        files = [self.file(script) for script in SCRIPTS]
        with ThreadPoolExecutor(2) as threads:
            theirs = list(threads.map(self.kamailio_accepts, files))
        different = {
            script: (accepted, not accepted)
            for script, path, accepted in zip(SCRIPTS, files, theirs, strict=True)
            if self.natsroute_accepts(path) is not accepted
        }
        self.assertEqual(set(different), set(ALLOWED), different)

    def test_reasons(self) -> None:
        """Each script that may differ is a mistake that Kamailio finds later in its start, or a known difference."""
        names = {difference.name for difference in (*DIFFERENCES, *SCRIPT_DIFFERENCES)}
        self.assertEqual({reason for reason in ALLOWED.values() if reason != "later"} - names, set())
