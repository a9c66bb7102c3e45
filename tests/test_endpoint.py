"""natsroute.routes.endpoint"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import RouteError
from natsroute.routes.endpoint import Endpoint, endpoint_name
from natsroute.wire.subjects import is_service_name


class EndpointTests(SynchronousTestCase):
    """What a route may say of its endpoint."""

    def test_names(self) -> None:
        self.assertEqual(Endpoint("add-2_x").name, "add-2_x")
        bad: list[Any] = ["calc.add", "a b", "å", "*", b"a", None]
        for name in bad:
            error = self.assertRaises(RouteError, Endpoint, name)
            self.assertIn("letters, digits", str(error))

    def test_metadata(self) -> None:
        self.assertEqual(Endpoint(metadata={"schema": "s"}).metadata, {"schema": "s"})
        bad: list[Any] = [{"a": 1}, {1: "a"}, "a=b", None]
        for metadata in bad:
            error = self.assertRaises(RouteError, Endpoint, "a", metadata)
            self.assertIn("a dict of texts", str(error))

    def test_the_name_of_a_subject(self) -> None:
        for subject, name in (
            ("add", "add"),
            ("calc.add", "calc-add"),
            ("calc.*.add", "calc-add"),
            ("calc.>", "calc"),
            (">", "default"),
            ("*.*", "default"),
            ("å.b", "b"),
        ):
            self.assertEqual(endpoint_name(subject), name)
            self.assertTrue(is_service_name(name))
