"""Health: what /livez and /readyz say, on the site and in its stand-in."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from natsroute.monitoring.http.resources import Answer
from natsroute.monitoring.overview import Reason


def live(reasons: Sequence[Reason], *, detail: bool) -> Answer:
    """
    What /livez says: 200, or 503 if only a restart can help.

    :param reasons: why only a restart can help; none if the service lives.
    :param detail: whether the client may see what the reasons are about; otherwise it sees their codes.
    """
    return _health("alive", reasons, detail=detail)


def ready(reasons: Sequence[Reason], *, detail: bool) -> Answer:
    """
    What /readyz says: 200, or 503 with the reasons.

    :param reasons: why the service is not ready; none if it is.
    :param detail: as for :func:`live`.
    """
    return _health("ready", reasons, detail=detail)


def _health(name: str, reasons: Sequence[Reason], *, detail: bool) -> Answer:
    if detail:
        shown: list[object] = [attrs.asdict(reason) for reason in reasons]
    else:
        shown = [{"code": code} for code in dict.fromkeys(reason.code for reason in reasons)]
    return Answer.json({name: not reasons, "reasons": shown}, 503 if reasons else 200, indent=1)
