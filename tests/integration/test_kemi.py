"""KEMI scripts on a real nats-server"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

from twisted.internet.task import deferLater

from natsroute import Event, EventRoutes, NatsrouteService
from natsroute.errors import ScriptError
from natsroute.kamailio.kemi.ksr import locking
from tests.support.log_recorder import LogRecorder
from tests.support.server_case import OneServerTestCase

RELAY = """\
import KSR

def on_event(evname):
    if evname.startswith("nats:in"):
        KSR.nats.publish("out", KSR.pv.gete("$natsData"))
    else:
        KSR.nats.publish("events", evname)
"""


class KemiCase(OneServerTestCase):
    """A test with scripts."""

    def script(self, source: str, suffix: str = ".py") -> str:
        """Write a script to a file; returns its path."""
        path = Path(self.mktemp()).with_suffix(suffix).resolve()
        path.write_text(dedent(source), encoding="utf-8")
        return str(path)

    async def run_script(self, source: str, suffix: str = ".py", **settings: Any) -> NatsrouteService:
        """A service with a script, and with ``in:q`` as its entry unless the settings name others."""
        return await self.connect_service(
            **{
                "kemi_script": self.script(source, suffix),
                "event_callback": "on_event",
                "subject_queue_group": ["in:q"],
                **settings,
            }
        )

    async def listen(self, *subjects: str) -> tuple[NatsrouteService, list[tuple[str, bytes]]]:
        """A service that publishes for the test and writes down what comes on these subjects."""
        event_route, seen = EventRoutes(), list[tuple[str, bytes]]()
        for subject in subjects:

            @event_route(f"nats:{subject}")
            def listen(event: Event) -> None:
                seen.append((event.subject, event.data))

        return await self.connect_service(event_route, subject_queue_group=subjects), seen

    async def relay_all(
        self, client: NatsrouteService, seen: list[tuple[str, bytes]], service: NatsrouteService
    ) -> None:
        """Each of 20,000 messages arrives once and in order, and the ledger adds up meanwhile."""
        count = 20_000
        for number in range(count):
            client.publish("in", b"%d" % number)
            if number % 1000 == 0:
                await client.flush()
                self.assertEqual(service.ledger().differences(), [])
        await self.until(lambda: len(seen) == count)
        self.assertEqual([data for _, data in seen], [b"%d" % number for number in range(count)])
        [account] = service.ledger().consumers
        self.assertEqual((account.received, account.succeeded), (count, count))
        await self.until(lambda: service.ledger().publisher.in_progress == 0)
        self.assertEqual(service.ledger().publisher.failed, 0)


class RelayTests(KemiCase):
    """A script that publishes each message again."""

    async def test_order(self) -> None:
        """Each message once and in order, and the ledger adds up, also while the publisher's buffer is full."""
        client, seen = await self.listen("out")
        service = await self.run_script(RELAY, publish_max_messages=200, pending_max_messages=1000)
        await self.relay_all(client, seen, service)

    async def test_two_consumers(self) -> None:
        """Each has an instance of its own, and the variables of a consumer are its own; `$shv` is everybody's."""
        client, seen = await self.listen("out")
        source = """\
            import KSR
            count = 0
            def on_event(evname):
                global count
                if evname in ("nats:a", "nats:b"):
                    count += 1
                    KSR.pv.seti("$shv(all)", KSR.pv.get("$shv(all)") + 1)
                    KSR.nats.publish("out", f"{evname} {count}")
            """
        await self.run_script(source, subject_queue_group=["a:q", "b:q"])
        for _ in range(3):
            for subject in ("a", "b"):
                await client.publish(subject, b"")
        await self.until(lambda: len(seen) == 6)
        expected = [f"nats:{name} {number}".encode() for name in "ab" for number in (1, 2, 3)]
        self.assertEqual(sorted(data for _, data in seen), expected)

    async def test_connection_events(self) -> None:
        """The publish workers share an instance. Each connection has its event."""
        client, seen = await self.listen("events")
        await self.run_script(RELAY, num_publish_workers=3)
        await self.until(lambda: len(seen) == 4)
        self.assertEqual({data for _, data in seen}, {b"nats:connected"})
        del client

    async def test_wildcard(self) -> None:
        """The event has the configured subject."""
        client, seen = await self.listen("events")
        await self.run_script(RELAY, subject_queue_group=["w.>:q"])
        await client.publish("w.a.b", b"")
        await self.until(lambda: ("events", b"nats:w.>") in seen)


