"""Reloading the code of a service that runs, against a real nats-server"""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import weakref
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from natsroute import EventRoutes, NatsrouteService
from natsroute.daemon.code.reload import NOT_RUNNING
from natsroute.errors import ReloadError
from tests.support.documents import snippet
from tests.support.log_recorder import LogRecorder
from tests.support.reload_case import NoTrial
from tests.support.server_case import OneServerTestCase
from tests.support.twistd import TwistdTestCase

ANSWER = """
from natsroute import EventRoutes
event_route = EventRoutes()
@event_route("nats:question")
def answer(event):
    event.respond(b"{}")
"""

HOOKS = """
from pathlib import Path
@event_route.on_start
def begin(service):
    with Path({log!r}).open("a") as log: log.write("start {name}\\n")
@event_route.on_stop
def end(service):
    with Path({log!r}).open("a") as log: log.write("stop {name}\\n")
"""


class ReloadTestCase(OneServerTestCase):
    """A service whose routes file changes."""

    def setUp(self) -> Deferred[None]:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.routes = self.folder / "changing.py"
        self.log = LogRecorder(self)
        return super().setUp()

    async def service(self, routes: EventRoutes | None = None, **settings: Any) -> NatsrouteService:
        """A service that is ready, and that asks itself."""
        given = {
            "event_routes": str(self.routes),
            "subject_queue_group": ["question:q", "answers"],
            "reload_timeout": 120.0,
            **settings,
        }
        service = self.start_service(routes, nats_url=self.url, **given)
        await service.ready()
        return service

    def watch(self) -> tuple[EventRoutes, list[bytes]]:
        """Routes of the program that collect the answers."""
        event_route, answers = EventRoutes(), list[bytes]()
        event_route("nats:answers")(lambda event: answers.append(event.data))
        return event_route, answers

    async def ask(self, service: NatsrouteService, answers: list[bytes]) -> bytes:
        """Ask once."""
        count = len(answers)
        service.publish("question", b"?", "answers")
        await self.until(lambda: len(answers) > count)
        return answers[-1]


