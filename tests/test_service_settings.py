"""natsroute.daemon.settings.service_settings"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.errors import SettingError


class ServiceSettingsTests(SynchronousTestCase):
    """A name and a version, or nothing at all."""

    def refuse(self, setting: str, problem: str, **settings: Any) -> None:
        error = self.assertRaises(SettingError, Settings, **settings)
        self.assertEqual(error.setting, setting)
        self.assertIn(problem, str(error))

    def test_without_a_service(self) -> None:
        settings = Settings()
        self.assertEqual((settings.service_name, settings.service_metadata_by_key), ("", {}))

    def test_a_service(self) -> None:
        settings = Settings(
            service_name="calc",
            service_version="1.0.0-rc.1",
            service_description="Adds, and more.",
            service_metadata=["site=fra", "url=https://a/?b=c"],
        )
        self.assertEqual(settings.service_metadata_by_key, {"site": "fra", "url": "https://a/?b=c"})

    def test_names(self) -> None:
        for name in ("calc.add", "calc add", "käse", "*", "calc\n"):
            self.refuse("service_name", "letters, digits", service_name=name, service_version="1.0.0")

    def test_versions(self) -> None:
        self.refuse("service_name", "there is no service_version", service_name="calc")
        for version in ("1", "1.0", "v1.0.0", "latest"):
            self.refuse("service_version", "semantic version", service_name="calc", service_version=version)

    def test_without_a_name(self) -> None:
        for setting, value in (
            ("service_version", "1.0.0"),
            ("service_description", "Adds"),
            ("service_metadata", "site=fra"),
        ):
            self.refuse(setting, "there is no service_name", **{setting: value})

    def test_metadata(self) -> None:
        """A variable has all entries in one text; a program may give a mapping."""
        for given in ("site=fra, rack=1,2", {"site": "fra", "rack": "1,2"}, ["site=fra", "rack=1,2"]):
            settings = Settings(service_name="calc", service_version="1.0.0", service_metadata=given)
            self.assertEqual(settings.service_metadata_by_key, {"site": "fra", "rack": "1,2"})
        for malformed in ("site", "=fra", ["a=1", "a=2"], ""):
            problem = "a key is empty, is there twice, or has no value"
            self.refuse(
                "service_metadata", problem, service_name="c", service_version="1.0.0", service_metadata=malformed
            )
        for other in (5, [5], {"a": 5}, None):
            self.refuse("service_metadata", "not text", service_metadata=other)
