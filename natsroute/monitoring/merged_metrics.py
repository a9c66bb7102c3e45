"""The metrics of several processes as one text."""

from __future__ import annotations

from collections.abc import Sequence

_UP = b"natsroute_process_up"


def merged_text(texts: Sequence[bytes | None]) -> bytes:
    """
    Join the metrics of several processes: each sample gets the label ``process``.

    ``natsroute_process_up`` is added for each process: whether it answered.

    :param texts: what :meth:`Metrics.text() <natsroute.monitoring.metrics.Metrics.text>` gave in each process, in the
        order of the processes, which are numbered from 1; None for one that did not answer.
    :return: in the same format. Samples of one metric stand together, as the format demands.
    """
    families: dict[bytes, list[bytes]] = {  # by name; each begins with its HELP and TYPE
        _UP: [b"# HELP %b Whether the process answered." % _UP, b"# TYPE %b gauge" % _UP]
    }
    for number, text in enumerate(texts, 1):
        families[_UP].append(b'%b{process="%d"} %d' % (_UP, number, text is not None))
    for number, text in enumerate(texts, 1):
        lines: list[bytes] = []
        is_first = False
        # Only b"\n" ends a line: the values of labels may have other characters that look like a line end.
        for line in (text or b"").split(b"\n"):
            if line.startswith(b"# HELP "):
                name = line.split(b" ", 3)[2]
                is_first = name not in families
                lines = families.setdefault(name, [])
            if line.startswith(b"#"):
                if is_first:
                    lines.append(line)
            elif line:
                lines.append(_labelled(line, b'process="%d"' % number))
    return b"".join(line + b"\n" for lines in families.values() for line in lines)


def _labelled(sample: bytes, label: bytes) -> bytes:
    """A sample with one more label, before the others."""
    name, brace, rest = sample.partition(b"{")
    if brace and b" " not in name:
        return b"%b{%b,%b" % (name, label, rest)
    name, _, value = sample.partition(b" ")
    return b"%b{%b} %b" % (name, label, value)