class ReloadTests(ReloadTestCase):
    """What a reload changes."""

    async def test_routes_change(self) -> None:
        """The next message runs in the new code; counters go on, and the subscriptions stay."""
        self.routes.write_text(ANSWER.format("old"))
        own, answers = self.watch()
        service = await self.service(own)
        self.assertEqual(await self.ask(service, answers), b"old")
        self.routes.write_text(ANSWER.format("new") + '\nevent_route("nats:further")(print)\n')
        names: dict[str, Any] = {}
        exec(snippet("docs/reload.md", "Reload").source, names)
        shown = StringIO()
        with redirect_stdout(shown):
            await names["reload"](service)
        self.assertEqual(shown.getvalue(), "new event routes: nats:further\nsettings that need a restart:\n")
        reloaded = await service.reload()
        self.assertEqual(await self.ask(service, answers), b"new")
        self.assertEqual((reloaded.added, reloaded.removed), ((), ()))
        self.assertEqual(reloaded.files, (str(self.routes),))
        ledger = service.ledger()
        self.assertEqual({one.route: one.succeeded for one in ledger.routes}, {"nats:question": 2, "nats:answers": 2})
        self.assertEqual((ledger.differences(), service.overview().reloads), ([], 2))
        self.assertEqual([one.status().reconnects for one in service.connections], [0, 0, 0, 0])
        self.assertEqual(self.log.matching("Reload: loaded 1 file")[0].split(";")[1], " new event routes: nats:further")

    async def test_a_module_beside_the_file(self) -> None:
        """It is loaded anew too, even if it was changed within a second and has its old length."""
        (self.folder / "changing_helper.py").write_text("ANSWER = b'old'\n")
        source = ANSWER.replace('b"{}"', "changing_helper.ANSWER")
        self.routes.write_text("import changing_helper\n" + source)
        own, answers = self.watch()
        service = await self.service(own)
        self.assertEqual(await self.ask(service, answers), b"old")
        (self.folder / "changing_helper.py").write_text("ANSWER = b'new'\n")
        (self.folder / "json.py").write_text("1 / 0\n")  # which nobody imports
        reloaded = await service.reload()
        self.assertEqual(await self.ask(service, answers), b"new")
        self.assertEqual(reloaded.files, (str(self.routes), str(self.folder / "changing_helper.py")))

    async def test_nothing_changes_if_it_fails(self) -> None:
        """Errors, sys.exit(), an end of the process, a missing file: all found in the trial."""
        again = '\nevent_route("nats:question")(print)\n'
        await self.nothing_changes(
            ("event_route = = 1", "syntax error in line 1"),
            (ANSWER.format("new") + again, "there are two event routes 'nats:question'"),
            ("print('noise'); import sys; sys.exit('no')", "SystemExit: no"),
            ("import os; os._exit(3)", "it ended the process that it was tried in"),
            (None, "there is no such file"),
        )

    async def test_nothing_changes_if_it_blocks(self) -> None:
        """A block at import ends with reload_timeout, which nothing else in the test has to keep."""
        await self.nothing_changes(("import time; time.sleep(3600)", "loaded within"), reload_timeout=2.0)

    async def nothing_changes(self, *attempts: tuple[str | None, str], **settings: Any) -> None:
        """For each source of the routes file: the reload fails with that problem, and the former code goes on."""
        self.routes.write_text(ANSWER.format("old"))
        own, answers = self.watch()
        service = await self.service(own, **settings)
        program, modules = service.program, dict(sys.modules)
        for source, problem in attempts:
            if source is None:
                self.routes.unlink()
            else:
                self.routes.write_text(source)
            error = await self.assertFailure(service.reload(), ReloadError)
            self.assertIn(problem, str(error))
            self.assertEqual(await self.ask(service, answers), b"old")
            self.assertIs(service.program, program)
            self.assertEqual(sys.modules, modules)
            self.assertIn(problem, self.log.lines("error")[-1])
        self.assertEqual(service.overview().reloads, 0)

    async def test_hooks(self) -> None:
        """Those of the new code start, then its messages run, and those of the old code stop. The program's stay."""
        steps = self.folder / "steps"
        self.routes.write_text(ANSWER.format("old") + HOOKS.format(log=str(steps), name="old"))
        own, answers = self.watch()
        hooks: list[str] = []
        own.on_start(lambda service: hooks.append("start"))
        own.on_stop(lambda service: hooks.append("stop"))
        service = await self.service(own)
        self.routes.write_text(ANSWER.format("new") + HOOKS.format(log=str(steps), name="new"))
        await service.reload()
        await self.until(lambda: "stop old" in steps.read_text())
        self.assertEqual(await self.ask(service, answers), b"new")
        self.assertEqual(hooks, ["start"])
        await service.stopService()
        self.assertEqual(steps.read_text().split("\n"), ["start old", "start new", "stop old", "stop new", ""])
        self.assertEqual(hooks, ["start", "stop"])

    async def test_stop_and_start(self) -> None:
        """A stop ends the calls of both versions and runs the hooks of both; a start runs the new version."""
        steps = self.folder / "steps"
        never = "\nfrom twisted.internet.defer import Deferred\n"
        never += "event_route('nats:never', concurrency=9)(lambda event: Deferred())\n"
        own, answers = self.watch()

        def write(name: str) -> None:
            self.routes.write_text(ANSWER.format(name) + never + HOOKS.format(log=str(steps), name=name))

        write("old")
        entries = ["question:q", "answers", "never"]
        service = await self.service(own, subject_queue_group=entries, drain_timeout=1.0)
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        service.publish("never", b"")
        await self.until(lambda: len(service.in_flight.running) == 1)
        write("new")
        await service.reload()
        service.publish("never", b"")
        # Not how many run: the stop of the old version may have cancelled its call already.
        await self.until(lambda: [one.routed for one in service.ledger().routes if one.route == "nats:never"] == [2])
        await service.stopService()
        self.assertEqual(sorted(steps.read_text().split("\n")[2:-1]), ["stop new", "stop old"])
        [never_ended] = [one for one in service.ledger().routes if one.route == "nats:never"]
        self.assertEqual((never_ended.routed, never_ended.failed, never_ended.in_progress), (2, 2, 0))
        self.assertEqual(service.ledger().differences(), [])
        steps.unlink()
        service.startService()
        await service.ready()
        self.assertEqual(await self.ask(service, answers), b"new")
        await service.reload()
        self.assertEqual(await self.ask(service, answers), b"new")
        await self.until(lambda: steps.read_text() == "start new\nstart new\nstop new\n")

    async def test_not_while_it_starts_or_stops(self) -> None:
        self.routes.write_text(ANSWER.format("old"))
        service = self.start_service(None, nats_url=self.url, event_routes=str(self.routes))
        await service.ready()
        reload, stop = service.reload(), service.stopService()
        for one in (reload, service.reload()):
            error = await self.assertFailure(one, ReloadError)
            self.assertEqual(str(error), NOT_RUNNING)
        await stop

    async def test_memory(self) -> None:
        """Nothing keeps a version that is not used any more."""
        self.routes.write_text(ANSWER.format("old"))
        own, answers = self.watch()
        service = await self.service(own)
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        references = []
        for number in range(20):
            await self.ask(service, answers)
            references.append(weakref.ref(sys.modules["natsroute_routes_changing"]))
            self.routes.write_text(ANSWER.format(f"new {number}"))
            await service.reload()
        await self.ask(service, answers)
        await self.until(lambda: not service._versions._ending)
        gc.collect()
        self.assertEqual([one() for one in references], [None] * 20)
        self.assertEqual((answers[-1], len(answers)), (b"new 19", 21))


