"""natsroute.kamailio.cfg.definitions"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from natsroute.kamailio.cfg.definitions import DefinitionError, Definitions


class DefinitionsTests(SynchronousTestCase):
    """What is defined, and how."""

    def setUp(self) -> None:
        self.definitions = Definitions({"HOME": "/root", "EMPTY": ""})

    def refused(self, problem: str, call: object, *arguments: object, **named: object) -> None:
        """The call fails with this problem, and with a remedy."""
        error = self.assertRaises(DefinitionError, call, *arguments, **named)
        self.assertEqual(error.problem, problem)
        self.assertTrue(error.remedy)

    def test_built_in(self) -> None:
        """The version that natsroute claims to be, the system, and natsroute itself."""
        for name in ("KAMAILIO_6", "KAMAILIO_6_1", "KAMAILIO_6_1_4", "NATSROUTE"):
            self.assertEqual(self.definitions.get(name), "")
        self.assertEqual(self.definitions.get("KAMAILIO_VERSION"), "6001004")
        self.assertEqual(self.definitions.get("OS_NAME"), "linux")
        self.assertNotIn("KAMAILIO_5", self.definitions)

    def test_define(self) -> None:
        """A name is defined once."""
        self.definitions.define("A", "5")
        self.assertEqual((self.definitions.get("A"), self.definitions.get("B")), ("5", None))
        self.refused("A is defined already", self.definitions.define, "A", "5")

    def test_try_and_redefine(self) -> None:
        """The one keeps the first value, the other replaces it."""
        for value in ("1", "2"):
            self.definitions.try_define("A", value)
            self.definitions.redefine("B", value)
        self.assertEqual((self.definitions.get("A"), self.definitions.get("B")), ("1", "2"))

    def test_undefine(self) -> None:
        """A name that is not defined needs the form that tries."""
        self.definitions.define("A", "")
        self.definitions.undefine("A")
        self.assertNotIn("A", self.definitions)
        self.definitions.try_undefine("A")
        self.refused("A is not defined", self.definitions.undefine, "A")

    def test_from_environment(self) -> None:
        """The value of a variable of this name, or of another one; with quotes if asked for."""
        define = self.definitions.from_environment
        define("HOME", required=True, in_quotes=False)
        define("QUOTED=HOME", required=True, in_quotes=True)
        define("EMPTY", required=True, in_quotes=False)
        define("NONE", required=False, in_quotes=False)
        self.assertEqual([self.definitions.get(name) for name in ("HOME", "QUOTED", "EMPTY")], ["/root", '"/root"', ""])
        self.assertNotIn("NONE", self.definitions)
        self.refused("the environment variable NONE is not set", define, "A=NONE", required=True, in_quotes=False)
        self.refused("HOME is defined already", define, "HOME", required=True, in_quotes=False)
        for text in ("", "=HOME", "A="):
            self.refused(f"{text!r} is not NAME or NAME=VARIABLE", define, text, required=False, in_quotes=False)

    def test_bytes(self) -> None:
        """The values are there as bytes, too, and new ones appear."""
        values = self.definitions.values
        self.definitions.define("A", "é\udcff")
        self.assertEqual(values[b"A"], b"\xc3\xa9\xff")
