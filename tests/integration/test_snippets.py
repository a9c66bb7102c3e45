"""The snippets of README and docs/: Python ones pass mypy in strict mode, and each runs, or there is a reason."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from natsroute import Event, EventRoutes, NatsrouteService, Settings
from natsroute.errors import PermissionsError, SubjectError
from natsroute.testing import RouteTester
from tests.support import ROOT
from tests.support.documents import Snippet, prose_source, snippet, snippets
from tests.support.log_recorder import LogRecorder
from tests.support.program import Program
from tests.support.server_case import OneServerTestCase
from tests.support.spans import Spans, is_child
from tests.support.waiting import TEST_TIMEOUT

DIALOG = {"Event-Package": "dialog", "From": "sip:alice@example.com"}
TWISTD = [sys.executable, str(Path(sys.executable).with_name("twistd"))]
ROUTES = snippet("README.md", "natsroute")


def environment(**variables: str) -> dict[str, str]:
    """The variables of a program that finds natsroute in the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NATSROUTE_", "MYPY"))}
    return {
        **clean,
        "NATSROUTE_ADMIN_SOCKET": "off",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }


def names_in(snippet: Snippet, **stand_ins: object) -> dict[str, Any]:
    """What a snippet defines, when it is run with these instead of names of the prelude."""
    names: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet.source, str(snippet), "exec"), names)
    names.update(stand_ins)
    return names


