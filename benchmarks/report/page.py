"""``python -m benchmarks.report.page`` writes the results into ``docs/performance.md``."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from benchmarks.catalogue import SCENARIOS
from benchmarks.report.charts import SECOND
from benchmarks.report.markdown import markdown
from benchmarks.run.results import FOLDER, Results

_PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


def figures(folder: Path) -> str:
    """The report and the charts of a folder of results, with headings one level lower than in ``table.md``."""
    report = re.sub("^#", "##", markdown(Results.read(folder)), flags=re.MULTILINE)
    where = os.path.relpath(folder, _PAGE.parent)
    names = [f"{name}{suffix}" for suffix in ("", SECOND) for name in SCENARIOS]
    charts = [f"![{name}]({where}/{name}.svg)" for name in names if (folder / f"{name}.svg").exists()]
    return "\n".join([report, *(["### Charts\n", "\n".join(charts), ""] if charts else [])])


def write(folder: Path) -> None:
    """Replace the generated part of the page with the results in a folder."""
    before, begin, rest = _PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise SystemExit(f"{_PAGE.name} has no {_BEGIN.strip()} and {_END.strip()}")
    _PAGE.write_text(f"{before}{begin}\n{figures(folder)}\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Write the results of a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report.page", description=__doc__)
    parser.add_argument("--results", type=Path, default=FOLDER, metavar="FOLDER", help=f"default: {FOLDER.name}/")
    write(parser.parse_args().results)


if __name__ == "__main__":
    main()