class LuaTests(KemiCase):
    """The same in Lua."""

    async def test_order(self) -> None:
        """Each message once and in order, in batches, also while the publisher's buffer is full."""
        client, seen = await self.listen("out")
        service = await self.run_script(
            """\
            function on_event(evname)
                if evname == "nats:in" then
                    KSR.nats.publish("out", KSR.pv.gete("$natsData"))
                end
            end
            """,
            ".lua",
            publish_max_messages=200,
            pending_max_messages=1000,
        )
        await self.relay_all(client, seen, service)

    async def test_failures(self) -> None:
        """Each counts, and errors in different lines are different ones in the log."""
        client, seen = await self.listen("out")
        service = await self.run_script(
            """\
            function on_event(evname)
                local data = KSR.pv.get("$natsData")
                if data == "a" then error("first") end
                if data == "b" then nosuch() end
                if data == "exit" then KSR.x.exit() end
                if evname == "nats:in" then KSR.nats.publish("out", data) end
            end
            """,
            ".lua",
        )
        log = LogRecorder(self)
        for data in (b"1", b"a", b"exit", b"b", b"a", b"\xff\0", b"2"):
            client.publish("in", data)
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([data for _, data in seen], [b"1", b"\xff\0", b"2"])
        [account] = service.ledger().consumers
        self.assertEqual((account.succeeded, account.failed), (4, 3))
        lines = log.matching("Event route nats:in failed on a message to 'in'")
        self.assertEqual(len(lines), 2)
        self.assertIn(".lua:3:1: first. ", lines[0])
        self.assertIn(".lua:4:1: attempt to call global 'nosuch' (a nil value). ", lines[1])

    async def test_blocked(self) -> None:
        """An endless loop keeps neither the reactor nor other consumers; what was published before it leaves."""
        client, seen = await self.listen("out")
        log = LogRecorder(self)
        end = Path(self.mktemp()).resolve()
        self.addCleanup(end.touch)
        service = await self.run_script(
            f"""\
            local function ends()
                local file = io.open("{end}")
                if file then file:close() end
                return file
            end
            function on_event(evname)
                KSR.nats.publish("out", evname .. tostring(KSR.pv.get("$natsData")))
                while KSR.pv.get("$natsData") == "block" and not ends() do end
            end
            """,
            ".lua",
            subject_queue_group=["blocked:q", "in:q"],
            slow_route_warning=0.3,
            drain_timeout=0.2,
            num_publish_workers=1,
        )
        for number in range(200):
            client.publish("blocked", b"%d" % number)
        client.publish("blocked", b"block")
        client.publish("blocked", b"never")
        await client.publish("in", b"")
        await self.until(lambda: {("out", b"nats:in"), ("out", b"nats:blockedblock")} <= set(seen))
        await self.until(lambda: log.matching("is still busy after"))
        await service.stopService()
        self.assertEqual(len(log.matching("is still blocked with ")), 1)
        self.assertEqual(service.ledger().differences(), [])


LOCK_CFG = """\
modparam("htable", "htable", "t=>size=4;initval=0")
event_route[nats:in.native] {
    sht_lock("t=>n");
    $var(n) = $sht(t=>n);
    usleep("500");
    $var(n) = $var(n) + 1;
    $sht(t=>n) = $var(n);
    sht_unlock("t=>n");
    nats_publish("out", "$var(n)");
}
"""

LOCK_PYTHON = """\
import KSR
import time

def on_event(evname):
    if not evname.startswith("nats:in"):
        return
    assert KSR.htable.sht_lock("t", "n") == 1
    n = KSR.pv.geti("$sht(t=>n)")
    time.sleep(0.0005)
    KSR.htable.sht_seti("t", "n", n + 1)
    KSR.htable.sht_unlock("t", "n")
    KSR.nats.publish("out", str(n + 1))
"""

LOCK_LUA = """\
function on_event(evname)
    if evname:sub(1, 7) ~= "nats:in" then return end
    if KSR.htable.sht_lock("t", "n") ~= 1 then error("no lock") end
    local n = KSR.pv.geti("$sht(t=>n)")
    KSR.cfgutils.usleep(500)
    KSR.htable.sht_seti("t", "n", n + 1)
    KSR.htable.sht_unlock("t", "n")
    KSR.nats.publish("out", tostring(n + 1))
end
"""

BLOCKS_WITH_LOCK = """\
import KSR
import os
import time

def on_event(evname):
    if not evname.startswith("nats:in"):
        return
    got = KSR.htable.sht_lock("t", "n")
    KSR.nats.publish("out", evname + " " + str(got))
    while evname == "nats:in.a" and not os.path.exists({end!r}):
        time.sleep(0.01)
"""


