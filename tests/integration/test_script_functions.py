"""Scripts that call functions in Python, wait, and lock, on a real nats-server"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.errors import ScriptError
from tests.support import ROOT
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase

FUNCTIONS = """
import threading
from twisted.internet.task import deferLater
from natsroute.kamailio import script_function

@script_function
async def later(event, text):
    from twisted.internet import reactor
    await deferLater(reactor, 0.05, lambda: None)
    event.set_pv("$var(text)", f"{text} later")

@script_function(thread=True)
def in_thread(event, number):
    event.publish("out", f"in a thread: {threading.current_thread() is not threading.main_thread()}")
    event.set_pv("$var(number)", number + 1)
    return event.pv("$var(number)")

@script_function
def fails(event):
    raise ValueError("it fails")
"""

SCRIPT = """
event_route[nats:functions] {
    later("$natsData");
    in_thread(41);
    nats_publish("out", "$rc $var(number) $var(text)");
}
event_route[nats:fails] {
    nats_publish("out", "before");
    fails();
    nats_publish("out", "never");
}
"""

#: Both entries add to a number, and wait in between; without the lock, one would overwrite what the other has written.
LOCKING = """
modparam("htable", "htable", "t=>size=4;initval=0;")
route[ADD] {
    sht_lock("t=>number");
    $var(was) = $sht(t=>number);
    usleep(1000);
    $sht(t=>number) = $var(was) + 1;
    sht_unlock("t=>number");
    nats_publish("out", "$sht(t=>number)");
}
event_route[nats:one] { route(ADD); }
event_route[nats:two] { route(ADD); }
"""


class ScriptFunctionTests(OneServerTestCase):
    """A service with a ``kamailio.cfg``, and functions for it in a file of ``event_routes``."""

    async def run_script(self, script: str, functions: str = "", **settings: Any) -> NatsrouteService:
        """A service with these."""
        folder = Path(self.mktemp()).resolve()
        folder.mkdir(parents=True)
        (folder / "kamailio.cfg").write_text(script, "utf-8")
        if functions:
            (folder / "functions_for_scripts.py").write_text(functions, "utf-8")
            settings["event_routes"] = [str(folder / "functions_for_scripts.py")]
        return await self.connect_service(kamailio_cfg=str(folder / "kamailio.cfg"), **settings)

    async def listen(self, *subjects: str) -> tuple[NatsrouteService, list[Event]]:
        """A service that publishes for the test and collects what comes on these subjects."""
        event_route, seen = EventRoutes(), list[Event]()
        for subject in subjects:
            event_route(f"nats:{subject}")(seen.append)
        return await self.connect_service(event_route, subject_queue_group=subjects), seen

    async def test_kinds(self) -> None:
        """A coroutine, and a thread; both hand values to the script."""
        service, seen = await self.listen("out")
        await self.run_script(SCRIPT, FUNCTIONS, subject_queue_group=["functions:q"])
        await service.publish("functions", "text")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual([event.data for event in seen], [b"in a thread: True", b"42 42 text later"])

    async def test_fails(self) -> None:
        """The event has failed, and the log has the traceback of the function."""
        recorder = LogRecorder(self)
        service, seen = await self.listen("out")
        script = await self.run_script(SCRIPT, FUNCTIONS, subject_queue_group=["fails:q"])
        await service.publish("fails", "x")
        await self.until(lambda: sum(one.failed for one in script.ledger().routes) == 1)
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertIn("in fails", failure.getTraceback())
        self.assertEqual(len(recorder.matching("Event route nats:fails failed on a message to 'fails'")), 1)
        await self.until(lambda: [event.data for event in seen] == [b"before"])

    async def test_at_the_start(self) -> None:
        """A wrong number of arguments is found when the script is loaded."""
        with self.assertRaises(ScriptError) as caught:
            await self.run_script("event_route[nats:a] {\n  later();\n}", FUNCTIONS, subject_queue_group=["a:q"])
        self.assertIn("kamailio.cfg:2:3: later() has 0 arguments. It takes 1", str(caught.exception))

    async def test_lock(self) -> None:
        """Two consumers count together; each keeps the other out while it waits."""
        service, seen = await self.listen("out")
        await self.run_script(LOCKING, subject_queue_group=["one:q", "two:q"])
        for _ in range(50):
            service.publish("one", b"")
            service.publish("two", b"")
        await self.until(lambda: len(seen) == 100)
        self.assertEqual(sorted(int(event.data) for event in seen), list(range(1, 101)))

    async def test_example(self) -> None:
        """``examples/blocklist.cfg`` with ``examples/blocklist.py``."""
        service, seen = await self.listen("registrations.blocked", "registrations.refused")
        example = ROOT / "examples" / "blocklist"
        await self.connect_service(
            kamailio_cfg=str(example.with_suffix(".cfg")), event_routes=[str(example.with_suffix(".py"))]
        )
        for result in ("wrong", "wrong", "wrong", "ok"):
            await service.publish("registrations", {"user": "eve", "result": result})
        await self.until(lambda: len(seen) == 2)
        self.assertEqual(  # in any order: two subjects may have different publish workers
            {event.subject: json.loads(event.data) for event in seen},
            {
                "registrations.blocked": {"user": "eve"},
                "registrations.refused": {"user": "eve", "seconds": 600},
            },
        )
