"""Routes that use asyncio: under ``twistd --reactor asyncio``, and under another reactor."""

from __future__ import annotations

import re
import signal
import sys

from tests.support import ROOT
from tests.support.twistd import TwistdTestCase

ROUTES = """
import asyncio, sys
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from natsroute import EventRoutes
event_route = EventRoutes()

consumers = []

async def later(value):
    await asyncio.sleep(0.01)
    return value

@event_route("nats:all", timeout=60.0, retries=1, dead_letter="dead")
async def everything(event):
    if event.attempts == 1:
        await asyncio.sleep(0.01)
        sys.exit("again")
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()
    third = deferLater(event.clock, 0.01, lambda: 3).asFuture(loop)
    got = await asyncio.gather(later(1), later(2), third)
    loop.call_later(0.01, queue.put_nowait, 4)
    got.append(await queue.get())
    await deferLater(event.clock, 0.01)
    await event.publish("elsewhere", b"5")
    try:
        await asyncio.wait_for(asyncio.sleep(100), 0.01)
    except asyncio.TimeoutError:
        got.append(6)
    if sys.version_info >= (3, 11):
        try:
            async with asyncio.timeout(0.01):
                await Deferred()
        except TimeoutError:
            got.append(7)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(later(8))
        got.append(task.result())
    print("GOT", got, flush=True)
    await event.publish("task", b"")

@event_route("nats:task")
def task(event):
    async def ends():
        print("TASK", await later("awaited"), flush=True)
    return asyncio.get_running_loop().create_task(ends())

@event_route("nats:hang", timeout=0.1)
async def hang(event):
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        print("CANCELLED", flush=True)
        raise

@event_route("nats:connected")
async def begin(event):
    consumers.append(event.queue_group)
    if consumers.count("group") == 3:
        await event.publish("hang", b"")
        await event.publish("all", b"")

event_route.on_start(lambda service: later("hook"))
"""


class AsyncioTests(TwistdTestCase):
    """The whole process."""

    files = {"routes.py": ROUTES}

    def test_the_example(self) -> None:
        """examples/asyncio_calls.py"""
        program = self.run_program(
            *("--reactor", "asyncio", "natsroute", "--embedded_server", "--subject_queue_group", "calls.*"),
            *("--num_publish_workers", "1", "--event_routes", str(ROOT / "examples" / "asyncio_calls.py")),
        )
        self.wait_for("call 1 is terminated: 0 of 1 calls", program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        self.assertNotIn("Traceback", program.output())

    def test_all_kinds(self) -> None:
        """What asyncio has and Deferreds, mixed, with cancelling both ways; a returned Task; retries."""
        arguments = ["natsroute", "--embedded_server", "--num_publish_workers", "1", "--event_routes", "routes.py"]
        for subject in ("all", "task", "hang"):
            arguments += ["--subject_queue_group", f"{subject}:group"]
        program = self.run_program("--reactor", "asyncio", *arguments)
        self.wait_for("TASK awaited", program)
        self.wait_for("CANCELLED", program)
        expected = [1, 2, 3, 4, 6, 7, 8] if sys.version_info >= (3, 11) else [1, 2, 3, 4, 6]
        self.assertIn(f"GOT {expected}", program.output())
        self.wait_for("the route took longer than its timeout of 0.1 s", program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
        output = program.output()
        self.assertNotIn("Traceback", output)
        self.assertRegex(output, re.escape("Consumer all:group: 1 received = 1 succeeded + 0 failed"))

    def test_another_reactor(self) -> None:
        """The error says what to do."""
        (self.folder / "other.py").write_text(
            "import asyncio\nfrom natsroute import EventRoutes\nevent_route = EventRoutes()\n"
            "@event_route('nats:connected')\nasync def f(event):\n    await asyncio.sleep(1)\n",
            encoding="utf-8",
        )
        program = self.run_program("natsroute", "--embedded_server", "--event_routes", "other.py")
        self.wait_for("asyncio needs its own reactor: twistd --reactor asyncio natsroute", program)
        program.process.send_signal(signal.SIGTERM)
        program.wait()
