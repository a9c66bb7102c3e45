"""docs/kamailio/from-kamailio-cfg.md: each construct publishes the same as a script and in Python."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase

from natsroute import EventRoutes, Settings
from natsroute.testing import Published, RouteTester
from tests.support.documents import snippet
from tests.support.log_recorder import LogRecorder

PAGE = "docs/kamailio/from-kamailio-cfg.md"

ALICE = {"Event-Package": "dialog", "From": "sip:alice@example.com", "State": "early"}
BOB = {"Event-Package": "presence", "From": "sip:bob@example.com", "State": "terminated"}


class PairTests(TestCase):
    """Sections with a script, and the same in Python."""

    def script(self, heading: str) -> RouteTester:
        """The script of a section."""
        path = Path(self.mktemp())
        path.write_text(snippet(PAGE, heading, "kamailio").text, "utf-8")
        return RouteTester(EventRoutes(), Settings.from_environment({}, kamailio_cfg=str(path)))

    def python(self, heading: str) -> RouteTester:
        """The Python of a section."""
        one = snippet(PAGE, heading)
        names: dict[str, EventRoutes] = {}
        exec(compile(one.source, str(one), "exec"), names)
        return RouteTester(names["event_route"])

    async def check(self, heading: str, subject: str, *payloads: object, expected: list[tuple[str, object]]) -> None:
        """Both publish what is expected. JSON is compared as what it means."""
        published: list[list[Published]] = []
        for tester in (self.script(heading), self.python(heading)):
            for payload in payloads:
                await maybeDeferred(tester.deliver, subject, payload, reply="inbox.1")
            published.append(tester.published)
        of_script, of_python = ([(one.subject, _value(one.data), one.reply) for one in each] for each in published)
        self.assertEqual(of_script, of_python)
        self.assertEqual([(subject, value) for subject, value, _ in of_script], expected)

    def test_parameters(self) -> None:
        """The modparams and the Settings are the same."""
        path = Path(self.mktemp())
        path.write_text(snippet(PAGE, "Parameters", "kamailio").text, "utf-8")
        from_cfg = Settings.from_environment({}, kamailio_cfg=str(path))
        one = snippet(PAGE, "Parameters")
        names: dict[str, Settings] = {}
        exec(compile(one.source, str(one), "exec"), names)
        for name in ("nats_url", "num_publish_workers", "subject_queue_group"):
            self.assertEqual(getattr(from_cfg, name), getattr(names["settings"], name), name)

    async def test_event_routes(self) -> None:
        log = LogRecorder(self)
        await self.check("Event routes", "Kamailio-World", ALICE, BOB, expected=[("presence.dialog", ALICE)])
        line = "received update for sip:alice@example.com"
        self.assertEqual(log.lines("info"), [f"<script>: {line}", line])

    async def test_field_that_is_missing(self) -> None:
        """An error in Python, and none in the script."""
        await self.script("Event routes").deliver("Kamailio-World", {})
        with self.assertRaises(KeyError):
            await self.python("Event routes").deliver("Kamailio-World", {})

    async def test_publishing(self) -> None:
        await self.check(
            "Publishing", "calls", ALICE, BOB,
            expected=[("callers", "alice calls"), ("audit", ALICE), ("callers", "bob calls"), ("audit", BOB)],
        )  # fmt: skip

    async def test_variables_that_last(self) -> None:
        alice, bob = ALICE["From"], BOB["From"]
        counts = [f"{alice}: 1", f"{bob}: 1", f"{alice}: 2"]
        expected: list[tuple[str, object]] = [("counts", count) for count in counts]
        await self.check("Variables that last", "calls", ALICE, BOB, ALICE, expected=expected)

    async def test_decisions(self) -> None:
        states = [{**ALICE, "State": state} for state in ("trying", "early", "confirmed", "terminated")]
        user = ALICE["From"]
        expected: list[tuple[str, object]] = [("presence.busy", user), ("presence.busy", user), ("presence.free", user)]
        await self.check("Decisions", "states", *states, expected=expected)

    async def test_building_json(self) -> None:
        await self.check("Building JSON", "cdr", {"call": {"duration": 61}}, expected=[("bills", {"seconds": 61})])

    async def test_requests_and_replies(self) -> None:
        await self.check("Requests and replies", "who", b"", expected=[("inbox.1", "natsroute")])

    async def test_connections(self) -> None:
        log = LogRecorder(self)
        for tester in (self.script("Connections"), self.python("Connections")):
            tester.connected()
            tester.disconnected()
            self.assertEqual([(one.subject, one.data) for one in tester.published], [("nodes", b"connected")])
        self.assertEqual(len(log.matching("no connection")), 2)

    async def test_kemi_callback(self) -> None:
        log = LogRecorder(self)
        await self.python("The KEMI callback").deliver("any.subject", b"")
        self.assertEqual(log.lines("info"), ["received event nats:any.subject"])


def _value(payload: bytes) -> object:
    """What JSON says; other payloads as text."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()
