"""/readyz says the truth: natsroute in a process of its own, a real nats-server, and what can go wrong with both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.trial.unittest import TestCase

from natsroute.daemon.operations.readiness import UNCONFIRMED_AFTER
from tests.chaos import readyz
from tests.chaos.readyz import Bench, Row

#: Seconds after which /readyz must say what is wrong, and be 200 again. The machine may be busy: it takes one to three.
SOON = 60.0


class ReadyzTests(TestCase):
    """Each case of ``python -m tests.chaos readyz``, which prints the seconds."""

    async def see(self, case: Callable[[Bench], Awaitable[Row]], soon: float = SOON) -> Row:
        """Run a case; /readyz says the truth soon, and is 200 soon after the cure."""
        from twisted.internet import reactor

        row = await readyz.run_case(reactor, Path(self.mktemp()).absolute(), case)
        self.assertLess(row.said_after, soon, row)
        self.assertLess(row.ready_after or 0.0, SOON, row)
        return row

    async def test_server_down(self) -> None:
        row = await self.see(readyz.server_down)
        self.assertIn(row.about, ("publish worker 1", "consumer slow:q", "consumer block:q"))

    async def test_server_silent(self) -> None:
        """Nothing tells that it is gone but messages that it does not confirm."""
        await self.see(readyz.server_silent, UNCONFIRMED_AFTER + SOON)

    async def test_login_refused(self) -> None:
        """The text of the server, and no credentials."""
        row = await self.see(readyz.login_refused)
        self.assertNotIn("secret", row.text)

    async def test_subscription_refused(self) -> None:
        """The consumer, and the subject."""
        row = await self.see(readyz.subscription_refused)
        self.assertEqual(row.about, "consumer slow:q")

    async def test_certificate_expired(self) -> None:
        await self.see(readyz.certificate_expired)

    async def test_draining(self) -> None:
        """HTTP answers during the drain, and natsroute is alive."""
        row = await self.see(readyz.draining)
        self.assertIsNone(row.ready_after)

    async def test_blocked_reactor(self) -> None:
        """A thread answers at the same port, and names the route and its line."""
        row = await self.see(readyz.blocked_reactor)
        self.assertEqual(row.about, "nats:block")

    async def test_hung_on_start(self) -> None:
        """HTTP answers before natsroute has started, and names the hook."""
        await self.see(readyz.hung_on_start)
