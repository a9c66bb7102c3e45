"""
``python -m tests.support.kamailio_page`` writes the list of differences in docs/kamailio.md from the code.
"""

from __future__ import annotations

import re

from natsroute.kamailio.differences import DIFFERENCES
from tests.support import ROOT

PAGE = ROOT / "docs" / "kamailio.md"
BEGIN, END = "<!-- differences: begin -->\n\n", "\n<!-- differences: end -->"

#: What is code in the texts of differences: variables, transformations, patterns, and what Markdown would change.
_CODE = re.compile(
    r"\w+\(\)|\$\([^ ]*\)|\$\w+(?:\([^)]*\))?|"
    r"\{[^}]*\}|\\[<>\w]+|<<\S+>>|<(?= )|\w+~\w+~\w+|\(a\+\)\+\$|natsroute\[\w+\]"
)


def differences_table() -> str:
    """The table of differences, in Markdown."""
    rows = [("", "Kamailio 5.6.3", "natsroute", "reason"), ("---",) * 4]
    rows += [(one.about, one.kamailio, one.natsroute, one.reason) for one in DIFFERENCES]
    return "".join(f"| {' | '.join(map(_marked, row))} |\n" for row in rows)


def _marked(text: str) -> str:
    assert "|" not in text, text
    return _CODE.sub(lambda code: f"`{code[0]}`", text)


def written() -> str:
    """The table that the page has."""
    return PAGE.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(BEGIN + written() + END, BEGIN + differences_table() + END), "utf-8")
