"""natsroute.daemon.settings.htable_entry"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute import Settings
from natsroute.daemon.settings.htable_entry import HtableEntry
from natsroute.errors import SettingError
from tests.support.cfg_files import CfgTestCase


class HtableEntryTests(SynchronousTestCase):
    """``kamailio_htable``."""

    def test_parse(self) -> None:
        entry = HtableEntry.parse(" calls = kamailio-calls ")
        self.assertEqual((entry, str(entry)), (HtableEntry("calls", "kamailio-calls"), "calls=kamailio-calls"))

    def test_malformed(self) -> None:
        for text in ("calls", "=calls", "calls=", "calls=a.b", "calls=a b"):
            error = self.assertRaises(SettingError, HtableEntry.parse, text)
            self.assertEqual((error.setting, error.value), ("kamailio_htable", text))


class HtablesTests(CfgTestCase):
    """They must be those of the ``kamailio_cfg``."""

    def settings(self, cfg: str, entries: Any) -> Settings:
        """Settings with this file."""
        return Settings.from_environment({}, kamailio_cfg=str(self.write(cfg)), kamailio_htable=entries)

    def test_tables(self) -> None:
        cfg = 'modparam("htable", "htable", "a=>size=8")\nmodparam("htable", "htable", "b=>size=8")\n'
        settings = self.settings(cfg, "a=x, b=y")
        self.assertEqual(settings.kamailio_htable, (HtableEntry("a", "x"), HtableEntry("b", "y")))
        for entries, problem in (
            ("a=x,c=y", "there is no such htable"),
            ("a=x,b=x", "this bucket or this htable"),
            ("a=x,a=y", "this bucket or this htable"),
        ):
            with self.assertRaisesRegex(SettingError, problem):
                self.settings(cfg, entries)

    def test_no_cfg(self) -> None:
        with self.assertRaisesRegex(SettingError, "there is no kamailio_cfg"):
            Settings(kamailio_htable="a=x")

    def test_what_is_no_entry(self) -> None:
        with self.assertRaisesRegex(SettingError, "it is of type int"):
            Settings(kamailio_htable=7)  # type: ignore[arg-type]
