"""natsroute.kamailio.jansson.paths"""

from __future__ import annotations

import copy
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from natsroute.errors import EvaluationError
from natsroute.kamailio.jansson.paths import change, find

DOCUMENT: Any = {"a": {"b": [10, [20, {"c": 30}]], "": "empty"}, "n": None, "é": 1}


class FindTests(SynchronousTestCase):
    """What a path leads to."""

    def test_found(self) -> None:
        """Names and indexes; a dot or a bracket at the end leads no further."""
        for path, expected in (
            ("", DOCUMENT),
            ("a", DOCUMENT["a"]),
            ("a.", DOCUMENT["a"]),
            ("a.b", DOCUMENT["a"]["b"]),
            ("a.b[", DOCUMENT["a"]["b"]),
            ("a.b[0]", 10),
            ("a.b[]", 10),
            ("a.b[00]", 10),
            ("a.b[0x1][0]", 20),
            ("a.b[+1][ 1].c", 30),
            ("a.b[01][01].c", 30),
            ("n", None),
            ("é", 1),
        ):
            self.assertEqual(find(DOCUMENT, path), (True, expected), path)
        self.assertEqual(find([[5]], "[0][0]"), (True, 5))
        self.assertEqual(find({"": {"x": 1}}, ".x"), (True, 1))

    def test_not_found(self) -> None:
        """Something else is there, or the path is malformed."""
        for path in (
            "x", "a.x", "a.b.c", "a.b[2]", "a.b[-1]", "a.b[x]", "a.b[1x]", "a.b[08]", "a.b[0", "a.b[0]x", "a[0]", "n.x",
            "[0]", "[", "a.b[0].x", "é.x", "a.b[0][0]",
        ):  # fmt: skip
            self.assertEqual(find(DOCUMENT, path), (False, None), path)


class ChangeTests(SynchronousTestCase):
    """``change()``."""

    def changed(self, path: str, value: Any, *, append: bool = False, document: Any = DOCUMENT) -> Any:
        """A changed copy of a document."""
        document = copy.deepcopy(document)
        change(document, path, value, append=append)
        return document

    def test_set(self) -> None:
        """A field, also in objects that are not there; an item that is there."""
        for path, expected in (
            ("x", {"a": {"b": [1]}, "x": 7}),
            ("a", {"a": 7}),
            ("a.b", {"a": {"b": 7}}),
            ("a.x.y", {"a": {"b": [1], "x": {"y": 7}}}),
            ("a.b[0]", {"a": {"b": [7]}}),
            ("a.b[0]x", {"a": {"b": [7]}}),  # as in Kamailio
        ):
            self.assertEqual(self.changed(path, 7, document={"a": {"b": [1]}}), expected, path)
        self.assertEqual(self.changed("[0].x", 7, document=[{}]), [{"x": 7}])
        self.assertEqual(self.changed("[0]", 7, document=[{}]), [7])

    def test_append(self) -> None:
        """To an array; to an object the fields of an object."""
        for path, value, expected in (
            ("a.b", 7, {"a": {"b": [1, 7]}}),
            ("a.b.", 7, {"a": {"b": [1, 7]}}),
            ("a.b[", 7, {"a": {"b": [1, 7]}}),
            ("a", {"c": 7}, {"a": {"b": [1], "c": 7}}),
            ("", {"c": 7}, {"a": {"b": [1]}, "c": 7}),
            ("a.b[0]", 7, {"a": {"b": [7]}}),  # as in Kamailio, an item is replaced
        ):
            self.assertEqual(self.changed(path, value, append=True, document={"a": {"b": [1]}}), expected, path)
        self.assertEqual(self.changed("", 7, append=True, document=[]), [7])

    def test_refused(self) -> None:
        """The document stays as it is where nothing can be set."""
        for path in (
            "",
            "a.",
            "a..x",
            "a.b.x",
            "a.b[2]",
            "a.b[0].x",
            "x[0]",
            "x[",
            "a[0]",
            "a.b[0]x.y",
            "[0]",
            "[",
            "a.b[",
        ):
            with self.assertRaises(EvaluationError, msg=path):
                self.changed(path, 7)
        for path, value in (("a", 7), ("x", 7), ("n", {}), ("a.b[0].x", 7), ("", 7)):
            with self.assertRaises(EvaluationError, msg=path):
                self.changed(path, value, append=True)