class KemiTests(ReloadTestCase):
    """KEMI scripts."""

    async def test_python(self) -> None:
        source = "import KSR\ndef on_event(name):\n    if name == 'nats:question':\n"
        await self.check(".py", source + "        KSR.nats.publish('answers', KSR.pv.get('$natsData') + '{}')\n")

    async def test_lua(self) -> None:
        source = "function on_event(name)\n  if name == 'nats:question' then\n"
        source += "    KSR.nats.publish('answers', KSR.pv.get('$natsData') .. '{}')\n  end\nend\n"
        await self.check(".lua", source)

    async def check(self, suffix: str, source: str) -> None:
        """What it was given is handled by the former version, what comes then by the new one; in order, and once."""
        script = self.folder / f"changing_script{suffix}"
        script.write_text(source.format(" old"))
        own, answers = self.watch()
        before = _script_threads()  # a script of another test may have blocked its thread for good
        service = await self.service(own, event_routes=(), kemi_script=str(script), event_callback="on_event")
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        versions = [" old"]
        for number in range(4):
            for count in range(500):
                service.publish("question", b"%d" % (500 * number + count))
            await self.until(lambda number=number: len(answers) > 500 * number)  # type: ignore[misc]
            versions.append(f" new {number}")
            script.write_text(source.format(versions[-1]))
            await service.reload()
        await self.until(lambda: len(answers) == 2000)
        self.assertEqual([int(answer.split()[0]) for answer in answers], list(range(2000)))
        seen = [" " + answer.decode().partition(" ")[2] for answer in answers]
        self.assertEqual(seen, sorted(seen, key=versions.index))
        self.assertGreater(len(set(seen)), 2)
        await self.until(lambda: not service._versions._ending)
        await self.until(lambda: len(_script_threads() - before) == 3)
        self.assertEqual(len(service.in_flight._queues), 3)
        self.assertEqual(service.ledger().differences(), [])

    async def test_a_script_that_fails(self) -> None:
        """Nothing changes."""
        await self.cannot_load("raise ValueError('no')", "ValueError: no")

    async def test_a_script_that_blocks(self) -> None:
        """Nothing changes, and its threads end or are left alone."""
        await self.cannot_load("import time; time.sleep(5)", "within 1 s", reload_timeout=1.0)

    async def cannot_load(self, line: str, problem: str, **settings: Any) -> None:
        """A reload of a script with this line fails with that problem, and the program stays."""
        script = self.folder / "changing_script.py"
        source = "def on_event(name):\n    pass\n"
        script.write_text(source)
        own, _ = self.watch()
        service = await self.service(
            own, event_routes=(), kemi_script=str(script), event_callback="on_event", **settings
        )
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        program = service.program
        script.write_text(f"{line}\n{source}")
        error = await self.assertFailure(service.reload(), ReloadError)
        self.assertIn(problem, str(error))
        self.assertIs(service.program, program)
        await self.until(lambda: not service._versions._ending)


ROUTES = """
from natsroute import EventRoutes
event_route = EventRoutes()
event_route("nats:{}")(print)
"""
PROGRAM = ("natsroute", "--embedded_server", "--event_routes", "changing.py")


class TwistdTests(TwistdTestCase):
    """``twistd natsroute``."""

    files = {"changing.py": ROUTES.format("a")}

    def test_sighup(self) -> None:
        """It reloads; an error is one line, and the process goes on."""
        program = self.run_program(*PROGRAM)
        self.wait_for("publish worker 2: connected", program)
        (self.folder / "changing.py").write_text(ROUTES.format("b"))
        program.process.send_signal(signal.SIGHUP)
        self.wait_for("new event routes: nats:b; event routes that are gone: nats:a", program)
        (self.folder / "changing.py").write_text("1 / 0")
        program.process.send_signal(signal.SIGHUP)
        self.wait_for("Reload failed, and the former code goes on: event_routes", program)
        self.assertNotIn("Traceback", program.output())

    def test_on_change(self) -> None:
        program = self.run_program(*PROGRAM, "--reload_on_change")
        self.wait_for("publish worker 2: connected", program)
        changed = 0.0

        def reloaded() -> bool:
            nonlocal changed
            if time.monotonic() - changed > 5.0:  # the watch may begin later than the connections are there
                (self.folder / "changing.py").write_text(ROUTES.format("b"))
                changed = time.monotonic()
            return "new event routes: nats:b" in program.output()

        self.until(reloaded, program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()


def _script_threads() -> set[threading.Thread]:
    """The threads of KEMI scripts in this process."""
    return {one for one in threading.enumerate() if one.name.startswith("natsroute script")}