class LockTests(KemiCase):
    """Scripts in threads, and native ones in the reactor's, keep each other out."""

    async def count(self, source: str, suffix: str) -> None:
        """Each of three consumers reads, waits and writes: without locks, counts are lost."""
        client, seen = await self.listen("out")
        subjects = ("in.a", "in.b", "in.native")
        await self.run_script(
            source,
            suffix,
            kamailio_cfg=self.script(LOCK_CFG, ".cfg"),
            subject_queue_group=[f"{subject}:q" for subject in subjects],
        )
        for number in range(50):
            for subject in subjects:
                await client.publish(subject, str(number))
        await self.until(lambda: len(seen) >= 150)
        self.assertEqual(sorted(int(data) for _, data in seen), list(range(1, 151)))

    async def test_python(self) -> None:
        await self.count(LOCK_PYTHON, ".py")

    async def test_lua(self) -> None:
        await self.count(LOCK_LUA, ".lua")

    async def test_a_script_that_blocks(self) -> None:
        """Others that wait for what it has locked get -1 after a while, and go on."""
        self.patch(locking, "LOCK_TIMEOUT", 0.5)
        end = Path(self.mktemp()).resolve()
        self.addCleanup(end.touch)
        client, seen = await self.listen("out")
        service = await self.run_script(
            BLOCKS_WITH_LOCK.format(end=str(end)),
            kamailio_cfg=self.script(LOCK_CFG, ".cfg"),
            subject_queue_group=["in.a:q", "in.b:q"],
        )
        await client.publish("in.a", "")
        await self.until(lambda: len(seen) == 1)
        await client.publish("in.b", "")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual([data for _, data in seen], [b"nats:in.a 1", b"nats:in.b -1"])
        end.touch()
        await self.until(lambda: service.ledger().consumers[0].succeeded == 1)
        await client.publish("in.b", "")
        await self.until(lambda: len(seen) == 3)
        self.assertEqual(seen[2][1], b"nats:in.b 1")


class RequestTests(KemiCase):
    """Scripts that ask a route in Python."""

    PYTHON = """\
        import KSR

        def on_event(evname):
            if evname == "nats:in":
                KSR.nats.publish("out", "before")
                answer = KSR.nats.request("double", KSR.pv.get("$natsData"), 60000)
                KSR.nats.publish("out", str(answer))
                KSR.nats.publish("out", str(KSR.nats.request("nobody", "")))
        """
    LUA = """\
        function on_event(evname)
            if evname == "nats:in" then
                KSR.nats.publish("out", "before")
                local answer = KSR.nats.request("double", KSR.pv.get("$natsData"), 60000)
                KSR.nats.publish("out", tostring(answer))
                KSR.nats.publish("out", tostring(KSR.nats.request("nobody", "")))
            end
        end
        """

    async def check_answers(self, source: str, suffix: str, null: bytes) -> None:
        """A script gets its answers in order; one that nobody gives is null, and in the log once."""
        event_route = EventRoutes()
        event_route("nats:double", responds=True)(lambda event: int(event.text()) * 2)
        await self.connect_service(event_route, subject_queue_group="double:q")
        client, seen = await self.listen("out")
        log = LogRecorder(self)
        await self.run_script(source, suffix, num_publish_workers=1)
        for number in range(20):
            client.publish("in", b"%d" % number)
        await self.until(lambda: len(seen) == 60)
        expected = [data for number in range(20) for data in (b"before", b"%d" % (2 * number), null)]
        self.assertEqual([data for _, data in seen], expected)
        self.assertEqual(len(log.matching("nobody is subscribed to the subject")), 1)

    async def test_python(self) -> None:
        await self.check_answers(self.PYTHON, ".py", b"None")

    async def test_lua(self) -> None:
        await self.check_answers(self.LUA, ".lua", b"nil")

    async def test_stop(self) -> None:
        """A script that waits for an answer does not hold the stop."""
        asked: list[Event] = []
        event_route = EventRoutes()
        event_route("nats:double")(asked.append)
        client = await self.connect_service(event_route, subject_queue_group="double:q")
        log = LogRecorder(self)
        service = await self.run_script(self.LUA, ".lua", drain_timeout=0.1)
        client.publish("in", b"1")
        await self.until(lambda: asked)
        before = self.reactor.seconds()
        await service.stopService()
        # As it would be after 5 s. On a machine that is too busy to see it, nothing is shown.
        if self.reactor.seconds() - before < 5.0:
            self.assertEqual(log.matching("is still blocked with"), [])


