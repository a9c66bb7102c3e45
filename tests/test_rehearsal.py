"""natsroute.daemon.code.rehearsal"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from natsroute import Settings
from natsroute.daemon.code.rehearsal import Outcome, Rehearsal
from natsroute.daemon.memory.publisher import Published
from natsroute.errors import RouteError, SettingError
from tests.support.waiting import until

ROUTES = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from natsroute import EventRoutes

event_route = EventRoutes()
running = []


@event_route.on_start
def opened(service):
    service.publish("started", b"")


@event_route.on_stop
async def closed(service):
    await service.publish("stopped", str(len(service.settings.client_name)))


@event_route("nats:plain.*")
def plain(event):
    event.respond(event.data, headers={"X": event.headers["X"]})


@event_route("nats:waits", concurrency=3)
async def waits(event):
    await deferLater(reactor, 0.01)
    await event.publish("waited", event.data)


@event_route("nats:thread", thread=True)
def in_thread(event):
    event.publish("from.thread", event.data)


@event_route("nats:fails", retries=1)
def fails(event):
    raise ValueError(f"attempt {event.attempts}")


@event_route("nats:bad")
def bad(event):
    return event.publish("a b", b"")


@event_route("nats:exits")
def exits(event):
    raise SystemExit


@event_route("nats:hangs", concurrency=3)
def hangs(event):
    return deferLater(reactor, 1000)


@event_route("nats:late")
def late(event):
    deferLater(reactor, 0.01).addCallback(lambda _: event.publish("too.late", b""))
"""


class RehearsalTests(TestCase):
    """A routes file, and messages; on the real reactor, as calls wait on it."""

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.outcomes: list[Outcome] = []

    def rehearsal(self, source: str = ROUTES, name: str = "routes.py", **settings: Any) -> Rehearsal:
        path = Path(self.mktemp())
        path.mkdir()
        (path / name).write_text(source, "utf-8")
        if name == "routes.py":
            settings["event_routes"] = path / name
        elif name.endswith(".cfg"):
            return Rehearsal(
                self.reactor, Settings.from_environment({}, kamailio_cfg=path / name, **settings), self.outcomes.append
            )
        else:
            settings |= {"kemi_script": path / name, "event_callback": "on_event"}
        return Rehearsal(self.reactor, Settings(**settings), self.outcomes.append)

    async def play(self, rehearsal: Rehearsal, *messages: tuple[Any, ...]) -> dict[int, Outcome]:
        """Play messages, and give their outcomes by number."""
        await rehearsal.start()
        for number, message in enumerate(messages, 1):
            waiting = rehearsal.play(number, *message)
            if waiting is not None:
                await waiting
        await rehearsal.stop()
        return {outcome.number: outcome for outcome in self.outcomes}

    async def test_outcomes(self) -> None:
        """What each route did; a failure says why."""
        rehearsal = self.rehearsal()
        found = await self.play(
            rehearsal,
            ("plain.1", b"\x00", "inbox", b"NATS/1.0\r\nX: y\r\n\r\n"),
            ("waits", b"1"),
            ("thread", b"2"),
            ("fails", b""),
            ("bad", b""),
            ("exits", b""),
            ("nobody", b""),
            ("late", b""),
        )
        self.assertEqual(sorted(found), [1, 2, 3, 4, 5, 6, 7, 8])
        self.assertEqual(
            [(found[number].route, found[number].word) for number in sorted(found)],
            [
                ("nats:plain.*", "succeeded"),
                ("nats:waits", "succeeded"),
                ("nats:thread", "succeeded"),
                ("nats:fails", "failed"),
                ("nats:bad", "failed"),
                ("nats:exits", "succeeded"),
                ("", "unrouted"),
                ("nats:late", "succeeded"),
            ],
        )
        self.assertEqual(found[1].published, (Published("inbox", b"\x00", None, {"X": "y"}),))
        self.assertEqual(found[2].published, (Published("waited", b"1"),))
        self.assertEqual(found[3].published, (Published("from.thread", b"2"),))
        self.assertEqual(found[4].error, "ValueError: attempt 2")
        self.assertIn("SubjectError: ", found[5].error)
        self.assertGreaterEqual(found[2].seconds, 0.005)
        self.assertEqual(found[8].published, ())
        await until(lambda: rehearsal.others == 3, self.reactor)  # two of hooks, and the late one
        self.flushLoggedErrors(ValueError)

    async def test_calls_that_do_not_end(self) -> None:
        """They are waited for, and then cancelled."""
        found = await self.play(self.rehearsal(drain_timeout=0.05), ("hangs", b""), ("hangs", b""))
        self.assertEqual({one.error for one in found.values()}, {"it had not ended 0.05 s after the last message"})
        self.assertEqual(len(found), 2)

    async def test_entries(self) -> None:
        """Each message goes to each subscription that it matches, with its queue group."""
        source = ROUTES + (
            '\n\n@event_route("nats:group.>")\ndef group(event):\n    event.publish("group", event.queue_group)\n'
        )
        rehearsal = self.rehearsal(source, subject_queue_group=["group.>:one", "group.a:two", "plain.x"])
        await self.play(rehearsal, ("group.a", b""), ("group.b", b""), ("plain.1", b""))
        self.assertEqual(
            [(outcome.number, [one.data for one in outcome.published]) for outcome in self.outcomes],
            [(1, [b"one"]), (1, [b"two"]), (2, [b"one"]), (3, [])],
        )
        self.assertEqual(self.outcomes[-1].word, "unrouted")

    async def test_kamailio_cfg(self) -> None:
        cfg = (
            'event_route[nats:a.*]\n{\n    if ($natsData == "stop") { exit; }\n'
            '    nats_publish("b", "$natsData!", "r");\n}\n'
        )
        found = await self.play(self.rehearsal(cfg, "kamailio.cfg"), ("a.1", b"x"), ("a.2", b"stop"))
        self.assertEqual([found[number].published for number in (1, 2)], [(Published("b", b"x!", "r"),), ()])

    async def test_kemi_script(self) -> None:
        """One message after the other: what the script publishes belongs to the message that it has."""
        script = (
            "import KSR as KSR\n\n\ndef on_event(name):\n"
            "    data = KSR.pv.get('$natsData')\n    if data == 'fail':\n        raise ValueError('no')\n"
            "    KSR.nats.publish('out', name + data)\n"
        )
        messages = [("a.1", b"x"), ("a.1", b"fail"), ("a.1", b"y")]
        found = await self.play(self.rehearsal(script, "events.py", subject_queue_group="a.>:q"), *messages)
        self.assertEqual([found[number].word for number in (1, 2, 3)], ["succeeded", "failed", "succeeded"])
        self.assertEqual(found[1].published, (Published("out", b"nats:a.>x"),))
        self.assertEqual(found[3].published, (Published("out", b"nats:a.>y"),))
        self.flushLoggedErrors(ValueError)

    async def test_start_that_fails(self) -> None:
        """A hook's error ends it."""
        rehearsal = self.rehearsal(ROUTES.replace('service.publish("started", b"")', "1 / 0"))
        await self.assertFailure(Deferred.fromCoroutine(rehearsal.start()), ZeroDivisionError)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_nothing_to_load(self) -> None:
        self.assertRaises(SettingError, Rehearsal, self.reactor, Settings(event_routes="no.such.module"), print)
        self.assertRaises((SettingError, RouteError), self.rehearsal, "event_route = 1\n")
