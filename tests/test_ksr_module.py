"""natsroute.kamailio.kemi.ksr_module"""

from __future__ import annotations

import importlib
import threading
from typing import Any

from natsroute.errors import MisuseError
from natsroute.kamailio.kemi import ksr_module
from tests.support.kemi_scripts import ScriptCase, new_event


class KsrModuleTests(ScriptCase):
    """``import KSR``."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(ksr_module.forget)

    def use(self, data: bytes = b"") -> Any:
        """The module, for an instance with one event."""
        context = self.new_context()
        ksr_module.use(context)
        context.begin(new_event(data))
        return importlib.import_module("KSR")

    def test_text(self) -> None:
        """Strings are str, numbers int, null is None."""
        ksr = self.use("\u00e9".encode())
        self.assertEqual(
            (ksr.pv.get("$natsData"), ksr.pv.get("$(natsData{s.len})"), ksr.pv.get("$vn(x)")), ("\u00e9", 2, None)
        )
        self.assertIs(ksr.pv.sets("$var(x)", "\u00e9"), True)
        self.assertEqual(ksr.pv.get("$var(x)"), "\u00e9")
        self.assertIs(ksr.is_OPTIONS(), True)
        self.assertEqual(ksr.pv.getvn("$vn(x)", 7), 7)

    def test_bytes(self) -> None:
        """Results that are not UTF-8 raise; arguments may be bytes."""
        ksr = self.use(b"\xff")
        self.assertRaises(UnicodeDecodeError, ksr.pv.get, "$natsData")
        self.assertEqual(ksr.nats.publish("a", b"\xff"), 1)
        self.assertEqual(ksr.nats.publish_request("a", "1", b"r"), 1)
        self.assertEqual(self.published, [("a", b"\xff", None), ("a", b"1", "r")])
        self.assertRaises(UnicodeEncodeError, ksr.nats.publish, "a", "\udc80")

    def test_what_is_not_there(self) -> None:
        """Scripts probe for modules with hasattr()."""
        ksr = self.use()
        self.assertEqual((hasattr(ksr, "tm"), hasattr(ksr, "pv"), hasattr(ksr.pv, "nosuch")), (False, True, False))
        self.assertIn("'KSR.pv'", str(self.assertRaises(AttributeError, getattr, ksr.pv, "nosuch")))

    def test_arguments(self) -> None:
        """Wrong ones are errors of the script."""
        ksr = self.use()
        for call, words in (
            (lambda: ksr.pv.get(5), "KSR.pv.get() takes a str here, not int"),
            (lambda: ksr.pv.get(), "get()"),
            (lambda: ksr.nats.publish("a", None), "takes a str here, not NoneType"),
            (lambda: ksr.nats.publish("a", "b", "c"), "publish()"),
            (lambda: ksr.pv.seti("$var(x)", "5"), "KSR.pv.seti() takes an int here, not str"),
            (lambda: ksr.pv.seti("$var(x)"), "takes 2 arguments, not 1"),
        ):
            self.assertIn(words, str(self.assertRaises(TypeError, call)))

    def test_other_threads(self) -> None:
        """A function works for the instance of the thread that calls it, and in no thread without one."""
        ksr = self.use(b"mine")
        found: list[object] = []

        def other() -> None:
            for function in (ksr.is_OPTIONS, lambda: ksr.pv.get("$natsData"), lambda: ksr.nats.publish("a", "b")):
                found.append(str(self.assertRaises(MisuseError, function)))
            self.use(b"yours")
            found.append(ksr.pv.get("$natsData"))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        self.assertEqual(found[3], "yours")
        self.assertIn("KSR.pv.get() works in the thread of a KEMI script", str(found[1]))
        self.assertEqual(ksr.pv.get("$natsData"), "mine")
