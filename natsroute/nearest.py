"""The nearest real name, for one that is misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def did_you_mean(name: str, known: Collection[str], otherwise: str, *, prefix: str) -> str:
    """
    A remedy for a name that does not exist.

    :param name: the name.
    :param known: the names that exist.
    :param otherwise: the remedy if none of them is near.
    :param prefix: what all of them begin with; it does not make two names similar.
    """
    start = len(prefix)
    near = difflib.get_close_matches(name[start:], [one[start:] for one in sorted(known)], n=1)
    return f"Did you mean {prefix}{near[0]}?" if near else otherwise