class BadScriptTests(KemiCase):
    """Scripts that fail, block or end."""

    async def test_failures(self) -> None:
        """Each counts, and the next message goes on. sys.exit() is no failure."""
        client, seen = await self.listen("out")
        service = await self.run_script(
            """\
            import sys
            import signal
            import KSR
            def on_event(evname):
                if evname != "nats:in":
                    return
                data = KSR.pv.get("$natsData")
                if data == "raise":
                    1 / 0
                elif data == "exit":
                    sys.exit(3)
                elif data == "signal":
                    signal.signal(signal.SIGTERM, print)
                KSR.nats.publish("out", data)
            """
        )
        log = LogRecorder(self)
        for data in (b"1", b"raise", b"exit", b"\xff", b"a\0b", b"signal", b"2"):
            await client.publish("in", data)
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([data for _, data in seen], [b"1", b"a\0b", b"2"])
        [account] = service.ledger().consumers
        self.assertEqual((account.succeeded, account.failed), (4, 3))
        self.assertEqual(service.ledger().differences(), [])
        lines = log.matching("Event route nats:in failed on a message to 'in'")
        self.assertEqual(len(lines), 3)
        errors = self.flushLoggedErrors(ZeroDivisionError, UnicodeDecodeError, ValueError)
        self.assertEqual(len(errors), 3)
        self.assertIn("line 9, in on_event", errors[0].getTraceback())

    async def test_blocked(self) -> None:
        """A script that never returns is named. Other consumers go on, and the stop takes a bounded time."""
        client, seen = await self.listen("out")
        log = LogRecorder(self)
        service = await self.run_script(
            """\
            import threading
            import KSR
            def on_event(evname):
                if evname == "nats:blocked":
                    KSR.nats.publish("out", "before")
                    threading.Event().wait()
                elif evname == "nats:in":
                    KSR.nats.publish("out", "other")
            """,
            subject_queue_group=["blocked:q", "in:q"],
            slow_route_warning=0.3,
            drain_timeout=0.2,
        )
        await client.publish("blocked", b"")
        await self.until(lambda: seen)  # the script has begun with it, and not with both at once
        await client.publish("blocked", b"")
        await client.publish("in", b"")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual(sorted(data for _, data in seen), [b"before", b"other"])
        busy = re.compile("is still busy after .* with nats:blocked on a message to 'blocked'")
        await self.until(lambda: any(map(busy.search, log.lines())))
        stopped = service.stopService()
        await self.until(lambda: stopped.called)
        self.assertEqual(len(log.matching("is still blocked with nats:blocked")), 1)
        self.assertIn("not fully handled: 2", log.matching("not fully handled")[0])
        [blocked, other] = service.ledger().consumers
        self.assertEqual((blocked.failed, blocked.in_progress, other.succeeded), (1, 1, 1))
        self.assertEqual(service.ledger().differences(), [])

    async def test_drain(self) -> None:
        """A stop waits until the script has handled what was received."""
        client, seen = await self.listen("out")
        service = await self.run_script(
            """\
            import time
            import KSR
            def on_event(evname):
                if evname == "nats:in":
                    time.sleep(0.002)
                    KSR.nats.publish("out", KSR.pv.get("$natsData"))
            """,
            drain_timeout=120,
        )
        for number in range(100):
            client.publish("in", b"%d" % number)
        await client.flush()
        await self.until(lambda: service.ledger().consumers[0].received == 100)
        await service.stopService()
        self.assertEqual(service.ledger().consumers[0].succeeded, 100)
        await self.until(lambda: len(seen) == 100)
        self.assertEqual(service.ledger().publisher.confirmed, service.ledger().publisher.published)

    async def test_restart(self) -> None:
        """A service that is started again loads its script again."""
        client, seen = await self.listen("out")
        service = await self.run_script(
            """\
            import KSR
            count = 0
            def on_event(evname):
                global count
                if evname == "nats:in":
                    count += 1
                    KSR.nats.publish("out", str(count))
            """
        )
        await client.publish("in", b"")
        await client.publish("in", b"")
        await self.until(lambda: len(seen) == 2)
        await service.stopService()
        service.startService()
        await service.ready()
        await client.publish("in", b"")
        await self.until(lambda: len(seen) == 3)
        self.assertEqual([data for _, data in seen], [b"1", b"2", b"1"])

    async def test_script_that_cannot_be_loaded(self) -> None:
        """The start fails, with the reason in the log; nothing is received."""
        log = LogRecorder(self)
        service = self.start_service(
            nats_url=self.url,
            kemi_script=self.script("import KSR\nKSR.nosuch()\n"),
            event_callback="on_event",
            subject_queue_group=["in:q"],
        )
        await self.assertFailure(service.ready(), ScriptError)
        self.assertEqual(len(log.matching("The KEMI script cannot be used: ")), 1)
        self.assertIn(".py:2:1: AttributeError", log.matching("The KEMI script cannot be used: ")[0])
        await deferLater(self.reactor, 0)
        self.assertEqual(service.ledger().consumers[0].received, 0)
