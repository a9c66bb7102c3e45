"""natsroute.services.discovery"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.services.discovery import Discovery
from natsroute.services.endpoints import EndpointInfo, EndpointStats
from natsroute.services.identity import ServiceIdentity

START = datetime(2026, 11, 26, 20, 0, tzinfo=timezone.utc)
COMMON = {"name": "calc", "id": "a1", "version": "1.0.0", "metadata": {"site": "fra"}}


class DiscoveryTests(SynchronousTestCase):
    """Each question has its answer."""

    def setUp(self) -> None:
        self.infos = [EndpointInfo("add", "calc.add", "q")]
        self.discovery = Discovery(
            ServiceIdentity("calc", "1.0.0", "adds", {"site": "fra"}, "a1", START),
            lambda: self.infos,
            lambda: [EndpointStats(info, 2) for info in self.infos],
        )

    def answer(self, subject: str) -> Any:
        return json.loads(self.discovery.answer(subject))

    def test_subjects(self) -> None:
        """All services, those of its name, and itself; no wildcards, which a server may not permit."""
        self.assertEqual(
            self.discovery.subjects,
            [
                *("$SRV.PING", "$SRV.PING.calc", "$SRV.PING.calc.a1"),
                *("$SRV.INFO", "$SRV.INFO.calc", "$SRV.INFO.calc.a1"),
                *("$SRV.STATS", "$SRV.STATS.calc", "$SRV.STATS.calc.a1"),
            ],
        )

    def test_the_subjects_of_a_verb_are_alike(self) -> None:
        for verb in ("PING", "INFO", "STATS"):
            answers = {self.discovery.answer(f"$SRV.{verb}{suffix}") for suffix in ("", ".calc", ".calc.a1")}
            self.assertEqual(len(answers), 1, verb)

    def test_ping(self) -> None:
        self.assertEqual(self.answer("$SRV.PING"), {"type": "io.nats.micro.v1.ping_response", **COMMON})

    def test_info(self) -> None:
        """It shows the endpoints as they are now."""
        expected = {"type": "io.nats.micro.v1.info_response", **COMMON, "description": "adds"}
        add = {"name": "add", "subject": "calc.add", "queue_group": "q", "metadata": {}}
        self.assertEqual(self.answer("$SRV.INFO"), {**expected, "endpoints": [add]})
        self.infos = []
        self.assertEqual(self.answer("$SRV.INFO"), {**expected, "endpoints": []})

    def test_stats(self) -> None:
        answer = self.answer("$SRV.STATS.calc")
        (endpoint,) = answer.pop("endpoints")
        self.assertEqual(
            answer,
            {"type": "io.nats.micro.v1.stats_response", **COMMON, "started": "2026-11-26T20:00:00.000000Z"},
        )
        self.assertEqual((endpoint["name"], endpoint["num_requests"]), ("add", 2))

    def test_text_that_is_not_ascii(self) -> None:
        """Any text can be in the metadata; half of a surrogate pair, too."""
        discovery = Discovery(ServiceIdentity("a", "1.0.0", "Ü", {"k": "\ud800"}), list, list)
        answer = json.loads(discovery.info())
        self.assertEqual((answer["description"], answer["metadata"]), ("Ü", {"k": "\ud800"}))
