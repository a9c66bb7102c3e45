"""natsroute.errors"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from natsroute import errors
from natsroute.errors import (
    NatsrouteError,
    PayloadTooLargeError,
    ProtocolError,
    PublishBufferFullError,
    SettingError,
)


class TreeTests(SynchronousTestCase):
    """The tree at the top of the module is the tree of the classes."""

    def setUp(self) -> None:
        self.parents: dict[str, str | None] = {}
        self.attributes: dict[str, set[str]] = {}
        above: list[tuple[int, str]] = []
        for line in (errors.__doc__ or "").splitlines():
            found = re.match(r"(?P<lines>[ │├└─]*)(?P<name>[A-Z]\w+Error|Reject)\b(?P<rest>.*)", line)
            if found is None:
                continue
            depth, name = len(found["lines"]), found["name"]
            while above and above[-1][0] >= depth:
                above.pop()
            self.assertNotIn(name, self.parents, "printed twice")
            self.parents[name] = above[-1][1] if above else None
            self.attributes[name] = set(re.findall(r"(?<!\S)\.(\w+)", found["rest"]))
            above.append((depth, name))

    def test_classes(self) -> None:
        def below(parent: type[NatsrouteError]) -> dict[str, str | None]:
            found: dict[str, str | None] = {}
            for child in parent.__subclasses__():
                if child.__module__ == errors.__name__:
                    found |= {child.__name__: parent.__name__, **below(child)}
            return found

        self.assertEqual(self.parents, {"NatsrouteError": None, **below(NatsrouteError)})

    def test_all_exceptions(self) -> None:
        """No exception of the module is missing in the tree."""
        defined = {
            name
            for name, value in vars(errors).items()
            if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == errors.__name__
        }
        self.assertEqual(defined, set(self.parents))

    def test_attributes(self) -> None:
        """The tree names the attributes that the classes document."""
        for name, attributes in self.attributes.items():
            documented = set(re.findall(r":ivar (\w+):", getattr(errors, name).__doc__))
            self.assertEqual(attributes, documented, name)


class MessageTests(SynchronousTestCase):
    """Errors say what is wrong, with the numbers."""

    def test_setting_error(self) -> None:
        error = SettingError("num_publish_workers", 0, "there must be one", "Write num_publish_workers=1")
        self.assertEqual(str(error), "num_publish_workers = 0: there must be one. Write num_publish_workers=1")
        self.assertEqual(
            (error.setting, error.value, error.remedy), ("num_publish_workers", 0, "Write num_publish_workers=1")
        )
        self.assertIsInstance(error, ValueError)

    def test_a_login_in_a_setting(self) -> None:
        """A URL that was given to the wrong setting is shown without its login."""
        for value in ("nats://joe:s3cret@host", "nats://joe:s3/cr@et@host:4222", "nats://s3cret@a,nats://joe:s3cret@b"):
            error = SettingError("drain_timeout", value, "it is no number", "Write seconds")
            self.assertNotRegex(f"{error!r} {error} {error.value}", "s3|joe")

    def test_payload_too_large_error(self) -> None:
        error = PayloadTooLargeError(11, 10)
        self.assertEqual(str(error), "the message has 11 bytes; the server's max_payload is 10")
        self.assertEqual((error.size, error.max_payload), (11, 10))

    def test_protocol_error(self) -> None:
        """It quotes at most 100 bytes."""
        error = ProtocolError("junk", b"\r\n" + b"x" * 200)
        self.assertEqual(error.excerpt, b"\r\n" + b"x" * 98)
        self.assertEqual(str(error), f"junk: {error.excerpt!r}")
        self.assertEqual((str(ProtocolError("junk")), ProtocolError("junk").excerpt), ("junk", b""))

    def test_publish_buffer_full_error(self) -> None:
        error = PublishBufferFullError(messages=1, max_messages=2, bytes=3, max_bytes=4)
        self.assertEqual((error.messages, error.max_messages, error.bytes, error.max_bytes), (1, 2, 3, 4))
        self.assertIn("1 of 2 messages and 3 of 4 bytes", str(error))
        self.assertIn("publish_max_messages", str(error))
