"""natsroute.daemon.code.reload"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from natsroute import NatsrouteService, Settings
from natsroute.daemon.code.reload import NOT_RUNNING, Reloaded
from natsroute.errors import ReloadError
from tests.support.reload_case import HEAD, NoTrial, ReloadCase

ROUTE = "event_route('nats:a.{0}')(lambda event: steps.append('{0}'))\n"


class SlowTrial:
    """A trial that ends when the test says so."""

    def __init__(self, *arguments: object) -> None:
        self.ended: Deferred[None] = Deferred()
        self.exited: Deferred[None] = Deferred()


class ReloaderTests(ReloadCase):
    """One reload, and several."""

    def slow_trials(self, service: NatsrouteService) -> list[SlowTrial]:
        trials: list[SlowTrial] = []

        def new(*arguments: object) -> SlowTrial:
            trials.append(SlowTrial())
            return trials[-1]

        service._reloader._new_trial = new  # type: ignore[assignment]
        return trials

    def failure(self, reload: Deferred[Reloaded]) -> str:
        return str(self.failureResultOf(reload, ReloadError).value)

    def test_what_was_loaded(self) -> None:
        self.write(ROUTE.format("b"))
        service = self.service()
        self.write(ROUTE.format("c"))
        trials = self.slow_trials(service)
        reload = service.reload()
        self.reactor.advance(2.0)
        trials[0].ended.callback(None)
        reloaded = self.successResultOf(reload)
        self.assertEqual(reloaded, Reloaded((str(self.routes),), ("nats:a.c",), ("nats:a.b",), (), 2.0))
        self.assertEqual(
            str(reloaded), "loaded 1 file in 2.0 s; new event routes: nats:a.c; event routes that are gone: nats:a.b"
        )
        self.assertEqual(self.log.lines("info"), [f"Reload: {reloaded}"])
        self.assertEqual(reloaded.as_json()["added"], ("nats:a.c",))
        for subject in ("a.b", "a.c"):
            self.send(service, subject)
        self.assertEqual(self.steps, ["c"])

    def test_settings(self) -> None:
        """Those that name code take effect. Others are named, each time."""
        other = self.folder / "reload_other.py"
        self.write(ROUTE.format("b"))
        other.write_text(self.routes.read_text().replace("a.b", "a.c"), encoding="utf-8")
        environment = {"NATSROUTE_EVENT_ROUTES": str(self.routes), "NATSROUTE_SUBJECT_QUEUE_GROUP": "a.>"}
        settings = Settings.from_environment(environment)
        service = self.service()
        service._reloader.settings = settings
        environment.update(NATSROUTE_EVENT_ROUTES=str(other), NATSROUTE_DRAIN_TIMEOUT="5", NATSROUTE_USER="hunter2")
        for _ in range(2):
            reloaded = self.reload(service)
            self.assertEqual(reloaded.needs_restart, ("drain_timeout", "user"))
        self.assertEqual((service.settings.event_routes, service.settings.drain_timeout), ((str(other),), 30.0))
        self.assertIn("settings that have changed and need a restart: drain_timeout, user", self.log.lines()[-1])
        self.assertNotIn("hunter2", " ".join(self.log.lines()))

    def test_a_source_that_cannot_be_read(self) -> None:
        self.write(ROUTE.format("b"))
        service = self.service()
        service._reloader.settings = Settings.from_environment(environment := {}, event_routes=str(self.routes))
        environment["NATSROUTE_DRAIN_TIMEOUT"] = "soon"
        self.assertIn("drain_timeout = 'soon'", self.failure(service.reload()))

    def test_kamailio_cfg(self) -> None:
        """Its scripts and modparams; hash tables keep their entries."""
        cfg = self.folder / "kamailio.cfg"
        text = 'modparam("htable", "htable", "t=>size=4")\nevent_route[nats:a.b] {{ {} }}\n'
        cfg.write_text(text.format('$sht(t=>x) = "kept";'), encoding="utf-8")
        settings = Settings.from_environment({}, kamailio_cfg=str(cfg), subject_queue_group="a.>")
        service = NatsrouteService(settings, reactor=self.reactor)
        service._reloader.allow()
        service._reloader._new_trial = NoTrial  # type: ignore[assignment]
        self.send(service, "a.b")
        cfg.write_text(text.format("$shv(y) = $sht(t=>x);") + "modparam(", encoding="utf-8")
        self.assertIn("kamailio.cfg:3", self.failure(service.reload()))
        cfg.write_text(text.format("$shv(y) = $sht(t=>x);"), encoding="utf-8")
        self.assertEqual(self.reload(service).files, (str(cfg),))
        self.send(service, "a.b")
        self.assertEqual(service.program.variables.shared, {b"y": b"kept"})

    def test_a_module(self) -> None:
        """It is named, not a file, and in a package; the module that it imports has changed too."""
        sys.path.insert(0, str(self.folder))
        package = self.folder / "reload_package"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "names.py").write_text("NAME = 'nats:a.b'\n", encoding="utf-8")
        source = f"from reload_package.names import NAME\n{HEAD}event_route(NAME)(lambda event: None)\n"
        (package / "routes.py").write_text(source, encoding="utf-8")
        service = self.service(event_routes="reload_package.routes")
        (package / "names.py").write_text("NAME = 'nats:a.c'\n", encoding="utf-8")
        reloaded = self.reload(service)
        self.assertEqual((reloaded.added, reloaded.removed), (("nats:a.c",), ("nats:a.b",)))
        names = ("__init__.py", "names.py", "routes.py")
        self.assertEqual(reloaded.files, tuple(str(package / name) for name in names))

    def test_an_event_callback(self) -> None:
        """Its module is loaded anew; a name that is gone is an error."""
        sys.path.insert(0, str(self.folder))
        source = "from reload_steps import steps\ndef {}(event):\n    steps.append('{}')\n"
        module = self.folder / "reload_callback.py"
        module.write_text(source.format("callback", "old"), encoding="utf-8")
        service = self.service(event_routes=(), event_callback="reload_callback:callback")
        self.send(service, "a.b")
        module.write_text(source.format("callback", "new"), encoding="utf-8")
        self.assertEqual(self.reload(service).files, (str(module),))
        self.send(service, "a.b")
        module.write_text(source.format("another", "newest"), encoding="utf-8")
        self.assertIn("there is no 'callback' in reload_callback", self.failure(service.reload()))
        self.send(service, "a.b")
        self.assertEqual(self.steps, ["old", "new", "new"])

    def test_failures(self) -> None:
        """Nothing has changed; the error is logged."""
        self.write(ROUTE.format("b"))
        service = self.service()
        program = service.program
        for source, problem in (
            (2 * ROUTE.format("c"), "there are two event routes 'nats:a.c'"),
            ("import reload_absent", "No module named 'reload_absent'"),
            ("@event_route.on_start\ndef fails(service): 1 / 0", "an on_start hook failed: ZeroDivisionError: "),
        ):
            self.write(source)
            self.assertIn(problem, self.failure(service.reload()))
            self.assertIn("and the former code goes on", self.log.lines("error")[-1])
            self.assertIs(service.program, program)
            self.send(service, "a.b")
        self.assertEqual((self.steps, service.overview().reloads), (["b"] * 3, 0))
        self.flushLoggedErrors(ZeroDivisionError)

    def test_on_start_does_not_end(self) -> None:
        """It is cancelled."""
        self.write(ROUTE.format("b"))
        service = self.service(reload_timeout=5.0)
        self.write("@event_route.on_start\ndef waits(service): return Deferred(lambda _: steps.append('cancelled'))")
        reload = service.reload()
        self.reactor.advance(4.9)
        self.assertNoResult(reload)
        self.reactor.advance(0.2)
        self.assertIn("the on_start hooks did not end within 5 s", self.failure(reload))
        self.assertEqual(self.steps, ["cancelled"])

    def test_several_at_once(self) -> None:
        """One runs, one follows for all others; it begins only then."""
        self.write(ROUTE.format("b"))
        service = self.service()
        trials = self.slow_trials(service)
        first, *others = [service.reload() for _ in range(4)]
        self.assertEqual(len(trials), 1)
        trials[0].ended.callback(None)
        self.successResultOf(first)
        self.assertEqual(len(trials), 2)
        for other in others:
            self.assertNoResult(other)
        trials[1].ended.errback(ReloadError("wrong"))
        self.assertEqual([self.failure(other) for other in others], ["wrong"] * 3)
        self.assertEqual((len(trials), service.overview().reloads), (2, 1))

    def test_cancelled(self) -> None:
        """Only the wait ends."""
        self.write(ROUTE.format("b"))
        service = self.service()
        trials = self.slow_trials(service)
        reload = service.reload()
        reload.cancel()
        self.failureResultOf(reload, CancelledError)
        trials[0].ended.callback(None)
        self.assertEqual(service.overview().reloads, 1)

    def test_start_and_stop(self) -> None:
        """Before the one has ended, and when the other begins."""
        self.write(ROUTE.format("b"))
        service = NatsrouteService(Settings(event_routes=str(self.routes)), reactor=self.reactor)
        self.assertEqual(self.failure(service.reload()), NOT_RUNNING)
        service = self.service()
        trials = self.slow_trials(service)
        reloads = [service.reload(), service.reload()]
        exited = service._reloader.refuse()
        self.assertEqual([self.failure(one) for one in [*reloads, service.reload()]], [NOT_RUNNING] * 3)
        self.assertNoResult(exited)
        trials[0].exited.callback(None)
        self.successResultOf(exited)

    def test_a_signal(self) -> None:
        """The log says what came of it."""
        self.write(ROUTE.format("b"))
        service = self.service()
        service._reloader.on_signal()
        self.write("1 / 0")
        service._reloader.on_signal()
        service._reloader.refuse()
        service._reloader.on_signal()
        loaded, failed, refused = self.log.lines()
        self.assertIn("Reload: loaded 1 file in 0.0 s", loaded)
        self.assertIn("Reload failed, and the former code goes on: event_routes = ", failed)
        self.assertEqual(refused, f"No reload: {NOT_RUNNING}")

    def test_around(self) -> None:
        """Who is to know of each reload is told, whether it succeeds or not."""
        self.write(ROUTE.format("b"))
        service = self.service()
        results: list[bool] = []

        def around(reload: Callable[[], Deferred[Reloaded]]) -> Deferred[Reloaded]:
            def ended(result: Any) -> Any:
                results.append(isinstance(result, Reloaded))
                return result

            return reload().addBoth(ended)

        service._reloader.around = around
        self.reload(service)
        self.write("1 / 0")
        self.failure(service.reload())
        self.assertEqual(results, [True, False])

    def test_new_warnings(self) -> None:
        """A warning that the former code had is not logged again."""
        self.write(ROUTE.format("b"))
        service = self.service(subject_queue_group=["a.b", "c"])
        self.reload(service)
        self.assertEqual(self.log.lines("warn"), [])
        self.write("")
        self.reload(service)
        self.assertEqual(self.log.lines("warn"), ["Consumer a.b has no event route: add one named 'nats:a.b'"])
