"""The nearest real name, for one that is misspelled."""

from __future__ import annotations

import difflib
from collections.abc import Collection

#: Nobody means a name that is longer.
_MAX_NAME = 64


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


def or_nearest(name: str, known: Collection[str], prefix: str) -> str:
    """
    A name that does not exist, with the one that was probably meant: ``$natsDat (did you mean $natsData?)``.

    :param prefix: what both are shown with.
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.75) if len(name) <= _MAX_NAME else []
    return f"{prefix}{name} (did you mean {prefix}{near[0]}?)" if near else f"{prefix}{name}"
