"""The corpus without the fuzzer: the inputs that it starts with, and each input that has ever broken a property"""

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
        """Each property holds for its inputs."""
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
    """A wrong parser breaks the property. So the property does not hold for any parser."""

    def assert_breaks(self, parser: type[Parser], stream: bytes, kind: type[Exception] = AssertionError) -> None:
        properties.any_cut_reads_the_same(stream)
        self.patch(properties, "Parser", parser)
        self.assertRaises(kind, properties.any_cut_reads_the_same, stream)

    def test_cuts(self) -> None:
        """There are small and large pieces, and together they are the stream."""
        longest = set()
        for number in range(100):
            stream = b"%d" % number * 300
            positions = [0, *properties.cuts(stream)]
            self.assertEqual((positions, positions[-1]), (sorted(set(positions)), len(stream)))
            longest.add(max(stop - start for start, stop in pairwise(positions)))
        self.assertLessEqual({1, 2, 4}, longest)
        self.assertGreater(max(longest), 64)

    def test_parser_that_forgets(self) -> None:
        class Forgetful(Parser):
            def feed(self, data: bytes) -> Generator[Frame, None, None]:
                self._chunks, self._buffered, self._wanted = [], 0, 0
                yield from super().feed(data)

        self.assert_breaks(Forgetful, b"MSG a 1 2\r\nhi\r\n" * 20)

    def test_parser_that_keeps_too_much(self) -> None:
        class Hoarder(Parser):
            buffered = properties.MAX_CONTROL_LINE + 2  # type: ignore[assignment]

        self.assert_breaks(Hoarder, b"PING\r\n" * 100)

    def test_parser_that_raises_other_errors(self) -> None:
        class Careless(Parser):
            def feed(self, data: bytes) -> Generator[Frame, None, None]:
                yield from super().feed(data)
                raise IndexError

        self.assert_breaks(Careless, b"PING\r\n", IndexError)
