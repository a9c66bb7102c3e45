"""``python -m benchmarks.report.page`` writes the results into ``docs/performance.md``."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from benchmarks.catalogue import SCENARIOS
from benchmarks.report.markdown import markdown
from benchmarks.run.results import FOLDER, Results

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def figures(folder: Path) -> str:
    """The report and the charts of a folder of results, with headings one level lower than in ``table.md``."""
    report = re.sub("^#", "##", markdown(Results.read(folder)), flags=re.MULTILINE)
    where = os.path.relpath(folder, _PAGE.parent)
    charts = [f"![{path.stem}]({where}/{path.name})" for path in sorted(folder.glob("*.svg")) if path.stem in SCENARIOS]
    return "\n".join([report, *(["### Charts\n", "\n".join(charts), ""] if charts else [])])


def main() -> None:
    """Replace the generated part of the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER.name}/")
    folder: Path = parser.parse_args().results
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise SystemExit(f"{_PAGE.name} has no {_BEGIN.strip()} and {_END.strip()}")
    _PAGE.write_text(f"{before}{begin}\n{figures(folder)}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