class TypeTests(SynchronousTestCase):
    """mypy, strict, in a project that has natsroute installed."""

    def test_strict(self) -> None:
        """It finds the mistake in a file that has one, and none in snippets, examples, and expressions of the prose."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "routes.py").write_text(ROUTES.source, "utf-8")
            for one in snippets("python"):
                if one.document == "docs/kamailio/kemi.md":
                    continue  # what Kamailio runs has no types
                page = Path(one.document).stem.replace("-", "_").lower()
                (folder / f"{page}_line_{one.line}.py").write_text(one.source, "utf-8")
            examples = [path for path in (ROOT / "examples").rglob("*.py") if path.parent.name != "kemi"]
            for path in [*examples, ROOT / "tests" / "typed_program.py"]:
                (folder / f"example_{path.parent.name}_{path.name}").write_text(path.read_text("utf-8"), "utf-8")
            (folder / "prose.py").write_text(prose_source(), "utf-8")
            (folder / "wrong.py").write_text(ROUTES.source.replace('"presence.dialog"', "5"), "utf-8")
            files = sorted(path.name for path in folder.glob("*.py"))
            # Untyped calls are allowed because Twisted is typed only in part; README says so.
            options = ["--config-file=", "--cache-dir=cache", "--strict", "--allow-untyped-calls", "--no-error-summary"]
            ended = subprocess.run(
                [sys.executable, "-m", "mypy", *options, *files],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TEST_TIMEOUT,
                check=False,
            )
        lines = ended.stdout.splitlines()
        self.assertEqual([line for line in lines if not line.startswith("wrong.py")], [], ended.stderr)
        self.assertEqual(len(lines), 1, ended.stderr)
        self.assertIn('Argument 1 to "publish" of "Event" has incompatible type "int"; expected "str"', lines[0])


class RoutesTests(TestCase):
    """Snippets that need no server: routes are given messages by ``RouteTester``."""

    async def test_readme(self) -> None:
        """The program at the top."""
        tester = RouteTester(names_in(ROUTES)["event_route"])
        await tester.deliver("Kamailio-World", {**DIALOG, "Event-Package": "presence"})
        await tester.deliver("Kamailio-World", DIALOG)
        self.assertEqual([message.subject for message in tester.published], ["presence.dialog"])

    async def test_kamailio(self) -> None:
        """Kamailio's expressions, in a condition and in a log line."""
        log = LogRecorder(self)
        tester = RouteTester(names_in(snippet("docs/kamailio/variables.md", "Pseudo-variables"))["event_route"])
        await tester.deliver("Kamailio-World", {**DIALOG, "Event-Package": "presence"})
        await tester.deliver("Kamailio-World", {**DIALOG, "From": "{0}"})
        await tester.deliver("Kamailio-World", DIALOG)
        self.assertEqual([message.subject for message in tester.published], ["presence.dialog"] * 2)
        self.assertEqual(log.lines("info"), ["received update for {0}", "received update for sip:alice@example.com"])

    async def test_transactions(self) -> None:
        """Decisions by what a question says."""
        tester = RouteTester(names_in(snippet("docs/kamailio/transactions.md", "SIP transactions"))["event_route"])
        question = {"transaction": "1:2", "answer_to": "sip-decided", "request_uri": "sip:bob@example.com"}
        for fields in ({"from": "sip:eve@example.com"}, {"request_uri": "sip:sales@example.com"}, {}):
            await tester.deliver("sip-decide", {**question, "from": "sip:alice@example.com", **fields})
        self.assertEqual(
            [json.loads(message.data) for message in tester.published],
            [
                {"transaction": "1:2", "action": "refuse", "code": 403, "reason": "Forbidden"},
                {"transaction": "1:2", "action": "accept", "uri": "sip:desk7@example.com"},
                {"transaction": "1:2", "action": "accept"},
            ],
        )

    async def test_script(self) -> None:
        """The script, and its test."""
        Path("kamailio.cfg").write_text(snippet("docs/kamailio/script.md", "The script language", "kamailio").text)
        self.addCleanup(Path("kamailio.cfg").unlink)
        log = LogRecorder(self)
        await names_in(snippet("docs/kamailio/script.md", "The script language"))["ScriptTests"](
            "test_early_is_busy"
        ).test_early_is_busy()
        settings = Settings.from_environment({}, kamailio_cfg="kamailio.cfg")
        tester = RouteTester(EventRoutes(), settings)
        for state in ("early", "terminated", "confirmed"):
            await tester.deliver("Kamailio-World", {**DIALOG, "State": state})
        await tester.disconnected()
        self.assertEqual(
            [message.data for message in tester.published], [b"sip:alice@example.com 1", b"sip:alice@example.com 3"]
        )
        self.assertEqual(len(log.matching("2 events, the last from sip:alice@example.com")), 1)
        self.assertEqual(len(log.matching("no connection")), 1)

    async def test_script_functions(self) -> None:
        """A script calls two functions in Python, one of which runs in a thread."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        page, files = "docs/kamailio/functions.md", {"functions.py": "python", "kamailio.cfg": "kamailio"}
        for name, language in files.items():
            (folder / name).write_text(snippet(page, "Functions in Python", language).text, "utf-8")
        tester = RouteTester(
            EventRoutes(),
            Settings.from_environment(
                {}, kamailio_cfg=str(folder / "kamailio.cfg"), event_routes=[str(folder / "functions.py")]
            ),
        )
        await tester.deliver("Kamailio-World", DIALOG)
        await tester.deliver("Kamailio-World", {**DIALOG, "From": "sip:bob@example.com"})
        self.assertEqual([(one.subject, one.data) for one in tester.published], [("presence.names", b"Alice")])

    async def test_pua_json(self) -> None:
        """Dialogs go back to Kamailio, and nothing else does."""
        tester = RouteTester(
            names_in(snippet("docs/kamailio/presence.md", "Presence: back to Kamailio"))["event_route"]
        )
        await tester.deliver("Kamailio-World", {**DIALOG, "Event-Package": "presence"})
        await tester.deliver("Kamailio-World", DIALOG)
        self.assertEqual(
            [(message.subject, json.loads(message.data)) for message in tester.published], [("pua_json", DIALOG)]
        )

    async def test_hooks(self) -> None:
        tester = RouteTester(names_in(snippet("docs/routes.md", "Hooks"))["event_route"])
        await tester.start()
        await tester.stop()
        self.assertEqual(
            [(message.subject, message.data) for message in tester.published],
            [("presence.nodes", b'{"up":"natsroute"}'), ("presence.nodes", b'{"down":"natsroute"}')],
        )

    async def test_middleware(self) -> None:
        """Only what Kamailio sent reaches the route; copies do not."""
        names = names_in(snippet("docs/routes.md", "Middleware"))
        called: list[object] = []
        route = next(iter(names["event_route"]))
        watched = names["EventRoutes"]()
        watched(route.name, middleware=route.middleware)(lambda event: called.append(event.data))
        tester = RouteTester(watched)
        for sender, payload in [("kamailio 5.6.3", "a"), ("other", "b"), ("kamailio 5.6.3", "a"), ("", "c")]:
            tester.deliver("calls", payload, headers={"User-Agent": sender})
            tester.clock.advance(1)
        self.assertEqual(called, [b"a"])
        await RouteTester(names["event_route"]).deliver("calls", "a")

    def test_testing(self) -> None:
        """trial runs the test case, which passes; with other routes it fails."""
        test_case = snippet("docs/routes.md", "Testing your routes")
        for routes, ending in [
            (ROUTES.source, "PASSED (successes=1)"),
            (ROUTES.source.replace("presence.dialog", "presence"), "FAILED (failures=1)"),
        ]:
            with tempfile.TemporaryDirectory() as name:
                Path(name, "routes.py").write_text(routes, "utf-8")
                Path(name, "test_routes.py").write_text(test_case.source, "utf-8")
                ended = subprocess.run(
                    [sys.executable, "-m", "twisted.trial", "test_routes"],
                    cwd=name,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    timeout=TEST_TIMEOUT,
                    check=False,
                )
            self.assertIn(ending, ended.stdout, ended.stderr)

    async def test_errors(self) -> None:
        log = LogRecorder(self)
        tester = RouteTester(names_in(snippet("docs/security.md", "Errors from the server"))["event_route"])
        await tester.error(PermissionsError("no", "publish", "a", None), "nats://10.0.0.1:4222")
        self.assertEqual(log.lines("warn"), ["nats://10.0.0.1:4222: no"])


class ServiceTests(OneServerTestCase):
    """Snippets that need a service, on a real nats-server."""

    async def test_flush(self) -> None:
        arrived: list[Any] = []
        event_route = EventRoutes()
        event_route("nats:cdr")(lambda event: arrived.append(event.json()))
        service = await self.connect_service(event_route, subject_queue_group=["cdr"])
        records = [{"call": str(number)} for number in range(100)]
        names = names_in(snippet("docs/publishing.md", "What the Deferred tells you"))
        await names["publish_records"](service, records)
        self.assertEqual(service.ledger().publisher.confirmed, 100)
        await self.until(lambda: arrived == records)

    async def test_thread(self) -> None:
        """The snippet; and a thread that waits, as the text behind it says."""
        stored: list[object] = []
        arrived: list[tuple[str, bytes]] = []
        names = names_in(snippet("docs/publishing.md", "From a thread"), write_to_database=stored.append)
        event_route = names["event_route"]
        event_route("nats:*.stored")(lambda event: arrived.append((event.subject, event.data)))

        @event_route("nats:wait", thread=True)
        def wait(event: Event) -> None:
            blockingCallFromThread(self.reactor, event.publish, "wait.stored", event.data)
            self.assertRaises(SubjectError, blockingCallFromThread, self.reactor, event.publish, "no subject", b"")
            stored.append("waited")

        service = await self.connect_service(event_route, subject_queue_group=["cdr", "wait", "*.stored"])
        await service.publish("cdr", {"call": "1"})
        await self.until(lambda: arrived == [("cdr.stored", b'{"call":"1"}')])
        await service.publish("wait", b"2")
        await self.until(lambda: len(stored) == 2 and len(arrived) == 2)
        self.assertEqual(stored, [{"call": "1"}, "waited"])

    async def test_tracing(self) -> None:
        """The route and the service of docs/tracing.md, together."""
        spans = Spans()
        route = names_in(snippet("docs/tracing.md", "In a route"))["event_route"]
        make = names_in(snippet("docs/tracing.md", "In a program"))["traced_service"]
        service = make(Settings(nats_url=self.url, subject_queue_group="calls.>"), route, spans.provider)
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: service.connected)
        service.publish("calls.1", {"call_id": "abc"})
        await self.until(lambda: len(spans.ended) == 3)
        self.assertEqual((spans.one("process calls.*").attributes or {})["call.id"], "abc")
        self.assertTrue(is_child(spans.one("publish cdr"), spans.one("process calls.*")))

    async def test_jetstream(self) -> None:
        """The hook sees what the settings have created."""
        await self.server.stop()
        self.server = await self.start_server("jetstream: {}")
        first = await self.connect_service(
            jetstream_create=True, jetstream_stream="calls=>subjects=calls.>", jetstream_consumer="calls:billing"
        )
        await self.until(lambda: not first.overview().reasons)
        await first.publish("calls.end", b"x", stream=True)
        await self.until(lambda: first.ledger().consumers[0].received == 1)
        printed = StringIO()
        self.patch(sys, "stdout", printed)
        other = await self.connect_service(names_in(snippet("docs/jetstream.md", "From a program"))["event_route"])
        await other.ready()
        self.assertEqual(printed.getvalue(), "1 messages in the stream, 0 of them to bill\n")

    async def test_ledger(self) -> None:
        """What it prints looks as its comments say."""
        event_route = EventRoutes()
        event_route("nats:Kamailio-World")(lambda event: event.json())
        service = await self.connect_service(event_route, subject_queue_group=["Kamailio-World:2021"])
        for payload in (b"{}", b"{", b"{}"):
            await service.publish("Kamailio-World", payload)
        await self.until(lambda: service.ledger().routes and service.ledger().routes[0].succeeded == 2)
        printed = StringIO()
        one = snippet("docs/reliability.md", "The ledger")
        self.patch(sys, "stdout", printed)
        names_in(one)["report"](service)
        numbers = re.compile(r"\d+")
        comments = [
            numbers.sub("0", comment) for comment in re.findall(r"# (.*\d .*= \d+ .*)$", one.text, re.MULTILINE)
        ]
        lines = [numbers.sub("0", line) for line in printed.getvalue().splitlines()]
        self.assertEqual(len(comments), 2)
        self.assertTrue(lines[0].startswith(comments[0].rstrip("…")), lines)
        self.assertEqual(lines[-1], comments[1])
        equations = snippet("docs/reliability.md", "The ledger", "text").text.splitlines()
        requests = numbers.sub("0", str(service.ledger().requests))
        for equation, line in zip(equations, (lines[0].partition(" ")[2], lines[-1], requests), strict=True):
            words = equation.replace(" handed back +", "").split()  # which only a consumer of a stream has
            self.assertEqual(words[words.index("=") - 1 :], line.replace("0 ", "").split())
        self.assertIn("nats:Kamailio-World 2 1 0 0 0", printed.getvalue())


class LoginTests(OneServerTestCase):
    """Credentials from a function."""

    config = 'authorization { user: natsroute, password: "from-the-vault" }'

    async def test_credentials(self) -> None:
        reactor = self.reactor

        class Vault:
            async def read(self, path: str) -> str:
                await deferLater(reactor, 0.01)
                return {"nats": "from-the-vault"}[path]

        names = names_in(snippet("docs/security.md", "Logging in"), vault=Vault())
        self.assertIsInstance(names["service"], NatsrouteService)
        service = NatsrouteService(Settings(nats_url=self.url), credentials=names["from_the_vault"])
        service.startService()
        self.addCleanup(service.stopService)
        await self.until(lambda: service.connected)


class CommandTests(OneServerTestCase):
    """Commands, in processes of their own; they are ended when a message has gone through them."""

    config = "authorization { user: user, password: password }"

    @property
    def url(self) -> str:
        return self.server.url.replace("//", "//user:password@")

    async def relays(self, command: list[str], files: dict[str, str], **variables: str) -> tuple[Program, list[object]]:
        """Run it until it has turned a dialog into presence; gives it, and all that it published to that subject."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, "utf-8")
        arrived: list[object] = []
        event_route = EventRoutes()
        event_route("nats:presence.dialog")(lambda event: arrived.append(event.json()))
        spy = await self.connect_service(event_route, subject_queue_group=["presence.dialog"])
        program = Program(self.reactor, command, folder, environment(**variables))
        self.addCleanup(program.stop)
        while DIALOG not in arrived:
            self.assertIsNone(program.status, program.lines)
            spy.publish("Kamailio-World", DIALOG)
            await deferLater(self.reactor, 0.1)
        await program.stop()
        await spy.stopService()
        return program, arrived

    async def test_first_screen(self) -> None:
        """The program in Python and the kamailio.cfg, each by the command in its first line."""
        cfg = snippet("README.md", "natsroute", "kamailio")
        await self.relays(self.command_of(ROUTES), {"routes.py": ROUTES.source}, NATSROUTE_NATS_URL=self.url)
        await self.relays(self.command_of(cfg), {"kamailio.cfg": self.with_url(cfg.text)})

    def command_of(self, one: Snippet) -> list[str]:
        """The command in the comment of a snippet."""
        [comment] = re.findall(r"^# ?(.*)$", one.text, re.MULTILINE)
        return [*TWISTD, "--pidfile=", *shlex.split(comment)[1:]]

    async def test_kamailio_cfg(self) -> None:
        """The commands for a kamailio.cfg: what --check prints, and what runs."""
        page = "docs/kamailio/README.md", "natsroute for Kamailio users"
        one = snippet(*page, "console")
        self.assertEqual(
            snippet("docs/kamailio/from-kamailio-cfg.md", "From kamailio.cfg to natsroute", "console").text, one.text
        )
        _, check, run = map(shlex.split, one.text.splitlines())
        cfg = self.with_url(snippet(*page, "kamailio").text)
        program, _ = await self.relays([*TWISTD, "--pidfile=", *run[1:]], {"kamailio.cfg": cfg})
        self.assertIn("update for sip:alice@example.com", "\n".join(program.printed))
        folder = Path(self.mktemp())
        folder.mkdir()
        for text, status, line in (
            (cfg, 0, "Kamailio-World  2021         1            nats:Kamailio-World"),
            (cfg.replace("xlog", "xlogg"), 1, "kamailio.cfg:6:5: unknown function xlogg(). Did you mean xlog?"),
        ):
            (folder / "kamailio.cfg").write_text(text, "utf-8")
            ended = subprocess.run(
                [*TWISTD, *check[1:]],
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TEST_TIMEOUT,
                check=False,
            )
            self.assertEqual(ended.returncode, status, ended.stdout)
            self.assertIn(line, ended.stdout)

    def with_url(self, cfg: str) -> str:
        """A kamailio.cfg with the URL of the server."""
        self.assertIn("nats://127.0.0.1:4222", cfg)
        return cfg.replace("nats://127.0.0.1:4222", self.url)

    async def test_kemi(self) -> None:
        words = shlex.split(snippet("docs/kamailio/kemi.md", "KEMI scripts", "console").text.replace("\\\n", ""))
        words = [self.url if word == "nats://127.0.0.1:4222" else word for word in words]
        self.assertIn(self.url, words)
        script = snippet("docs/kamailio/kemi.md", "KEMI scripts")
        example = (ROOT / "examples" / "kemi" / "events.py").read_text("utf-8")
        for source in (script.source, example):
            program, _ = await self.relays([*TWISTD, "--pidfile=", *words[1:]], {"events.py": source})
            self.assertIn("update for sip:alice@example.com", "\n".join(program.printed))
        # The example of the manual publishes nothing.
        more = (
            "function both(name) ksr_nats_event(name) KSR.nats.publish('presence.dialog', KSR.pv.get('$natsData')) end"
        )
        source = f"{snippet('docs/kamailio/kemi.md', 'KEMI scripts', 'lua').text}\n{more}\n"
        words = [{"events.py": "events.lua", "ksr_nats_event": "both"}.get(word, word) for word in words]
        program, _ = await self.relays([*TWISTD, "--pidfile=", *words[1:]], {"events.lua": source})
        self.assertIn("===== nats module received event: nats:Kamailio-World, data:{", "\n".join(program.printed))

    async def test_tac(self) -> None:
        words = shlex.split(snippet("README.md", "Deployment", "console").text.replace("\\\n", ""))
        start = words.index("twistd")
        variables = dict(word.split("=", 1) for word in words[:start])
        self.assertEqual(variables["NATSROUTE_NATS_URL"], "nats://user:password@10.0.0.1")
        variables["NATSROUTE_NATS_URL"] = self.url
        files = {"routes.py": ROUTES.source, "natsroute.tac": (ROOT / "natsroute.tac").read_text("utf-8")}
        await self.relays([*TWISTD, *words[start + 1 :]], files, **variables)

    async def test_tracing(self) -> None:
        """The spans are printed."""
        words = shlex.split(snippet("docs/tracing.md", "Tracing", "console").text)
        program = words.index("twistd")
        variables = dict(word.split("=", 1) for word in words[:program])
        words = [self.url if word == "nats://127.0.0.1:4222" else word for word in words[program + 1 :]]
        self.assertIn(self.url, words)
        ended, _ = await self.relays([*TWISTD, "--pidfile=", *words], {"routes.py": ROUTES.source}, **variables)
        printed = "\n".join(ended.printed)
        for expected in ('"name": "process Kamailio-World"', '"name": "publish presence.dialog"', "natsroute"):
            self.assertIn(expected, printed)

    async def test_application(self) -> None:
        """A .tac of one's own; what it publishes itself arrives too."""
        source = snippet("README.md", "Deployment").source
        changed = source.replace("Settings(", f"Settings(nats_url={self.url!r}, ")
        self.assertNotEqual(source, changed)
        files = {"routes.py": ROUTES.source, "presence.tac": changed}
        command = [*TWISTD, "--nodaemon", "--pidfile=", "--python", "presence.tac"]
        _, arrived = await self.relays(command, files, PYTHONPATH=f"{ROOT}{os.pathsep}.")
        self.assertIn({"state": "up"}, arrived)

    async def test_log_levels(self) -> None:
        """Less than a warning is left out, but for what a route prints."""
        words = shlex.split(snippet("docs/logging.md", "Levels", "console").text)
        source = ROUTES.source.replace("    update =", "    print('PRINTED')\n    update =")
        program, _ = await self.relays(
            [*TWISTD, "--pidfile=", *words[1:]], {"routes.py": source}, NATSROUTE_NATS_URL=self.url
        )
        self.assertIn("[stdout#info] PRINTED", program.printed[0])
        lines = {re.sub(r"^\S+ ", "", line) for line in program.printed}
        warnings = {line for line in lines if "#warn]" in line}  # there may be one if the machine is busy
        self.assertEqual(lines - warnings, {"[stdout#info] PRINTED"})

    async def test_log_of_a_program(self) -> None:
        """A .tac with the observer."""
        source = snippet("docs/logging.md", "In your own program").source
        changed = source.replace("Settings(", f"Settings(nats_url={self.url!r}, event_routes='routes.py', ")
        changed = changed.replace('"warn"', '"info"')
        self.assertEqual(len(changed.splitlines()), len(source.splitlines()))
        command = [*TWISTD, "--nodaemon", "--pidfile=", "--python", "presence.tac"]
        program, _ = await self.relays(command, {"routes.py": ROUTES.source, "presence.tac": changed})
        lines = [json.loads(line) for line in program.printed]
        self.assertIn("consumer Kamailio-World:2021", [line.get("connection") for line in lines])

    async def test_systemd(self) -> None:
        """The command of the unit, with the variables of the page."""
        unit = (ROOT / "deploy" / "systemd" / "natsroute.service").read_text("utf-8")
        shown = snippet("docs/deployment.md", "systemd", "ini").text
        variables = dict(line.split("=", 1) for line in shown.splitlines())
        variables["NATSROUTE_EVENT_ROUTES"] = Path(variables["NATSROUTE_EVENT_ROUTES"]).name
        address = self.server.url.rpartition("/")[2]
        variables["NATSROUTE_NATS_URL"] = variables["NATSROUTE_NATS_URL"].replace("10.0.0.1", address)
        variables["NATSROUTE_HTTP_LISTEN"] = "0"  # a free port
        [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        await self.relays([*TWISTD, *shlex.split(command)[1:]], {"routes.py": ROUTES.source}, **variables)

    def test_chaos_options(self) -> None:
        """Its options are there."""
        words = shlex.split(snippet("docs/reliability.md", "A hundred restarts", "console").text)
        self.assertEqual(words[:3], ["python", "-m", "tests.chaos"])
        ended = subprocess.run(
            [sys.executable, *words[1:4], "--help"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT,
            check=True,
        )
        for word in words[4:]:
            if word.startswith("--"):
                self.assertIn(word, ended.stdout)
