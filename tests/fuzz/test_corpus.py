"""The corpus without the fuzzer: the inputs that it begins with, and each that ever broke a property."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from natsroute.wire.frames import Frame
from natsroute.wire.parser import Parser
from tests.fuzz import CORPUS, properties
from tests.fuzz.properties import PROPERTIES


class CorpusTests(SynchronousTestCase):
    """``tests/fuzz/corpus``"""

    def test_each_input(self) -> None:
        """The properties hold for all of them."""
        self.assertEqual({folder.name for folder in CORPUS.iterdir()}, set(PROPERTIES))
        for name, holds in PROPERTIES.items():
            inputs = list((CORPUS / name).iterdir())
            self.assertGreater(len(inputs), 5, name)
            for path in inputs:
                try:
                    holds(path.read_bytes())
                except Exception as error:
                    raise AssertionError(f"{path} breaks the property {name!r}") from error


class ParserPropertyTests(SynchronousTestCase):
    """A parser that is not right breaks the property; else it would hold whatever the parser does."""

    def assert_breaks(self, parser: type[Parser], stream: bytes, kind: type[Exception] = AssertionError) -> None:
        properties.any_cut_reads_the_same(stream)
        self.patch(properties, "Parser", parser)
        self.assertRaises(kind, properties.any_cut_reads_the_same, stream)

    def test_cuts(self) -> None:
        """Small pieces and large ones, and all of the stream in the end."""
        longest = set()
        for number in range(100):
            stream = b"%d" % number * 300
            places = [0, *properties.cuts(stream)]
            self.assertEqual((places, places[-1]), (sorted(set(places)), len(stream)))
            longest.add(max(stop - start for start, stop in pairwise(places)))
        self.assertLessEqual({1, 2, 4}, longest)
        self.assertGreater(max(longest), 64)

    def test_one_that_forgets(self) -> None:
        class Forgetful(Parser):
            def feed(self, data: bytes) -> Generator[Frame, None, None]:
                self._chunks, self._buffered, self._wanted = [], 0, 0
                yield from super().feed(data)

        self.assert_breaks(Forgetful, b"MSG a 1 2\r\nhi\r\n" * 20)

    def test_one_that_keeps_too_much(self) -> None:
        class Hoarder(Parser):
            buffered = properties.MAX_CONTROL_LINE + 2  # type: ignore[assignment]

        self.assert_breaks(Hoarder, b"PING\r\n" * 100)

    def test_one_that_lets_other_errors_through(self) -> None:
        class Careless(Parser):
            def feed(self, data: bytes) -> Generator[Frame, None, None]:
                yield from super().feed(data)
                raise IndexError

        self.assert_breaks(Careless, b"PING\r\n", IndexError)
