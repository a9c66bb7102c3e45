"""natsroute.daemon.code.versions"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from natsroute import EventRoutes
from natsroute.routes.key_value_event import KeyValueEvent
from natsroute.wire.frames import Address
from tests.support.reload_case import ReloadCase

BUSY = """
@event_route("nats:a.b", **{options})
def busy(event):
    steps.append("{name} " + event.text())
    ended = Deferred()
    steps.append(ended)
    return ended
"""

HOOKS = """
@event_route.on_start
def begin(service):
    steps.append("start {name}")
@event_route.on_stop
def end(service):
    steps.append("stop {name}")
    return {ending}
"""


class VersionsTestCase(ReloadCase):
    """Versions whose calls end when the test says so."""

    def version(self, name: str, *, ending: str = "None", **options: object) -> None:
        self.write(BUSY.format(name=name, options=options) + HOOKS.format(name=name, ending=ending))

    def told(self) -> list[str]:
        return [step for step in self.steps if isinstance(step, str)]

    def calls(self) -> list[Deferred[None]]:
        return [step for step in self.steps if isinstance(step, Deferred) and not step.called]


class GoOverTests(VersionsTestCase):
    """When the connections go over."""

    def test_between_two_messages(self) -> None:
        """The subscription waits for the call; the next message runs in the new version."""
        self.version("old")
        service = self.service()
        busy = self.send(service, "a.b", b"1")
        assert busy is not None
        self.version("new")
        self.reload(service)
        self.assertNoResult(busy)
        self.calls()[0].callback(None)
        self.successResultOf(busy)
        self.send(service, "a.b", b"2")
        self.assertEqual(self.told()[:4], ["start old", "old 1", "start new", "new 2"])

    def test_no_concurrency_any_more(self) -> None:
        """The consumer is held until the calls have ended; then the reload is over."""
        self.version("old", concurrency=5)
        service = self.service()
        self.send(service, "a.b", b"1")
        self.version("new")
        reload = service.reload()
        self.assertNoResult(reload)
        subscription = service.consumers[0].source
        self.assertEqual(subscription._holds, 1)
        self.calls()[0].callback(None)
        self.reactor.pump([0.01] * 10)
        self.successResultOf(reload)
        self.assertEqual(subscription._holds, 0)
        self.send(service, "a.b", b"2")
        self.assertEqual(self.told()[-1], "new 2")

    def test_such_a_call_does_not_end(self) -> None:
        """It is cancelled after ``drain_timeout``."""
        self.version("old", concurrency=5)
        service = self.service(drain_timeout=3.0)
        self.send(service, "a.b", b"1")
        self.version("new")
        reload = service.reload()
        self.reactor.pump([0.25] * 11)
        self.assertNoResult(reload)
        self.reactor.pump([0.25] * 4)
        self.successResultOf(reload)
        self.assertEqual(service.ledger().routes[0].failed, 1)
        self.assertIn("1; subjects: a.b", self.log.lines("error")[0])

    def test_an_error_of_natsroute(self) -> None:
        """It is logged, and the reload ends: the next one may follow."""
        self.version("old")
        service = self.service()

        def fails(*arguments: object) -> None:
            raise LookupError("a bug")

        self.patch(service.consumers[0].runner, "go_over", fails)
        self.reload(service)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_warnings_are_logged_again(self) -> None:
        self.version("old")
        service = self.service()
        for _ in range(2):
            self.send(service, "a.unknown")
        self.reload(service)
        self.send(service, "a.unknown")
        self.assertEqual(len(self.log.matching("No event route matches")), 2)

    def test_the_publisher_has_no_space(self) -> None:
        """Scripts of a new version publish nothing while those of the former one may not."""
        script = self.folder / "script.py"
        script.write_text("def on_event(name): pass\n", encoding="utf-8")
        service = self.service(event_routes=(), kemi_script=str(script), event_callback="on_event")
        service._hold()
        prepared = service._versions.prepare(service._reloader._new_program(service.settings, service.program))
        threads = prepared.program.scripts._threads
        self.assertEqual([thread._outbox._holds for thread in threads], [1] * 2)
        service._release()
        self.assertEqual([thread._outbox._holds for thread in threads], [0] * 2)


class KeyValueTests(ReloadCase):
    """Routes for the changes of buckets."""

    def test_what_needs_a_restart(self) -> None:
        """A route for the keys that are read already takes effect; others are named in the log."""
        route = '@event_route("kv:{}")\ndef changed{}(event):\n    steps.append("{} " + event.key)\n'
        self.write(route.format("b:a", 1, "old"))
        service = self.service()
        consumer = service.consumers[1]
        consumer.runner.on_msg(KeyValueEvent(Address("$KV.b.a", 1), b""))
        self.write(route.format("b:a", 1, "new") + route.format("b:x", 2, "") + route.format("c:a", 3, ""))
        self.reload(service)
        consumer.runner.on_msg(KeyValueEvent(Address("$KV.b.a", 1), b""))
        self.assertEqual(self.steps, ["old a", "new a"])
        (line,) = self.log.matching("need a restart")
        self.assertIn("kv:b:x, kv:c:a", line)


class RetireTests(VersionsTestCase):
    """The end of a former version."""

    def test_when_its_calls_have_ended(self) -> None:
        """Then its ``on_stop`` hooks run."""
        self.version("old", concurrency=2)
        service = self.service()
        self.send(service, "a.b", b"1")
        self.version("new", concurrency=2)
        self.reload(service)
        self.send(service, "a.b", b"2")
        self.reactor.pump([0.25] * 20)
        self.assertEqual(self.told(), ["start old", "old 1", "start new", "new 2"])
        self.calls()[0].callback(None)
        self.reactor.pump([0.25] * 2)
        self.assertEqual(self.told()[4:], ["stop old"])
        self.assertEqual(service._versions._ending, [])

    def test_its_calls_do_not_end(self) -> None:
        """They are cancelled after ``drain_timeout``; those of the new version go on."""
        self.version("old", concurrency=2)
        service = self.service(drain_timeout=3.0)
        self.send(service, "a.b", b"1")
        self.version("new", concurrency=2)
        self.reload(service)
        self.send(service, "a.b", b"2")
        self.reactor.pump([0.25] * 11)
        self.assertEqual(len(self.calls()), 2)
        self.reactor.pump([0.25] * 4)
        self.assertEqual(len(self.calls()), 1)
        self.assertEqual(self.told()[-1], "stop old")
        [counters] = service.ledger().routes
        self.assertEqual((counters.failed, counters.in_progress), (1, 1))
        [line] = self.log.lines("error")
        self.assertIn("did not end within 3 s of the reload, and are cancelled: 1; subjects: a.b", line)

    def test_a_call_ignores_that(self) -> None:
        """The version ends a few seconds later all the same."""
        self.write(
            """
            @event_route("nats:a.b", concurrency=2)
            async def stubborn(event):
                while True:
                    try:
                        await Deferred()
                    except BaseException:
                        steps.append("cancelled")
            """
            + HOOKS.format(name="old", ending="None").replace("\n", "\n            ")
        )
        service = self.service(drain_timeout=3.0)
        self.send(service, "a.b")
        self.version("new", concurrency=2)
        self.reload(service)
        self.reactor.pump([0.25] * 14)
        self.assertEqual(self.told()[-1], "cancelled")
        self.reactor.pump([0.25] * 22)
        self.assertEqual(self.told()[-1], "stop old")

    def test_messages_of_a_route_that_is_gone(self) -> None:
        """Those that wait behind a key run in the former version, each with its own time."""
        self.write(
            BUSY.format(name="old", options={}).replace("**{}", "key=lambda event: 1")
            + HOOKS.format(name="old", ending="None")
        )
        service = self.service(drain_timeout=3.0)
        for data in (b"1", b"2"):
            self.send(service, "a.b", data)
        self.write(HOOKS.format(name="new", ending="None"))
        self.assertEqual(self.reload(service).removed, ("nats:a.b",))
        self.reactor.pump([0.25] * 8)
        self.calls()[0].callback(None)
        self.reactor.pump([0.25] * 8)
        self.assertEqual((self.told()[-1], len(self.calls())), ("old 2", 1))
        self.calls()[0].callback(None)
        self.reactor.pump([0.25] * 2)
        self.assertEqual(self.told()[-1], "stop old")
        self.assertEqual(service.ledger().routes[0].succeeded, 2)

    def test_a_hook_does_not_end(self) -> None:
        """It is cancelled after ``hook_timeout``."""
        self.version("old", ending="Deferred()")
        service = self.service(hook_timeout=2.0)
        self.version("new")
        self.reload(service)
        self.assertEqual(len(service._versions._ending), 1)
        self.reactor.advance(2.0)
        self.assertEqual(service._versions._ending, [])
        self.assertEqual(len(self.log.matching("was cancelled: it took too long")), 1)

    def test_a_stop_of_the_service(self) -> None:
        """It ends all versions, without waiting for calls: it has waited for them, or cancelled them."""
        self.version("old", concurrency=2)
        service = self.service()
        self.send(service, "a.b")
        self.version("new", concurrency=2)
        self.reload(service)
        stopped = service._versions.stop_hooks(service)
        self.reactor.pump([0.25] * 2)
        self.successResultOf(stopped)
        self.assertEqual(sorted(self.told()[3:]), ["stop new", "stop old"])

    def test_hooks_of_the_program(self) -> None:
        """They do not run: the program has not changed."""
        own = EventRoutes()
        for decorate, name in ((own.on_start, "start"), (own.on_stop, "stop")):
            decorate(lambda service, name=name: self.steps.append(name))
        self.version("old")
        service = self.service(own)
        self.version("new")
        self.reload(service)
        self.reactor.pump([0.25] * 2)
        self.assertEqual(self.told(), ["start", "start old", "start new", "stop old"])
        self.successResultOf(service._versions.stop_hooks(service))
        self.assertEqual(self.told()[4:], ["stop new", "stop"])
