"""natsroute.monitoring.merged_metrics: the result is what Prometheus' own parser reads."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from natsroute.monitoring.merged_metrics import merged_text

ONE = rb"""# HELP a_total A.
# TYPE a_total counter
a_total{route="x"} 1.0
a_total{route="{y} \" \\ \n z"} 2.0
# HELP b B.
# TYPE b gauge
b 5.0
# HELP h_seconds H.
# TYPE h_seconds histogram
h_seconds_bucket{le="1.0"} 1.0
h_seconds_bucket{le="+Inf"} 2.0
h_seconds_count 2.0
h_seconds_sum 3.5
"""
TWO = rb"""# HELP c C.
# TYPE c gauge
c 7.0
# HELP a_total A.
# TYPE a_total counter
a_total{route="x"} 10.0
"""


def samples(text: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples, by name and labels. Fails if one is there twice, or a family is."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    names = set()
    for family in text_string_to_metric_families(text.decode()):
        assert family.name not in names, family.name
        names.add(family.name)
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


class MergedTextTests(SynchronousTestCase):
    """The texts of several processes."""

    def value(self, text: bytes, name: str, **labels: str) -> float:
        return samples(text)[name, frozenset(labels.items())]

    def test_each_sample_names_its_process(self) -> None:
        merged = merged_text([ONE, TWO])
        self.assertEqual(self.value(merged, "a_total", process="1", route="x"), 1.0)
        self.assertEqual(self.value(merged, "a_total", process="2", route="x"), 10.0)
        self.assertEqual(self.value(merged, "b", process="1"), 5.0)
        self.assertEqual(self.value(merged, "c", process="2"), 7.0)

    def test_nothing_is_lost(self) -> None:
        """All samples are there, and one more for each process."""
        self.assertEqual(len(samples(merged_text([ONE, TWO]))), len(samples(ONE)) + len(samples(TWO)) + 2)

    def test_hostile_label(self) -> None:
        """A value with a brace, quotes and an escaped line end stays what it was."""
        merged = merged_text([ONE])
        self.assertEqual(self.value(merged, "a_total", process="1", route='{y} " \\ \n z'), 2.0)

    def test_families_are_joined(self) -> None:
        """HELP and TYPE of a metric stand once, before all of its samples."""
        lines = merged_text([ONE, TWO, ONE]).split(b"\n")
        self.assertEqual([line for line in lines if line.startswith(b"# TYPE a_total")], [b"# TYPE a_total counter"])
        first = lines.index(b"# TYPE a_total counter")
        self.assertEqual(lines[first - 1], b"# HELP a_total A.")
        self.assertTrue(all(line.startswith(b"a_total{") for line in lines[first + 1 : first + 6]))
        self.assertTrue(lines[first + 6].startswith(b"# HELP"))

    def test_histogram(self) -> None:
        """Its buckets, count and sum stay one family."""
        families = {one.name: one for one in text_string_to_metric_families(merged_text([ONE, ONE]).decode())}
        self.assertEqual(families["h_seconds"].type, "histogram")
        self.assertEqual(len(families["h_seconds"].samples), 8)

    def test_process_that_does_not_answer(self) -> None:
        """The others keep their numbers."""
        merged = merged_text([None, TWO])
        self.assertEqual(self.value(merged, "natsroute_process_up", process="1"), 0.0)
        self.assertEqual(self.value(merged, "natsroute_process_up", process="2"), 1.0)
        self.assertEqual(self.value(merged, "c", process="2"), 7.0)

    def test_line_end_of_another_kind(self) -> None:
        """The format's lines end with LF only; a value may have what Python takes for a line end."""
        text = '# HELP a A.\n# TYPE a gauge\na{route="x\u2028y\x85\rz"} 1.0\n'.encode()
        self.assertIn('a{process="1",route="x\u2028y\x85\rz"} 1.0\n'.encode(), merged_text([text]))

    def test_nothing(self) -> None:
        """Without processes there are no samples, and the text is valid."""
        self.assertEqual(samples(merged_text([])), {})
