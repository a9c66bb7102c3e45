"""What a user's project may write, as mypy sees it in strict mode; natsroute is installed there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import ROOT
from tests.support.waiting import TEST_TIMEOUT

#: A program that a user may write: settings in each accepted type, and a service that publishes.
ACCEPTED = """
import os
from pathlib import Path

from twisted.application.service import Application
from twisted.internet.defer import Deferred

from natsroute import Event, EventRoutes, NatsrouteService, Settings

event_route = EventRoutes()

@event_route("nats:a")
async def relay(event: Event) -> None:
    await event.publish("b", event.data)

one = Settings(nats_url="nats://a", subject_queue_group="a:q", event_routes="routes.py")
several = Settings(
    nats_url=["nats://a", "nats://b"],
    subject_queue_group=["a:q"],
    event_routes=["routes.py", Path("more.py")],
    connect_timeout=5,
    drain_timeout=0.5,
    num_publish_workers=4,
    keep_url_order=True,
    pending_policy="drop_oldest",
    publish_policy="fail",
)
tuples = Settings(nats_url=("nats://a",), subject_queue_group=(name for name in ("a", "b")), event_routes=Path("r.py"))
files = Settings(
    nkey_file=Path("nkey"), tls=True, tls_ca_file="ca.pem", tls_cert_file=Path("cert.pem"), tls_key_file=Path("key.pem")
)
credentials = Settings(creds_file=Path("user.creds"))
loaded = Settings.from_environment(os.environ, nats_context="prod", drain_timeout=10)

urls: tuple[str, ...] = several.nats_url
path: str = files.tls_ca_file
seconds: float = loaded.drain_timeout

service = NatsrouteService(one, event_route)
service.setServiceParent(Application("program"))
published: Deferred[None] = service.publish("a", {"state": "up"}, reply="b", headers={"A": "1"}, msg_id="1")
service.nats_publish("a", b"1", "b").addErrback(lambda failure: None)
flushed: Deferred[None] = service.flush()
stopped: Deferred[None] = service.stopService()
received: list[int] = [consumer.account().received for consumer in service.consumers]
connected: bool = service.connected
print(service.ledger().publisher.confirmed, service.connections[0].status().rtt, service.in_flight.idle)
"""

#: Lines that a user may not write, with the error.
REFUSED = {
    "Settings(nats_url=4222)": '"nats_url" to "Settings" has incompatible type "int"; expected "str | Iterable[str]"',
    "Settings(subject_queue_group=[1])": 'List item 0 has incompatible type "int"; expected "str | QueueEntry"',
    "Settings(event_routes=1)": 'expected "str | Path | Iterable[str | Path]"',
    "Settings(user=None)": '"user" to "Settings" has incompatible type "None"; expected "str"',
    "Settings(tls_ca_file=1)": '"tls_ca_file" to "Settings" has incompatible type "int"; expected "str | Path"',
    "Settings(drain_timeout='30 s')": '"drain_timeout" to "Settings" has incompatible type "str"; expected "float"',
    "Settings(num_publish_workers=1.5)": 'has incompatible type "float"; expected "int"',
    "Settings(pending_policy='drop')": """expected "Literal['pause', 'drop_oldest', 'drop_newest']\"""",
    "Settings(nats_ulr='nats://a')": 'Unexpected keyword argument "nats_ulr" for "Settings"',
    "Settings('nats://a')": 'Too many positional arguments for "Settings"',
    "Settings().user = 'u'": 'Property "user" defined in "Settings" is read-only',
    "NatsrouteService()": 'Missing positional argument "settings"',
    "service.publish('a')": 'Missing positional argument "payload"',
    "service.publish(b'a', 'b')": 'has incompatible type "bytes"; expected "str"',
    "service.publish('a', 'b', headers=['c'])": 'has incompatible type "list[str]"',
    "service.published": '"NatsrouteService" has no attribute "published"',
}


class TypingTests(SynchronousTestCase):
    """Settings(...) and NatsrouteService in a program."""

    def test_strict(self) -> None:
        """The first program has no error, the second has one in each line."""
        refused = [
            "from natsroute import NatsrouteService, Settings",
            "service = NatsrouteService(Settings())",
            *REFUSED,
        ]
        with tempfile.TemporaryDirectory() as name:
            Path(name, "accepted.py").write_text(ACCEPTED, encoding="utf-8")
            Path(name, "refused.py").write_text("\n".join(refused), encoding="utf-8")
            # As README says: Twisted is typed only in part.
            options = ["--config-file=", "--cache-dir=cache", "--strict", "--allow-untyped-calls", "--no-error-summary"]
            ended = subprocess.run(
                [sys.executable, "-m", "mypy", *options, "accepted.py", "refused.py"],
                cwd=name,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TEST_TIMEOUT,
                check=False,
            )
        lines = [line for line in ended.stdout.splitlines() if ": note: " not in line]
        self.assertEqual([line for line in lines if not line.startswith("refused.py")], [], ended.stderr)
        # mypy may say more than one thing of a line.
        lines = list({line.split(":")[1]: line for line in reversed(lines)}.values())[::-1]
        self.assertEqual([int(line.split(":")[1]) for line in lines], [*range(3, len(refused) + 1)], ended.stdout)
        for line, (source, error) in zip(lines, REFUSED.items(), strict=True):
            self.assertIn(error, line, f"{source}: {line}")
