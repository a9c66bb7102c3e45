"""natsroute.daemon.settings.fields"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from natsroute.daemon.settings import fields
from natsroute.daemon.settings.queue_entry import QueueEntry
from natsroute.errors import SettingError


@attrs.frozen(kw_only=True)
class Sample:
    """One setting of each kind."""

    name: str = fields.text("A name.", "x")
    number: int = fields.count("A number.", 2)
    wait: float = fields.seconds("A time.", 1.0)
    any_wait: float = fields.seconds("A time.", 1.0, minimum=0.0)
    flag: bool = fields.flag("A flag.")
    switch: bool = fields.switch("A switch.")
    target: str = fields.subject("A subject.", "a.b")
    colour: str = fields.choice("A colour.", ["red", "green"])
    file: str = attrs.field(default="", converter=fields.file_path, validator=fields.is_text)


class KindTests(SynchronousTestCase):
    """Each kind of setting reads text and Python values, and refuses the rest by name."""

    def test_read(self) -> None:
        for name, value, expected in [
            ("name", "y", "y"),
            ("number", "3", 3),
            ("number", 3.0, 3),
            ("wait", "0.5", 0.5),
            ("wait", 2, 2.0),
            ("any_wait", 0, 0.0),
            ("flag", "yes", True),
            ("flag", "OFF", False),
            ("switch", 1, True),
            ("switch", "", False),
            ("target", "c.d", "c.d"),
            ("colour", "green", "green"),
            ("file", Path("a") / "b", str(Path("a", "b").absolute())),
            ("file", "a/../b", str(Path.cwd() / "b")),
            ("file", "/a", "/a"),
            ("file", "", ""),
        ]:
            found = getattr(Sample(**{name: value}), name)
            self.assertEqual((found, type(found)), (expected, type(expected)), (name, value))

    def test_refused(self) -> None:
        for name, value, problem in [
            ("name", 3, "it is of type int, and not text"),
            ("target", 3, "it is of type int, and not text"),
            ("target", "", "Give a subject such as one.two"),
            ("target", "a.*", "messages cannot be published to a wildcard. Give a subject such as one.two"),
            ("number", 0, "not a whole number of at least 1"),
            ("number", 2.5, "not a whole number"),
            ("number", "2.5", "not a whole number"),
            ("number", None, "not a whole number"),
            ("wait", 0, "not a number of seconds of at least 0.001"),
            ("wait", "nan", "not a number of seconds"),
            ("wait", float("inf"), "not a number of seconds"),
            ("any_wait", -0.1, "at least 0"),
            ("flag", "perhaps", "neither yes nor no"),
            ("switch", 2, "neither yes nor no"),
            ("colour", "blue", "not one of the choices"),
            ("file", None, "it is of type NoneType, and not text"),
        ]:
            error = self.assertRaises(SettingError, Sample, **{name: value})
            self.assertEqual(error.setting, name)
            self.assertIn(problem, str(error))

    def test_the_first_choice_is_the_default(self) -> None:
        self.assertEqual(Sample().colour, "red")

    def test_a_value_that_is_no_text_is_not_shown(self) -> None:
        """It may be a secret in a list."""
        self.assertNotIn("hunter2", str(self.assertRaises(SettingError, Sample, name=["hunter2"])))

    def test_metadata(self) -> None:
        """The help, and how the option is written."""
        metadata = {field.name: field.metadata for field in attrs.fields(Sample)}
        self.assertEqual(metadata["number"], {"help": "A number.", "repeatable": False, "flag": False})
        self.assertEqual([name for name, one in metadata.items() if one.get("flag")], ["flag"])


class RepeatableTests(SynchronousTestCase):
    """Converters of settings that can be given several times."""

    def test_urls(self) -> None:
        """A comma separates where a URL follows."""
        for value, expected in [
            ("nats://a", ("nats://a",)),
            ("nats://a, tls://b", ("nats://a", "tls://b")),
            ("nats://u:p,w@a,b", ("nats://u:p,w@a,b",)),
            (["nats://a", "nats://b,ws://c"], ("nats://a", "nats://b", "ws://c")),
            ((url for url in ["nats://a"]), ("nats://a",)),
            ([], ()),
        ]:
            self.assertEqual(fields.nats_urls(value), expected)

    def test_queue_entries(self) -> None:
        """A comma separates in each text."""
        for value, expected in [
            (["a:q,b", "c"], (QueueEntry("a", "q"), QueueEntry("b"), QueueEntry("c"))),
            ([QueueEntry("a,b")], (QueueEntry("a,b"),)),
            ("a:q, b", (QueueEntry("a", "q"), QueueEntry("b"))),
            (["a:q", QueueEntry("b")], (QueueEntry("a", "q"), QueueEntry("b"))),
            (QueueEntry("b"), (QueueEntry("b"),)),
        ]:
            self.assertEqual(fields.queue_entries(value), expected)

    def test_route_files(self) -> None:
        """A comma separates in text, and is part of a Path. Files get absolute paths, modules stay."""

        def here(name: str) -> str:
            return str(Path.cwd() / name)

        self.assertEqual(fields.route_files("a.py, b"), (here("a.py"), "b"))
        self.assertEqual(fields.route_files([Path("a,b.py"), "c,d", "./e/f"]), (here("a,b.py"), "c", "d", here("e/f")))

    def test_refused(self) -> None:
        bad: Any
        for bad in (None, 1, b"nats://a", [b"a"], {1: 2}):
            for convert, name in [
                (fields.nats_urls, "nats_url"),
                (fields.queue_entries, "subject_queue_group"),
                (fields.route_files, "event_routes"),
            ]:
                error = self.assertRaises(SettingError, convert, bad)
                self.assertEqual((error.setting, error.value), (name, "..."))
